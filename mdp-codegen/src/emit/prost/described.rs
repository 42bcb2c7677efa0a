//! Finds the types that `prost-build` has generated, from the generated code.
//!
//! Settings of `prost-build` may leave types out, or put a `#[cfg]` on them. The generated code shows this.

use std::collections::HashMap;

use prost_build::Module;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto, source_code_info::Location,
};
use syn::{Attribute, File, Item, Path};

use crate::emit::described::{Generated, Kind};
use crate::emit::names;
use crate::model::full_name;
use crate::proto::parts::FILE_SERVICES;

/// Returns the types of one module.
pub(super) fn of(set: &FileDescriptorSet, module: &Module, code: &File) -> Vec<Generated> {
    let mut written = HashMap::new();
    look_into(&code.items, "", &mut written);
    let mut found = Found { written, types: Vec::new() };
    for file in set.file.iter().filter(|file| rust_module(file) == *module) {
        for item in &file.enum_type {
            found.enumeration("", file.package(), item);
        }
        for item in &file.message_type {
            found.message("", file.package(), item);
        }
    }
    found.types
}

/// Collects the attributes of all structs and enums, by their paths.
fn look_into<'a>(items: &'a [Item], scope: &str, written: &mut HashMap<String, &'a [Attribute]>) {
    for item in items {
        match item {
            Item::Struct(item) => {
                written.insert(format!("{scope}{}", item.ident), item.attrs.as_slice());
            }
            Item::Enum(item) => {
                written.insert(format!("{scope}{}", item.ident), item.attrs.as_slice());
            }
            Item::Mod(item) => {
                if let Some((_, items)) = &item.content {
                    look_into(items, &format!("{scope}{}::", item.ident), written);
                }
            }
            _ => {}
        }
    }
}

struct Found<'a> {
    written: HashMap<String, &'a [Attribute]>,
    types: Vec<Generated>,
}

impl Found<'_> {
    fn message(&mut self, scope: &str, parent: &str, item: &DescriptorProto) {
        if item.options.as_ref().is_some_and(|options| options.map_entry()) {
            return;
        }
        self.add(scope, parent, item.name(), Kind::Message);
        let Some(inner) = names::prost_module(item.name()) else { return };
        let (scope, parent) = (format!("{scope}{inner}::"), full_name(parent, item.name()));
        for nested in &item.enum_type {
            self.enumeration(&scope, &parent, nested);
        }
        for nested in &item.nested_type {
            self.message(&scope, &parent, nested);
        }
    }

    fn enumeration(&mut self, scope: &str, parent: &str, item: &EnumDescriptorProto) {
        let zero = item.value.first().is_some_and(|value| value.number() == 0);
        self.add(scope, parent, item.name(), Kind::Enumeration { zero });
    }

    fn add(&mut self, scope: &str, parent: &str, name: &str, kind: Kind) {
        let Some(ident) = names::prost_type(name) else { return };
        let path = format!("{scope}{ident}");
        let Some(attributes) = self.written.get(&path) else { return };
        let Ok(path) = syn::parse_str::<Path>(&format!("self::{path}")) else { return };
        let cfgs = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        self.types.push(Generated {
            path,
            name: format!(".{}", full_name(parent, name)),
            kind,
            cfgs: cfgs.cloned().collect(),
        });
    }
}

/// Adds a service without methods to modules that have no service: `prost-build` calls its generator for additional
/// code only for packages with services.
pub(super) fn with_services(set: &mut FileDescriptorSet, wanted: impl Fn(&Module) -> bool) {
    for file in set.file.iter_mut().filter(|file| file.service.is_empty()) {
        if !wanted(&rust_module(file)) {
            continue;
        }
        file.service.push(ServiceDescriptorProto {
            // No other service has this name.
            name: Some(String::new()),
            ..ServiceDescriptorProto::default()
        });
        // `prost-build` assumes that a file with positions has positions for all its parts.
        if let Some(info) = &mut file.source_code_info {
            info.location.push(Location {
                path: vec![FILE_SERVICES, 0],
                span: vec![0, 0, 0],
                ..Location::default()
            });
        }
    }
}

pub(super) fn rust_module(file: &FileDescriptorProto) -> Module {
    Module::from_protobuf_package_name(file.package())
}
