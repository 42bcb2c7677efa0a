//! Types of `google.protobuf` that are not generated, and that the runtime does not have.

use std::collections::{HashMap, HashSet};

use prost_types::{DescriptorProto, FileDescriptorSet};
use protox::prost_reflect::DescriptorPool;

use super::described::Written;
use super::messages::Messages;
use super::rust_module;
use crate::emit::names;
use crate::errors::{Mistake, Problem};
use crate::model::{Place, full_name};
use crate::proto::Settings;

/// The problems: one for each file that uses such a type.
pub(super) fn of(
    settings: &Settings,
    set: &FileDescriptorSet,
    messages: &Messages,
) -> Vec<Problem> {
    let lacking = lacking(settings, set, messages);
    if lacking.is_empty() {
        return Vec::new();
    }
    let problems = set.file.iter().filter_map(|file| {
        // Nothing is generated for these.
        let own = rust_module(file);
        let is_generated = messages.code.contains_key(&own);
        let mut used = HashSet::new();
        file.message_type.iter().for_each(|message| uses(message, &mut used));
        let methods = file.service.iter().flat_map(|service| &service.method);
        used.extend(methods.flat_map(|method| [method.input_type(), method.output_type()]));
        let mut used: Vec<_> = used.into_iter().filter(|name| lacking.contains(*name)).collect();
        used.sort_unstable();
        let name = used.first().filter(|_| is_generated)?.trim_start_matches('.').to_owned();
        Some(Problem {
            place: Some(Place::new(file.name())),
            ..Problem::of_setting(Mistake::NotInRuntime { name })
        })
    });
    problems.collect()
}

fn uses<'a>(message: &'a DescriptorProto, used: &mut HashSet<&'a str>) {
    used.extend(message.field.iter().map(|field| field.type_name()));
    message.nested_type.iter().for_each(|nested| uses(nested, used));
}

/// The full names, with a dot, of the types that are in a package of Google's, are not written, and not known.
fn lacking(settings: &Settings, set: &FileDescriptorSet, messages: &Messages) -> HashSet<String> {
    let is_googles =
        |package: &str| package == "google.protobuf" || package.starts_with("google.protobuf.");
    let known = DescriptorPool::global();
    let mut modules = HashMap::new();
    let mut lacking = HashSet::new();
    for file in set.file.iter().filter(|file| is_googles(file.package())) {
        let module = rust_module(file);
        let written = modules
            .entry(module.clone())
            .or_insert_with(|| messages.code.get(&module).map(Written::of));
        let types = file.message_type.iter().map(|item| item.name());
        for name in types.chain(file.enum_type.iter().map(|item| item.name())) {
            let full = full_name(file.package(), name);
            let ident = names::prost_type(name).map(|ident| ident.to_string());
            let is_written = written.as_ref().zip(ident).is_some_and(|(of, ident)| of.has(&ident));
            let is_known = known.get_message_by_name(&full).is_some()
                || known.get_enum_by_name(&full).is_some();
            if !is_written && !is_known && !settings.is_extern(&full) {
                lacking.insert(format!(".{full}"));
            }
        }
    }
    lacking
}
