//! The modules that `prost-build` generates. A service's modules must not have the same names.

use std::collections::HashMap;

use prost_build::Module;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

use crate::emit::{ReservedName, names};
use crate::model::{Declaration, Files, Place, full_name};
use crate::proto::Settings;

/// All used module names, each with the Rust module that contains it.
pub(super) fn of(
    set: &FileDescriptorSet,
    settings: &Settings,
    files: &Files,
) -> Vec<(Module, Vec<ReservedName>)> {
    let declared = files.iter().flat_map(|file| &file.messages);
    let declared: HashMap<&str, &Declaration> =
        declared.map(|message| (message.full_name.as_str(), message)).collect();
    let messages = set.file.iter().map(|file| {
        let module = Module::from_protobuf_package_name(file.package());
        (module, by_messages(file, settings, &declared))
    });
    let packages = set.file.iter().flat_map(|file| by_package(file.package(), file.name()));
    messages.chain(packages).collect()
}

/// The modules of messages: the types inside a message are in a module with the message's name.
fn by_messages(
    file: &FileDescriptorProto,
    settings: &Settings,
    declared: &HashMap<&str, &Declaration>,
) -> Vec<ReservedName> {
    let messages = file.message_type.iter().filter(|message| has_inner_types(message));
    messages
        .map(|message| (message, full_name(file.package(), message.name())))
        .filter(|(_, name)| !settings.is_extern(name))
        .filter_map(|(message, name)| {
            Some(ReservedName {
                module: names::prost_module(message.name())?.to_string(),
                by: format!("the module for the types inside of message `{name}`"),
                place: declared.get(name.as_str()).and_then(|message| message.place.clone()),
            })
        })
        .collect()
}

pub(super) fn has_inner_types(message: &DescriptorProto) -> bool {
    let is_map =
        |inner: &DescriptorProto| inner.options.as_ref().is_some_and(|options| options.map_entry());
    // An `optional` field has a oneof of its own, which makes no type.
    let in_oneof =
        message.field.iter().any(|field| field.oneof_index.is_some() && !field.proto3_optional());
    !message.enum_type.is_empty()
        || in_oneof
        || message.nested_type.iter().any(|inner| !is_map(inner))
}

/// The modules of packages: package `a.b` is the module `b` in the module of package `a`.
fn by_package(package: &str, file: &str) -> Vec<(Module, Vec<ReservedName>)> {
    let mut outer = Module::from_parts(Vec::<String>::new());
    let mut reserved = Vec::new();
    for part in Module::from_protobuf_package_name(package).parts() {
        let inner = outer.parts().chain([part]).map(str::to_owned).collect::<Vec<_>>();
        let by = ReservedName {
            module: part.to_owned(),
            by: format!("the module for package `{package}`"),
            place: Some(Place::new(file)),
        };
        reserved.push((outer, vec![by]));
        outer = Module::from_parts(inner);
    }
    reserved
}
