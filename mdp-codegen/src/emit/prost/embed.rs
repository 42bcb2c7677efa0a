//! Which descriptors come into the code of which module.
//!
//! The code of a package has the descriptors of its own types and services, and names those of the packages whose types it
//! uses. `prost-build` names the types by the same paths, so these modules are there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mdp_schema::Cutter;
use prost::Message;
use prost_build::Module;
use prost_types::FileDescriptorSet;

use super::described::{self, Written};
use super::messages::Messages;
use super::rust_module;
use crate::emit::described::Embedded;
use crate::emit::{RustModule, names};
use crate::errors::{Mistake, Problem};
use crate::model::{Place, full_name};

/// What is embedded in each module. Mistakes are added to the problems.
pub(super) fn embed(
    set: &FileDescriptorSet,
    messages: &Messages,
    modules: &BTreeMap<Module, RustModule>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Module, Embedded> {
    let cutter = match Cutter::of(set) {
        Ok(cutter) => cutter,
        Err(error) => {
            let message = error.to_string();
            problems.push(Problem::of_setting(Mistake::Proto { message }));
            return BTreeMap::new();
        }
    };
    let written: BTreeMap<_, _> =
        messages.code.iter().map(|(module, code)| (module, Written::of(code))).collect();
    let homes = homes(set, &written);
    let mut embedded = BTreeMap::new();
    for (module, code) in &written {
        let module: &Module = module;
        let types = described::of(set, module, code);
        let services = modules.get(module).map_or(&[][..], |module| module.services.as_slice());
        if types.is_empty() && services.is_empty() {
            continue;
        }
        // A module that only a type with a condition uses need not be there when the condition does not hold.
        let shares = !types.iter().any(|of| of.is_conditional);
        let is_elsewhere =
            |name: &str| shares && homes.get(name).is_some_and(|home| *home != *module);
        let names: Vec<_> = services.iter().map(|service| service.plain().full_name()).collect();
        let part = cutter.part(
            names.iter().map(String::as_str),
            types.iter().map(|of| of.name.as_str()),
            &is_elsewhere,
        );
        let mut part = match part {
            Ok(part) => part,
            Err(error) => {
                let place = services.first().and_then(|service| service.plain().place.clone());
                let message = error.to_string();
                problems.push(Problem {
                    place: place.or_else(|| file_of(set, module)),
                    ..Problem::of_setting(Mistake::Proto { message })
                });
                continue;
            }
        };
        // Every compiler has these files, and nobody prints them.
        let known = |name: &str| name.starts_with("google/protobuf/");
        for file in part.set.file.iter_mut().filter(|file| known(file.name())) {
            file.source_code_info = None;
        }
        let uses: BTreeSet<_> = part.uses.iter().filter_map(|name| homes.get(name)).collect();
        let uses = uses.into_iter().filter_map(|other| path(module, other)).collect();
        let constant = constant(module);
        let types = types.into_iter().map(|of| of.generated).collect();
        let package = set.file.iter().find(|file| rust_module(file) == *module);
        let package = described::package(package.map_or("", |file| file.package()));
        let file = module.to_file_name_or("_").replace(".rs", ".descriptors");
        let packed = mdp_schema::pack(&part.set.encode_to_vec());
        embedded.insert(module.clone(), Embedded { constant, package, types, file, packed, uses });
    }
    embedded
}

fn file_of(set: &FileDescriptorSet, module: &Module) -> Option<Place> {
    let file = set.file.iter().find(|file| rust_module(file) == *module)?;
    Some(Place::new(file.name()))
}

/// The modules of all outermost types that have code without a condition, by the full names of the types.
fn homes(
    set: &FileDescriptorSet,
    written: &BTreeMap<&Module, Written<'_>>,
) -> HashMap<String, Module> {
    let mut homes = HashMap::new();
    for file in &set.file {
        let module = rust_module(file);
        let Some(written) = written.get(&module) else { continue };
        let messages = file.message_type.iter().map(|item| item.name());
        for name in messages.chain(file.enum_type.iter().map(|item| item.name())) {
            let ident = names::prost_type(name).map(|ident| ident.to_string());
            if ident.is_some_and(|ident| written.has_always(&ident)) {
                homes.insert(full_name(file.package(), name), module.clone());
            }
        }
    }
    homes
}

/// The name of a module's descriptors. No item of a message has it, and two modules may be included in one place.
fn constant(module: &Module) -> String {
    let parts = module.parts().map(|part| part.trim_start_matches("r#").to_uppercase());
    let parts = parts.collect::<Vec<_>>().join("__");
    format!("MDP_DESCRIPTORS_OF__{parts}")
}

/// The path from one module to the descriptors of another.
fn path(from: &Module, to: &Module) -> Option<syn::Path> {
    let mut from = from.parts().peekable();
    let mut rest = to.parts().peekable();
    while from.peek().is_some() && from.peek() == rest.peek() {
        from.next();
        rest.next();
    }
    let mut parts: Vec<String> = from.map(|_| "super".to_owned()).collect();
    parts.extend(rest.map(str::to_owned));
    parts.push(constant(to));
    if parts.len() == 1 {
        parts.insert(0, "self".to_owned());
    }
    syn::parse_str(&parts.join("::")).ok()
}
