//! Finds the breaking changes between two schemas.
//!
//! The rules and their names are those of buf, at its levels WIRE and WIRE_JSON. Removed types and services break
//! nothing at these levels, because no program reads them any more. Only declarations that both schemas have are
//! compared.

mod enums;
mod fields;
mod reserved;
mod rules;

use std::collections::BTreeMap;

use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto};

use crate::SchemaError;
use crate::hash::idempotency;
use crate::index::{Declared, Index, is_map_entry, join};
pub use rules::{Level, Rule};

/// A rule of compatibility that a new schema breaks, and where. [`breaking()`] finds them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breaking {
    /// The file in the new schema, or in the old one if the new one lacks it.
    pub file: String,
    /// The element that breaks the rule: `auth.v1.LoginRequest.user`, `auth.v1.Auth/Login`.
    pub element: String,
    /// The rule.
    pub rule: Rule,
    /// A description for people.
    pub message: String,
}

/// Compares two schemas and returns the broken rules, by file and element.
///
/// # Errors
///
/// One of the two schemas declares a name twice, or uses an edition.
pub fn breaking(
    old: &FileDescriptorSet,
    new: &FileDescriptorSet,
    level: Level,
) -> Result<Vec<Breaking>, SchemaError> {
    let (old_index, new_index) = (Index::of(old)?, Index::of(new)?);
    let mut check =
        Check { level, old: &old_index, new: &new_index, file: String::new(), found: Vec::new() };
    check.packages(&old.file, &new.file);
    check.services();
    check.messages();
    check.enums();
    check.found.sort();
    Ok(check.found)
}

struct Check<'a> {
    level: Level,
    old: &'a Index<'a>,
    new: &'a Index<'a>,
    /// The file of the compared declaration.
    file: String,
    found: Vec<Breaking>,
}

impl Check<'_> {
    fn report(&mut self, rule: Rule, element: &str, message: String) {
        if rule.is_of(self.level) {
            let (file, element) = (self.file.clone(), element.to_owned());
            self.found.push(Breaking { file, element, rule, message });
        }
    }

    /// Reports a rule unless both sides are the same.
    fn same<T: PartialEq>(
        &mut self,
        rule: Rule,
        element: &str,
        (old, new): (T, T),
        message: impl FnOnce(T, T) -> String,
    ) {
        if old != new {
            let message = message(old, new);
            self.report(rule, element, message);
        }
    }

    fn packages(&mut self, old: &[FileDescriptorProto], new: &[FileDescriptorProto]) {
        for before in old {
            let Some(after) = new.iter().find(|file| file.name == before.name) else { continue };
            self.file = after.name().to_owned();
            let packages = (before.package(), after.package());
            self.same(Rule::FileSamePackage, after.name(), packages, |old, new| {
                format!("the package changed from `{old}` to `{new}`")
            });
        }
    }

    fn services(&mut self) {
        for (name, before) in &self.old.services {
            let Some(after) = self.new.services.get(name) else { continue };
            self.file = after.file.name().to_owned();
            for method in &before.item.method {
                let mut methods = after.item.method.iter();
                if let Some(new) = methods.find(|other| other.name() == method.name()) {
                    self.method(&format!("{name}/{}", method.name()), method, new);
                }
            }
        }
    }

    fn method(&mut self, name: &str, old: &MethodDescriptorProto, new: &MethodDescriptorProto) {
        let types = |what: &'static str| {
            move |old: &str, new: &str| {
                let (old, new) = (old.trim_start_matches('.'), new.trim_start_matches('.'));
                format!("the type of its {what} changed from `{old}` to `{new}`")
            }
        };
        let streams = |what: &'static str| {
            move |_, many| match many {
                true => format!("it takes a stream of {what} now, in place of one"),
                false => format!("it no longer has a stream of {what}"),
            }
        };
        let requests = (old.input_type(), new.input_type());
        self.same(Rule::RpcSameRequestType, name, requests, types("requests"));
        let replies = (old.output_type(), new.output_type());
        self.same(Rule::RpcSameResponseType, name, replies, types("replies"));
        let many = (old.client_streaming(), new.client_streaming());
        self.same(Rule::RpcSameClientStreaming, name, many, streams("requests"));
        let many = (old.server_streaming(), new.server_streaming());
        self.same(Rule::RpcSameServerStreaming, name, many, streams("replies"));
        let levels = (idempotency(old), idempotency(new));
        self.same(Rule::RpcSameIdempotencyLevel, name, levels, |old, new| {
            let (old, new) = (old.as_str_name(), new.as_str_name());
            format!("its idempotency level changed from {old} to {new}")
        });
    }

    fn messages(&mut self) {
        for (name, before) in &self.old.messages {
            let Some(after) = self.new.messages.get(name) else { continue };
            self.file = after.file.name().to_owned();
            self.json_format(Rule::MessageSameJsonFormat, name, before.file, after.file);
            self.required(name, before.item, after.item);
            self.reserved_in_message(name, before.item, after.item);
            self.fields(name, before, after);
        }
    }

    fn json_format(
        &mut self,
        rule: Rule,
        name: &str,
        old: &FileDescriptorProto,
        new: &FileDescriptorProto,
    ) {
        // proto2 guarantees less about its JSON, so a change to proto3 is compatible.
        if crate::fields::is_proto3(old) && !crate::fields::is_proto3(new) {
            self.report(
                rule,
                name,
                "its JSON is no longer defined: it is in proto2 now".to_owned(),
            );
        }
    }

    fn required(&mut self, name: &str, old: &DescriptorProto, new: &DescriptorProto) {
        let required = |message: &DescriptorProto| -> BTreeMap<i32, String> {
            let fields = message.field.iter();
            let fields = fields.filter(|field| {
                field.label() == prost_types::field_descriptor_proto::Label::Required
            });
            fields.map(|field| (field.number(), field.name().to_owned())).collect()
        };
        let (old, new) = (required(old), required(new));
        for (number, field) in old.iter().filter(|(number, _)| !new.contains_key(number)) {
            let message = format!("the required field {number} `{field}` is gone");
            self.report(Rule::MessageSameRequiredFields, name, message);
        }
        for (number, field) in new.iter().filter(|(number, _)| !old.contains_key(number)) {
            let message = format!("the required field {number} `{field}` is new");
            self.report(Rule::MessageSameRequiredFields, name, message);
        }
    }

    fn fields(
        &mut self,
        name: &str,
        old: &Declared<'_, DescriptorProto>,
        new: &Declared<'_, DescriptorProto>,
    ) {
        for before in &old.item.field {
            let element = join(name, before.name());
            let mut fields = new.item.field.iter();
            match fields.find(|field| field.number() == before.number()) {
                Some(after) => {
                    let (old, new) = (old.field(before), new.field(after));
                    self.field(&element, &old, &new, is_map_entry(new.message));
                }
                None => self.field_gone(&element, before, new.item),
            }
        }
    }
}
