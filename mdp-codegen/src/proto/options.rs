//! Reads `option (mdp.method)` of methods.
//!
//! prost's descriptors drop extensions, so this module reads the encoded descriptors.

use std::collections::HashMap;

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use protox::file::File;

use crate::model::full_name;

/// The file that declares the option, as `import` writes it.
const FILE: &str = "mdp/options.proto";
const TEXT: &str = include_str!("../../../proto/mdp/options.proto");
const DESCRIPTOR: &str = "google/protobuf/descriptor.proto";
const NUMBER: u32 = 50_735;

/// Files that need no folder: ours, and those with the features of one language, which have no effect here. Files with
/// these names in the include folders take precedence.
pub(super) fn built_in(name: &str) -> Option<String> {
    if name == FILE {
        return Some(TEXT.to_owned());
    }
    let language = name.strip_prefix("google/protobuf/")?.strip_suffix("_features.proto")?;
    ["cpp", "go", "java"].contains(&language).then(|| "syntax = \"proto3\"; package pb;".to_owned())
}

/// Says which fields the option has, if this is the mistake of one that it has not.
pub(super) fn hint(mistake: &str) -> String {
    if !mistake.ends_with("not found for message 'mdp.MethodOptions'") {
        return String::new();
    }
    let Ok(file) = File::from_source(FILE, TEXT) else { return String::new() };
    let messages = &file.file_descriptor_proto().message_type;
    let fields = messages.iter().flat_map(|message| &message.field);
    let names: Vec<String> = fields.map(|field| format!("`{}`", field.name())).collect();
    format!("; there are {}", names.join(", "))
}

/// Whether an extension with this name and number of this message is the option. In other files the number may have
/// another meaning.
pub(super) fn is_option(name: &str, number: u32, of: &str) -> bool {
    name == "mdp.method" && number == NUMBER && of == "google.protobuf.MethodOptions"
}

/// Whether a file declares the option: the built-in file, or a copy of it.
fn declares(file: &FileDescriptorProto) -> bool {
    file.extension.iter().any(|extension| {
        let name = full_name(file.package(), extension.name());
        let number = u32::try_from(extension.number()).unwrap_or_default();
        let of = extension.extendee();
        is_option(&name, number, of.strip_prefix('.').unwrap_or(of))
    })
}

/// Removes the file that declares the option, and the file that only it imports, unless a file to compile is one of
/// them.
pub(crate) fn leave_out(set: &mut FileDescriptorSet, imported: &[String]) {
    let is_imported = |file: &FileDescriptorProto| imported.iter().any(|name| name == file.name());
    let before = set.file.len();
    set.file.retain(|file| !(declares(file) && is_imported(file)));
    let mut imports = set.file.iter().flat_map(|file| &file.dependency);
    if set.file.len() < before && !imports.any(|import| import == DESCRIPTOR) {
        set.file.retain(|file| !(file.name() == DESCRIPTOR && is_imported(file)));
    }
}

/// The options of one method.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct MethodOptions {
    /// `None`: not set.
    #[prost(uint32, optional, tag = "1")]
    pub(super) timeout_ms: Option<u32>,
    #[prost(bool, tag = "2")]
    pub(super) blocking: bool,
    #[prost(enumeration = "OnCancel", tag = "3")]
    pub(super) on_cancel: i32,
    #[prost(uint32, optional, tag = "4")]
    pub(super) retry_attempts: Option<u32>,
}

/// `mdp.MethodOptions.OnCancel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub(super) enum OnCancel {
    Cancel = 0,
    Detach = 1,
}

/// The options of all methods, by the service's full name and the method's index.
#[derive(Debug, Default)]
pub(super) struct Said(HashMap<(String, usize), MethodOptions>);

impl Said {
    /// Reads the options. `encoded` is the set before prost decoded it.
    pub(super) fn of(set: &FileDescriptorSet, encoded: &[u8]) -> Self {
        if !set.file.iter().any(declares) {
            return Self::default();
        }
        // The bytes were just encoded, so they can be decoded.
        let files = Files::decode(encoded).unwrap_or_default();
        let mut said = HashMap::new();
        for file in files.file {
            for service in file.service {
                let name = full_name(&file.package, &service.name);
                for (number, method) in service.method.into_iter().enumerate() {
                    if let Some(options) = method.options.and_then(|options| options.mdp) {
                        said.insert((name.clone(), number), options);
                    }
                }
            }
        }
        Self(said)
    }

    pub(super) fn method(&self, service: &str, number: usize) -> MethodOptions {
        self.0.get(&(service.to_owned(), number)).copied().unwrap_or_default()
    }
}

/// The parts of `google.protobuf.FileDescriptorSet` that contain the options.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<Services>,
}

#[derive(Clone, PartialEq, Message)]
struct Services {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Methods>,
}

#[derive(Clone, PartialEq, Message)]
struct Methods {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(message, optional, tag = "4")]
    options: Option<Options>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(message, optional, tag = "50735")]
    mdp: Option<MethodOptions>,
}
