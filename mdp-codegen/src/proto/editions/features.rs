//! The features of editions, as far as they change the code or the bytes.

use prost_types::UninterpretedOption;

/// An edition that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edition {
    E2023,
    E2024,
}

impl Edition {
    /// Reads the text behind `edition =`.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "2023" => Some(Self::E2023),
            "2024" => Some(Self::E2024),
            _ => None,
        }
    }

    /// Reads the number in a descriptor.
    pub(crate) fn of_number(number: i32) -> Option<Self> {
        match number {
            1000 => Some(Self::E2023),
            1001 => Some(Self::E2024),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Explicit,
    Implicit,
    Required,
}

/// What holds for one declaration. The other features change neither code nor bytes: JSON and the check of UTF-8 are
/// always those of proto3, and names and visibility are a matter of style.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) presence: Presence,
    pub(super) closed: bool,
    pub(super) packed: bool,
    pub(super) delimited: bool,
}

impl Features {
    /// The same for both editions.
    pub(super) const DEFAULT: Self =
        Self { presence: Presence::Explicit, closed: false, packed: true, delimited: false };

    /// Takes the features out of the options, and gives what then holds. Mistakes go to `wrong`.
    pub(super) fn with(
        mut self,
        options: &mut Vec<UninterpretedOption>,
        wrong: &mut Vec<String>,
    ) -> Self {
        options.retain(|option| {
            let mut parts = option.name.iter();
            let is_features =
                parts.next().is_some_and(|part| part.name_part == "features" && !part.is_extension);
            if !is_features {
                return true;
            }
            match parts.next() {
                // Features of one language: `features.(pb.cpp).string_type`.
                Some(part) if part.is_extension => {}
                Some(part) => {
                    let value = option.identifier_value();
                    self.set(&part.name_part, value, wrong);
                }
                None => {
                    for (name, value) in pairs(option.aggregate_value()) {
                        self.set(name, value, wrong);
                    }
                }
            }
            false
        });
        self
    }

    fn set(&mut self, name: &str, value: &str, wrong: &mut Vec<String>) {
        match (name, value) {
            ("field_presence", "EXPLICIT") => self.presence = Presence::Explicit,
            ("field_presence", "IMPLICIT") => self.presence = Presence::Implicit,
            ("field_presence", "LEGACY_REQUIRED") => self.presence = Presence::Required,
            ("enum_type", "OPEN") => self.closed = false,
            ("enum_type", "CLOSED") => self.closed = true,
            ("repeated_field_encoding", "PACKED") => self.packed = true,
            ("repeated_field_encoding", "EXPANDED") => self.packed = false,
            ("message_encoding", "LENGTH_PREFIXED") => self.delimited = false,
            ("message_encoding", "DELIMITED") => self.delimited = true,
            (
                "utf8_validation"
                | "json_format"
                | "enforce_naming_style"
                | "default_symbol_visibility",
                _,
            ) => {}
            (
                "field_presence" | "enum_type" | "repeated_field_encoding" | "message_encoding",
                _,
            ) => wrong.push(format!("the feature `{name}` has no value `{value}`")),
            _ => wrong.push(format!("there is no feature `{name}`")),
        }
    }
}

/// The pairs in `field_presence: IMPLICIT enum_type: CLOSED`. What stands in braces belongs to one language.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut name = None;
    for word in words.by_ref().filter(|word| !word.is_empty()) {
        for part in word.split_inclusive([':', '{', '}']) {
            let text = part.trim_end_matches([':', '{', '}']);
            if depth == 0 && !text.is_empty() && text.chars().all(is_word) {
                match name.take() {
                    Some(name) if !part.ends_with(':') => found.push((name, text)),
                    _ => name = Some(text),
                }
            }
            match part.chars().next_back() {
                Some('{') => depth += 1,
                Some('}') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::pairs;

    #[test]
    fn features_are_read_from_aggregates() {
        assert_eq!(
            pairs("field_presence: IMPLICIT enum_type : CLOSED"),
            [("field_presence", "IMPLICIT"), ("enum_type", "CLOSED")]
        );
        assert_eq!(
            pairs("[pb.cpp] { string_type: VIEW } , json_format:ALLOW;"),
            [("json_format", "ALLOW")]
        );
        assert_eq!(pairs(""), []);
    }
}
