//! Finds the types that `prost-build` has generated, from the generated code.
//!
//! Settings of `prost-build` may leave types out, or put a `#[cfg]` on them. The generated code shows this.

use std::collections::HashMap;

use prost_build::Module;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};
use syn::{Attribute, File, Item, Path};

use super::rust_module;
use crate::emit::described::{Generated, Kind};
use crate::emit::names;
use crate::model::full_name;

/// The structs and enums in the code of a module, with their attributes, by their paths.
pub(super) struct Written<'a>(HashMap<String, &'a [Attribute]>);

impl<'a> Written<'a> {
    pub(super) fn of(code: &'a File) -> Self {
        let mut written = HashMap::new();
        look_into(&code.items, "", &mut written);
        Self(written)
    }

    /// Whether a type is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Whether a type is there without a condition.
    pub(super) fn has_always(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|attributes| cfgs(attributes).next().is_none())
    }
}

fn cfgs(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
}

/// A type, and whether it has a condition.
pub(super) struct Found {
    pub(super) generated: Generated,
    pub(super) name: String,
    pub(super) is_conditional: bool,
}

/// Returns the types of one module.
pub(super) fn of(set: &FileDescriptorSet, module: &Module, written: &Written<'_>) -> Vec<Found> {
    let mut finding = Finding { package: String::new(), written, types: Vec::new() };
    for file in set.file.iter().filter(|file| rust_module(file) == *module) {
        finding.package = package(file.package());
        for item in &file.enum_type {
            finding.enumeration("", file.package(), item);
        }
        for item in &file.message_type {
            finding.message("", file.package(), item);
        }
    }
    finding.types
}

/// The beginning of the full names in a package.
pub(super) fn package(name: &str) -> String {
    if name.is_empty() { ".".to_owned() } else { format!(".{name}.") }
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

struct Finding<'a> {
    /// The beginning of the full names: `.auth.v1.`.
    package: String,
    written: &'a Written<'a>,
    types: Vec<Found>,
}

impl Finding<'_> {
    fn message(&mut self, scope: &str, parent: &str, item: &DescriptorProto) {
        if item.options.as_ref().is_some_and(|options| options.map_entry()) {
            return;
        }
        self.add(scope, parent, item.name(), Kind::Message);
        if item.nested_type.is_empty() && item.enum_type.is_empty() {
            return;
        }
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

    /// The rest of a full name behind the name of the package.
    fn below_package(&self, name: &str) -> String {
        let rest = name.strip_prefix(&self.package).unwrap_or(name);
        rest.to_owned()
    }

    fn add(&mut self, scope: &str, parent: &str, name: &str, kind: Kind) {
        let Some(ident) = names::prost_type(name) else { return };
        let path = format!("{scope}{ident}");
        let Some(attributes) = self.written.0.get(&path) else { return };
        let Ok(path) = syn::parse_str::<Path>(&format!("self::{path}")) else { return };
        let cfgs: Vec<_> = cfgs(attributes).cloned().collect();
        let name = format!(".{}", full_name(parent, name));
        self.types.push(Found {
            is_conditional: !cfgs.is_empty(),
            generated: Generated { path, name: self.below_package(&name), kind, cfgs },
            name,
        });
    }
}
