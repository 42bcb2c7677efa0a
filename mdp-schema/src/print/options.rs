//! The built-in options of protobuf, as names and values.

use prost_types::field_descriptor_proto::Type;
use prost_types::field_options::{CType, JsType};
use prost_types::file_options::OptimizeMode;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{
    EnumOptions, EnumValueOptions, FieldDescriptorProto, FileOptions, MessageOptions,
    MethodOptions, ServiceOptions,
};

/// A name, and a value in `.proto` syntax.
pub(super) type Pair = (&'static str, String);

/// Returns the options that are set.
fn set<const N: usize>(pairs: [(&'static str, Option<String>); N]) -> Vec<Pair> {
    pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn flag(value: Option<bool>) -> Option<String> {
    value.map(|value| value.to_string())
}

pub(super) fn of_file(options: &FileOptions) -> Vec<Pair> {
    let text = |value: &Option<String>| value.as_deref().map(quoted);
    let speed = options.optimize_for.and_then(|number| OptimizeMode::try_from(number).ok());
    set([
        ("java_package", text(&options.java_package)),
        ("java_outer_classname", text(&options.java_outer_classname)),
        ("java_multiple_files", flag(options.java_multiple_files)),
        ("java_string_check_utf8", flag(options.java_string_check_utf8)),
        ("optimize_for", speed.map(|mode| mode.as_str_name().to_owned())),
        ("go_package", text(&options.go_package)),
        ("cc_generic_services", flag(options.cc_generic_services)),
        ("java_generic_services", flag(options.java_generic_services)),
        ("py_generic_services", flag(options.py_generic_services)),
        ("php_generic_services", flag(options.php_generic_services)),
        ("deprecated", flag(options.deprecated)),
        ("cc_enable_arenas", flag(options.cc_enable_arenas)),
        ("objc_class_prefix", text(&options.objc_class_prefix)),
        ("csharp_namespace", text(&options.csharp_namespace)),
        ("swift_prefix", text(&options.swift_prefix)),
        ("php_class_prefix", text(&options.php_class_prefix)),
        ("php_namespace", text(&options.php_namespace)),
        ("php_metadata_namespace", text(&options.php_metadata_namespace)),
        ("ruby_package", text(&options.ruby_package)),
    ])
}

pub(super) fn of_message(options: &MessageOptions) -> Vec<Pair> {
    set([
        ("message_set_wire_format", flag(options.message_set_wire_format)),
        ("no_standard_descriptor_accessor", flag(options.no_standard_descriptor_accessor)),
        ("deprecated", flag(options.deprecated)),
    ])
}

pub(super) fn of_enum(options: &EnumOptions) -> Vec<Pair> {
    set([("allow_alias", flag(options.allow_alias)), ("deprecated", flag(options.deprecated))])
}

pub(super) fn of_value(options: &EnumValueOptions) -> Vec<Pair> {
    set([("deprecated", flag(options.deprecated))])
}

pub(super) fn of_service(options: &ServiceOptions) -> Vec<Pair> {
    set([("deprecated", flag(options.deprecated))])
}

pub(super) fn of_method(options: &MethodOptions) -> Vec<Pair> {
    let level = options.idempotency_level.and_then(|level| IdempotencyLevel::try_from(level).ok());
    set([
        ("deprecated", flag(options.deprecated)),
        ("idempotency_level", level.map(|level| level.as_str_name().to_owned())),
    ])
}

pub(super) fn of_field(field: &FieldDescriptorProto) -> Vec<Pair> {
    let options = field.options.clone().unwrap_or_default();
    let ctype = options.ctype.and_then(|number| CType::try_from(number).ok());
    let jstype = options.jstype.and_then(|number| JsType::try_from(number).ok());
    let json = field.json_name.as_deref().filter(|name| *name != json_name(field.name()));
    set([
        ("default", field.default_value.as_deref().map(|value| default(field.r#type(), value))),
        ("json_name", json.map(quoted)),
        ("ctype", ctype.map(|ctype| ctype.as_str_name().to_owned())),
        ("packed", flag(options.packed)),
        ("jstype", jstype.map(|jstype| jstype.as_str_name().to_owned())),
        ("lazy", flag(options.lazy)),
        ("deprecated", flag(options.deprecated)),
        ("weak", flag(options.weak)),
    ])
}

/// Returns ` [a = 1, b = 2]`, or an empty text.
pub(super) fn in_brackets(options: &[Pair]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let pairs: Vec<_> = options.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!(" [{}]", pairs.join(", "))
}

/// Returns the default JSON name of a field.
pub(crate) fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut up = false;
    for letter in name.chars() {
        if letter != '_' {
            out.push(if up { letter.to_ascii_uppercase() } else { letter });
        }
        up = letter == '_';
    }
    out
}

fn default(kind: Type, value: &str) -> String {
    match kind {
        Type::String => quoted(value),
        // The bytes in the descriptor are already escaped.
        Type::Bytes => format!("\"{value}\""),
        _ => value.to_owned(),
    }
}

pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\{:03o}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}
