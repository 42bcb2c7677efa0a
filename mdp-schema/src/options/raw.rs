//! The encoded options of a set. These messages have only the fields of `descriptor.proto` that lead to options.

use std::collections::HashMap;

use prost::{DecodeError, Message};

#[derive(Message)]
struct Set {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Message)]
struct File {
    #[prost(message, repeated, tag = "4")]
    message_type: Vec<Msg>,
    #[prost(message, repeated, tag = "5")]
    enum_type: Vec<Enum>,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
    #[prost(message, repeated, tag = "7")]
    extension: Vec<Leaf8>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    options: Vec<Vec<u8>>,
}

#[derive(Message)]
struct Msg {
    #[prost(message, repeated, tag = "2")]
    field: Vec<Leaf8>,
    #[prost(message, repeated, tag = "3")]
    nested_type: Vec<Msg>,
    #[prost(message, repeated, tag = "4")]
    enum_type: Vec<Enum>,
    #[prost(message, repeated, tag = "5")]
    extension_range: Vec<Leaf3>,
    #[prost(message, repeated, tag = "6")]
    extension: Vec<Leaf8>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    options: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "8")]
    oneof_decl: Vec<Leaf2>,
}

#[derive(Message)]
struct Enum {
    #[prost(message, repeated, tag = "2")]
    value: Vec<Leaf3>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    options: Vec<Vec<u8>>,
}

#[derive(Message)]
struct Service {
    #[prost(message, repeated, tag = "2")]
    method: Vec<Leaf4>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    options: Vec<Vec<u8>>,
}

/// A oneof.
#[derive(Message)]
struct Leaf2 {
    #[prost(bytes = "vec", repeated, tag = "2")]
    options: Vec<Vec<u8>>,
}

/// A value of an enum, or an extension range.
#[derive(Message)]
struct Leaf3 {
    #[prost(bytes = "vec", repeated, tag = "3")]
    options: Vec<Vec<u8>>,
}

/// A method.
#[derive(Message)]
struct Leaf4 {
    #[prost(bytes = "vec", repeated, tag = "4")]
    options: Vec<Vec<u8>>,
}

/// A field, or an extension.
#[derive(Message)]
struct Leaf8 {
    #[prost(bytes = "vec", repeated, tag = "8")]
    options: Vec<Vec<u8>>,
}

/// The encoded options of a file's declarations, by the paths of `SourceCodeInfo`. The path of the file is empty.
#[derive(Debug, Default)]
pub(crate) struct Kept(HashMap<Vec<i32>, Vec<u8>>);

impl Kept {
    /// Reads the options of each file of an encoded `FileDescriptorSet`.
    pub(crate) fn of_set(bytes: &[u8]) -> Result<Vec<Self>, DecodeError> {
        Ok(Set::decode(bytes)?.file.into_iter().map(Self::of).collect())
    }

    /// Returns the options of the declaration at this path.
    pub(crate) fn at(&self, path: &[i32]) -> &[u8] {
        self.0.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    fn of(file: File) -> Self {
        let mut kept = Self::default();
        kept.add(&[], file.options);
        for (path, item) in numbered(&[], 4, file.message_type) {
            kept.message(&path, item);
        }
        for (path, item) in numbered(&[], 5, file.enum_type) {
            kept.enumeration(&path, item);
        }
        for (path, item) in numbered(&[], 6, file.service) {
            for (path, method) in numbered(&path, 2, item.method) {
                kept.add(&path, method.options);
            }
            kept.add(&path, item.options);
        }
        for (path, item) in numbered(&[], 7, file.extension) {
            kept.add(&path, item.options);
        }
        kept
    }

    fn message(&mut self, path: &[i32], message: Msg) {
        for (path, item) in numbered(path, 2, message.field) {
            self.add(&path, item.options);
        }
        for (path, item) in numbered(path, 3, message.nested_type) {
            self.message(&path, item);
        }
        for (path, item) in numbered(path, 4, message.enum_type) {
            self.enumeration(&path, item);
        }
        for (path, item) in numbered(path, 5, message.extension_range) {
            self.add(&path, item.options);
        }
        for (path, item) in numbered(path, 6, message.extension) {
            self.add(&path, item.options);
        }
        for (path, item) in numbered(path, 8, message.oneof_decl) {
            self.add(&path, item.options);
        }
        self.add(path, message.options);
    }

    fn enumeration(&mut self, path: &[i32], item: Enum) {
        for (path, value) in numbered(path, 2, item.value) {
            self.add(&path, value.options);
        }
        self.add(path, item.options);
    }

    /// A message that is encoded in several pieces is the pieces behind each other.
    fn add(&mut self, path: &[i32], pieces: Vec<Vec<u8>>) {
        let bytes = pieces.concat();
        if !bytes.is_empty() {
            self.0.insert(path.to_vec(), bytes);
        }
    }
}

fn numbered<T>(path: &[i32], list: i32, items: Vec<T>) -> impl Iterator<Item = (Vec<i32>, T)> {
    let path = path.to_vec();
    (0..).zip(items).map(move |(place, item)| ([path.as_slice(), &[list, place]].concat(), item))
}
