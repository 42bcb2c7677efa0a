//! What is written behind a field's number and is no option in its descriptor, and strings.

use prost_types::FieldDescriptorProto;
use prost_types::field_descriptor_proto::Type;

use crate::strings::quoted;

/// A name, and a value in `.proto` syntax.
pub(super) type Pair = (String, String);

/// Returns the default and the JSON name of a field, if they are written.
pub(super) fn of_field(field: &FieldDescriptorProto) -> Vec<Pair> {
    let json = field.json_name.as_deref().filter(|name| *name != json_name(field.name()));
    let default = field.default_value.as_deref().map(|value| default(field.r#type(), value));
    let pairs = [("default", default), ("json_name", json.map(quoted))];
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
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
