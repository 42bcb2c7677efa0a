//! The modules that `prost-build` generates. A service's modules must not have the same names.

use prost_build::Module as RustModule;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

use super::places::{Places, full_name};
use super::settings::Settings;
use crate::model::{Origin, Taken};
use crate::names;

/// All used module names, each with the Rust module that contains it.
pub(super) fn of(
    set: &FileDescriptorSet,
    settings: &Settings,
    places: &Places,
) -> Vec<(RustModule, Vec<Taken>)> {
    let messages = set.file.iter().map(|file| {
        let module = RustModule::from_protobuf_package_name(file.package());
        (module, by_messages(file, settings, places))
    });
    let packages = set.file.iter().flat_map(|file| by_package(file.package(), file.name()));
    messages.chain(packages).collect()
}

/// The modules of messages: the types inside a message are in a module with the message's name.
fn by_messages(file: &FileDescriptorProto, settings: &Settings, places: &Places) -> Vec<Taken> {
    let messages = file.message_type.iter().filter(|message| has_inner_types(message));
    messages
        .map(|message| (message, full_name(file.package(), message.name())))
        .filter(|(_, name)| !settings.is_extern(name))
        .filter_map(|(message, name)| {
            Some(Taken {
                module: names::prost_module(message.name())?.to_string(),
                by: format!("the module for the types inside message `{name}`"),
                origin: places.message(&name),
            })
        })
        .collect()
}

fn has_inner_types(message: &DescriptorProto) -> bool {
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
fn by_package(package: &str, file: &str) -> Vec<(RustModule, Vec<Taken>)> {
    let mut outer = RustModule::from_parts(Vec::<String>::new());
    let mut taken = Vec::new();
    for part in RustModule::from_protobuf_package_name(package).parts() {
        let inner = outer.parts().chain([part]).map(str::to_owned).collect::<Vec<_>>();
        let by = Taken {
            module: part.to_owned(),
            by: format!("the module for package `{package}`"),
            origin: Origin::Proto { file: file.to_owned(), line: None },
        };
        taken.push((outer, vec![by]));
        outer = RustModule::from_parts(inner);
    }
    taken
}
