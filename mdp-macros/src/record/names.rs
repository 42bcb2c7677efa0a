//! Names in the schema.

use proc_macro2::Ident;
use syn::ext::IdentExt;

use super::arguments::Word;
use super::attributes::Text;
use super::mistakes::Mistakes;

/// Returns the name without `r#`.
pub(super) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The name of a field: the name of the attribute, or else the field's name in Rust.
pub(super) fn of_field(ident: &Ident, rename: Option<Text>, mistakes: &mut Mistakes) -> Text {
    let name = rename.unwrap_or_else(|| Text { text: plain(ident), span: ident.span() });
    if !is_identifier(&name.text) {
        mistakes.at(name.span, not_a_name(&name.text));
    }
    name
}

/// The name of a oneof's field, derived from the variant.
pub(super) fn of_alternative(ident: &Ident, rename: Option<Text>, mistakes: &mut Mistakes) -> Text {
    let snake = Text { text: words(&plain(ident), '_').to_lowercase(), span: ident.span() };
    of_field(ident, Some(rename.unwrap_or(snake)), mistakes)
}

/// The name of an enum's value. It begins with the enum's name, because all values of a package share one namespace.
pub(super) fn of_value(enumeration: &str, ident: &Ident, rename: Option<Text>) -> Text {
    rename.unwrap_or_else(|| {
        let text = format!("{}_{}", words(enumeration, '_'), words(&plain(ident), '_'));
        Text { text: text.to_uppercase(), span: ident.span() }
    })
}

/// Reads the value of `name = ".."`.
pub(super) fn of_type(word: &Word) -> syn::Result<String> {
    let (text, span) = word.text()?;
    if is_identifier(&text) { Ok(text) } else { Err(syn::Error::new(span, not_a_name(&text))) }
}

/// Reads the value of `package = ".."`.
pub(super) fn package(word: &Word) -> syn::Result<String> {
    let (text, span) = word.text()?;
    if text.split('.').all(is_identifier) {
        return Ok(text);
    }
    let message =
        format!("\"{text}\" is not a package; write names with dots between them, as in `auth.v1`");
    Err(syn::Error::new(span, message))
}

pub(super) fn not_a_name(text: &str) -> String {
    format!(
        "\"{text}\" is not a name in protobuf: use ASCII letters, digits and `_`, with no digit first"
    )
}

pub(super) fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns a field's name in protobuf's JSON. These names must be unique, too.
pub(super) fn json(name: &str) -> String {
    let mut json = String::new();
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            json.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    json
}

/// Inserts a separator between the words of a name in camel case: `HTTPServer` has two words.
fn words(name: &str, separator: char) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (place, c) in chars.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|before| chars.get(before));
        let after = chars.get(place + 1);
        let lower = |c: Option<&char>| c.is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
        let ends_word = lower(before)
            || (before.is_some_and(|c| c.is_uppercase())
                && after.is_some_and(|c| c.is_lowercase()));
        if c.is_uppercase() && ends_word {
            text.push(separator);
        }
        text.push(*c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{is_identifier, json, words};

    #[test]
    fn words_of_camel_case() {
        for (name, snake) in [
            ("Red", "Red"),
            ("DarkRed", "Dark_Red"),
            ("HTTPServer", "HTTP_Server"),
            ("V2Beta", "V2_Beta"),
            ("already_snake", "already_snake"),
            ("A", "A"),
        ] {
            assert_eq!(words(name, '_'), snake, "of {name}");
        }
    }

    #[test]
    fn json_names_have_no_underscores() {
        for (name, expected) in [("user_id", "userId"), ("a__b", "aB"), ("_x", "X"), ("x1", "x1")] {
            assert_eq!(json(name), expected, "of {name}");
        }
    }

    #[test]
    fn identifiers_are_ascii() {
        for name in ["a", "_", "user_1", "A"] {
            assert!(is_identifier(name), "{name}");
        }
        for name in ["", "1a", "a-b", "größe", "a.b", " a"] {
            assert!(!is_identifier(name), "{name}");
        }
    }
}
