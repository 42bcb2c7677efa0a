//! prost-reflect's pool of descriptors. It checks files and interprets their options.
//!
//! It refuses some files that protoc takes. Such a file is given to it with a change that it accepts, and what comes out
//! is changed back.

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    UninterpretedOption,
};
use protox::prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage, Value};

use super::{caught, errors};
use crate::errors::Problem;
use crate::proto::editions::{Parts, with_options};

/// The files that were checked.
#[derive(Debug, Default)]
pub(in crate::proto) struct Pool {
    pool: DescriptorPool,
    /// What is changed back, by the names of files.
    restored: HashMap<String, Vec<Restore>>,
}

/// What the pool was not told.
#[derive(Clone, Debug)]
enum Restore {
    /// The file is proto3.
    Proto3,
    /// The field at the path has this name in JSON.
    JsonName(Vec<i32>, String),
}

impl Pool {
    /// Checks a file, whose imports were added before. `text` is for the lines of mistakes. `encoded` has the options that
    /// the descriptor lost when it was decoded.
    pub(in crate::proto) fn add(
        &mut self,
        mut file: FileDescriptorProto,
        is_edition: bool,
        encoded: Option<Vec<u8>>,
        text: Option<&str>,
    ) -> Result<(), Vec<Problem>> {
        without_new_options(&mut file, &self.pool);
        let name = file.name().to_owned();
        // What is encoded was checked by the compiler that wrote it.
        let mut restored = json_names(&mut file, encoded.is_some());
        let is_refused = are_alike(&file) || (is_edition && lacks_zero(&file));
        if file.syntax() == "proto3" && is_refused {
            file.syntax = None;
            restored.push(Restore::Proto3);
        }
        let is_changed = is_edition || !restored.is_empty();
        let encoded = match encoded {
            Some(encoded) if is_changed => with_options(&file, &encoded),
            encoded => encoded,
        };
        let added = caught(&name, || match encoded {
            Some(encoded) => self.pool.decode_file_descriptor_proto(encoded.as_slice()),
            None => self.pool.add_file_descriptor_proto(file),
        })?;
        added.map_err(|error| {
            let error = match text {
                Some(text) => error.with_source_code(text),
                None => error,
            };
            errors::of(&error, &name)
        })?;
        self.restored.insert(name, restored);
        Ok(())
    }

    /// Returns the files in their order, the same in encoded form with all options, and the pool.
    pub(in crate::proto) fn finish(self) -> (FileDescriptorSet, Vec<u8>, DescriptorPool) {
        let mut set = FileDescriptorSet::default();
        let mut parts = Parts::default();
        for file in self.pool.files() {
            let mut descriptor = file.file_descriptor_proto().clone();
            let mut encoded = file.encode_to_vec();
            let restored = self.restored.get(file.name()).map_or(&[][..], Vec::as_slice);
            if !restored.is_empty() {
                let of = FileDescriptorProto::default().descriptor();
                if let Ok(mut dynamic) = DynamicMessage::decode(of, encoded.as_slice()) {
                    restored.iter().for_each(|what| restore(&mut dynamic, what));
                    encoded = dynamic.encode_to_vec();
                }
                if let Ok(changed) = FileDescriptorProto::decode(encoded.as_slice()) {
                    descriptor = changed;
                }
            }
            set.file.push(descriptor);
            parts.file.push(encoded);
        }
        (set, parts.encode_to_vec(), self.pool)
    }
}

fn restore(file: &mut DynamicMessage, what: &Restore) {
    match what {
        Restore::Proto3 => file.set_field_by_name("syntax", Value::String("proto3".to_owned())),
        Restore::JsonName(path, name) => {
            if let Some(field) = at(file, path) {
                field.set_field_by_name("json_name", Value::String(name.clone()));
            }
        }
    }
}

/// The part at a path of numbers of fields and places in them.
fn at<'a>(message: &'a mut DynamicMessage, path: &[i32]) -> Option<&'a mut DynamicMessage> {
    let [field, place, rest @ ..] = path else { return Some(message) };
    let field = message.descriptor().get_field(u32::try_from(*field).ok()?)?;
    let Value::List(list) = message.get_field_mut(&field) else { return None };
    let Value::Message(inner) = list.get_mut(usize::try_from(*place).ok()?)? else { return None };
    at(inner, rest)
}

/// Whether a message has fields that are equal without case and underscores.
fn are_alike(file: &FileDescriptorProto) -> bool {
    fn of(message: &DescriptorProto) -> bool {
        let mut seen = HashSet::new();
        let mut names = message.field.iter().map(|field| {
            field.name().chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
        });
        names.any(|name: String| !seen.insert(name)) || message.nested_type.iter().any(of)
    }
    file.message_type.iter().any(of)
}

/// Whether an enum has no zero in front, as a closed one of an edition may.
fn lacks_zero(file: &FileDescriptorProto) -> bool {
    fn of(item: &EnumDescriptorProto) -> bool {
        item.value.first().is_some_and(|value| value.number() != 0)
    }
    fn within(message: &DescriptorProto) -> bool {
        message.enum_type.iter().any(of) || message.nested_type.iter().any(within)
    }
    file.enum_type.iter().any(of) || file.message_type.iter().any(within)
}

/// Makes the names in JSON different that are equal by their rule only. To protoc this is an error in proto3, and none in
/// proto2 or with the option `deprecated_legacy_json_field_conflicts`.
fn json_names(file: &mut FileDescriptorProto, allowed: bool) -> Vec<Restore> {
    let allowed = allowed || file.syntax() != "proto3";
    let mut restored = Vec::new();
    for (number, message) in (0..).zip(&mut file.message_type) {
        of_message(message, allowed, &[4, number], &mut restored);
    }
    restored
}

fn of_message(
    message: &mut DescriptorProto,
    allowed: bool,
    path: &[i32],
    restored: &mut Vec<Restore>,
) {
    let allowed = allowed || message.options.as_ref().is_some_and(allows);
    let mut seen = HashSet::new();
    for (number, field) in (0..).zip(&mut message.field) {
        let by_rule = json_name(field.name());
        let name = field.json_name.clone().unwrap_or_else(|| by_rule.clone());
        if !seen.insert(name.clone()) && allowed && name == by_rule {
            field.json_name = Some(format!("{name}#{number}"));
            restored.push(Restore::JsonName([path, &[2, number]].concat(), name));
        }
    }
    for (number, nested) in (0..).zip(&mut message.nested_type) {
        of_message(nested, allowed, &[path, &[3, number]].concat(), restored);
    }
}

fn allows(options: &prost_types::MessageOptions) -> bool {
    const NAME: &str = "deprecated_legacy_json_field_conflicts";
    options.uninterpreted_option.iter().any(|option| {
        option.name.iter().all(|part| part.name_part == NAME) && option.identifier_value() == "true"
    })
}

/// `foo_bar` is `fooBar`.
fn json_name(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut chars = part.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

/// The options of `descriptor.proto` that are newer than the one in prost-reflect, with what has them. They say how a
/// feature came to be, or how options are kept, and have no effect on code.
const NEW: [&str; 3] = ["features", "feature_support", "edition_defaults"];

/// Removes options that the built-in `descriptor.proto` does not have. A newer one among the files has them.
fn without_new_options(file: &mut FileDescriptorProto, pool: &DescriptorPool) {
    let has_own = |name: &str| pool.get_message_by_name(name).is_some();
    if has_own("google.protobuf.FeatureSet") || file.package() == "google.protobuf" {
        return;
    }
    let keep = |options: &mut Vec<UninterpretedOption>| {
        options.retain(|option| {
            let first = option.name.first();
            !first.is_some_and(|part| !part.is_extension && NEW.contains(&part.name_part.as_str()))
        });
    };
    if let Some(options) = &mut file.options {
        keep(&mut options.uninterpreted_option);
    }
    let mut open: Vec<&mut DescriptorProto> = file.message_type.iter_mut().collect();
    let mut fields: Vec<_> = file.extension.iter_mut().collect();
    let mut enums: Vec<_> = file.enum_type.iter_mut().collect();
    while let Some(message) = open.pop() {
        if let Some(options) = &mut message.options {
            keep(&mut options.uninterpreted_option);
        }
        fields.extend(&mut message.field);
        fields.extend(&mut message.extension);
        enums.extend(&mut message.enum_type);
        open.extend(&mut message.nested_type);
    }
    for options in fields.into_iter().filter_map(|field| field.options.as_mut()) {
        keep(&mut options.uninterpreted_option);
    }
    for item in enums {
        for value in &mut item.value {
            if let Some(options) = &mut value.options {
                keep(&mut options.uninterpreted_option);
            }
        }
        if let Some(options) = &mut item.options {
            keep(&mut options.uninterpreted_option);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::json_name;

    #[test]
    fn names_in_json() {
        for (name, expected) in
            [("foo_bar", "fooBar"), ("_a__b_", "AB"), ("fooBar", "fooBar"), ("a_1b", "a1b")]
        {
            assert_eq!(json_name(name), expected, "of {name}");
        }
    }
}
