//! Finds all declarations of a set by their full names without the leading dot.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, ServiceDescriptorProto,
};

use crate::SchemaError;

/// The declarations of a set.
#[derive(Debug, Default)]
pub(crate) struct Index<'a> {
    pub(crate) messages: BTreeMap<String, Declared<'a, DescriptorProto>>,
    pub(crate) enums: BTreeMap<String, Declared<'a, EnumDescriptorProto>>,
    pub(crate) services: BTreeMap<String, Declared<'a, ServiceDescriptorProto>>,
    /// The enums of values. The full name of a value is that of a neighbour of its enum.
    values: BTreeMap<String, String>,
    /// By the full name of the message that is extended, and by number.
    pub(crate) extensions: BTreeMap<String, BTreeMap<i32, Extension<'a>>>,
}

/// A field that is declared outside of its message.
#[derive(Debug)]
pub(crate) struct Extension<'a> {
    pub(crate) name: String,
    pub(crate) file: &'a FileDescriptorProto,
    pub(crate) item: &'a FieldDescriptorProto,
}

/// A declaration and its file.
#[derive(Debug)]
pub(crate) struct Declared<'a, T> {
    pub(crate) file: &'a FileDescriptorProto,
    pub(crate) item: &'a T,
}

/// A type that a field uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Named<'a> {
    Message(&'a DescriptorProto),
    Enum,
}

impl<'a> Index<'a> {
    pub(crate) fn of(set: &'a FileDescriptorSet) -> Result<Self, SchemaError> {
        let mut index = Self::default();
        for file in &set.file {
            let scope = file.package();
            if file.syntax() == "editions" {
                return Err(SchemaError::Edition(file.name().to_owned()));
            }
            for item in &file.enum_type {
                index.enumeration(file, scope, item)?;
            }
            for item in &file.message_type {
                index.message(file, scope, item)?;
            }
            index.extend(file, scope, &file.extension);
            for item in &file.service {
                let name = join(scope, item.name());
                index.free(&name)?;
                index.services.insert(name, Declared { file, item });
            }
        }
        Ok(index)
    }

    fn message(
        &mut self,
        file: &'a FileDescriptorProto,
        scope: &str,
        item: &'a DescriptorProto,
    ) -> Result<(), SchemaError> {
        let name = join(scope, item.name());
        self.free(&name)?;
        for nested in &item.enum_type {
            self.enumeration(file, &name, nested)?;
        }
        for nested in &item.nested_type {
            self.message(file, &name, nested)?;
        }
        self.extend(file, &name, &item.extension);
        self.messages.insert(name, Declared { file, item });
        Ok(())
    }

    fn extend(
        &mut self,
        file: &'a FileDescriptorProto,
        scope: &str,
        extensions: &'a [FieldDescriptorProto],
    ) {
        for item in extensions {
            let of = item.extendee().trim_start_matches('.').to_owned();
            let extension = Extension { name: join(scope, item.name()), file, item };
            self.extensions.entry(of).or_default().insert(item.number(), extension);
        }
    }

    fn enumeration(
        &mut self,
        file: &'a FileDescriptorProto,
        scope: &str,
        item: &'a EnumDescriptorProto,
    ) -> Result<(), SchemaError> {
        let name = join(scope, item.name());
        self.free(&name)?;
        for value in &item.value {
            let value = join(scope, value.name());
            if let Some(other) = self.values.insert(value.clone(), name.clone())
                && other != name
            {
                return Err(SchemaError::ValueTwice { value, enums: [other, name] });
            }
        }
        self.enums.insert(name, Declared { file, item });
        Ok(())
    }

    fn free(&self, name: &str) -> Result<(), SchemaError> {
        let taken = self.messages.contains_key(name)
            || self.enums.contains_key(name)
            || self.services.contains_key(name);
        if taken { Err(SchemaError::Twice(name.to_owned())) } else { Ok(()) }
    }

    /// Returns the service with this full name.
    pub(crate) fn service(
        &self,
        name: &str,
    ) -> Result<&Declared<'a, ServiceDescriptorProto>, SchemaError> {
        self.services.get(name).ok_or_else(|| SchemaError::NoService(name.to_owned()))
    }

    pub(crate) fn has_type(&self, name: &str) -> bool {
        self.messages.contains_key(name) || self.enums.contains_key(name)
    }

    /// Returns the type that `user` uses, with its full name.
    pub(crate) fn named<'n>(
        &self,
        name: &'n str,
        user: impl Fn() -> String,
    ) -> Result<(&'n str, Named<'a>), SchemaError> {
        let missing = || SchemaError::MissingType { user: user(), name: name.to_owned() };
        // A name without a leading dot is not resolved.
        let full = name.strip_prefix('.').ok_or_else(missing)?;
        if let Some(message) = self.messages.get(full) {
            return Ok((full, Named::Message(message.item)));
        }
        if self.enums.contains_key(full) { Ok((full, Named::Enum)) } else { Err(missing()) }
    }
}

/// Whether a file is one of those of `google.protobuf`, which each compiler has.
pub(crate) fn is_googles(file: &FileDescriptorProto) -> bool {
    file.name().starts_with("google/protobuf/") || file.package() == "google.protobuf"
}

/// Joins a scope, which may be empty, and a name.
pub(crate) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// Whether a message is the entry of a map.
pub(crate) fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// Returns the key and the value of a map's entry.
pub(crate) fn entry(
    message: &DescriptorProto,
) -> Option<(&FieldDescriptorProto, &FieldDescriptorProto)> {
    let field = |number| message.field.iter().find(|field| field.number() == number);
    if is_map_entry(message) { Some((field(1)?, field(2)?)) } else { None }
}

/// Returns the names of each number of an enum.
pub(crate) fn values(item: &EnumDescriptorProto) -> BTreeMap<i32, BTreeSet<&str>> {
    let mut values: BTreeMap<i32, BTreeSet<&str>> = BTreeMap::new();
    for value in &item.value {
        values.entry(value.number()).or_default().insert(value.name());
    }
    values
}

/// Writes names for people.
pub(crate) fn listed(names: &BTreeSet<&str>) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
