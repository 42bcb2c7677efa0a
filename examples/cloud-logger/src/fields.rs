//! What an event or a span says, as text of a bounded length.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};

use crate::pb;

/// What stands where text was cut off.
const CUT: char = '…';

/// The fields of an event or a span, with the message apart. Together they have no more than a number of bytes; the rest is
/// cut off.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) message: String,
    pub(crate) fields: Vec<pb::Field>,
    left: usize,
}

impl Fields {
    /// With room for so many bytes.
    pub(crate) fn new(room: usize) -> Self {
        Fields { message: String::new(), fields: Vec::new(), left: room }
    }

    /// The fields of a span, which has no message; a field of that name is one like any other.
    pub(crate) fn all(mut self) -> Vec<pb::Field> {
        if !self.message.is_empty() {
            self.fields.push(pb::Field { name: "message".into(), value: self.message });
        }
        self.fields
    }

    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name();
        // Nothing is left to say it with, not even its name.
        let Some(left) = self.left.checked_sub(name.len()).filter(|left| *left > 0) else { return };
        let value = bounded(left, value);
        self.left = left.saturating_sub(value.len());
        if name == "message" {
            self.message = value;
        } else {
            self.fields.push(pb::Field { name: name.to_owned(), value });
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

/// Text of up to `room` bytes, and a sign where it was cut off. What a value has to say beyond that is not even asked for.
fn bounded(room: usize, value: fmt::Arguments<'_>) -> String {
    let mut text = Bounded { text: String::new(), left: room };
    if text.write_fmt(value).is_err() {
        text.text.push(CUT);
    }
    text.text
}

struct Bounded {
    text: String,
    left: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if more.len() <= self.left {
            self.left -= more.len();
            self.text.push_str(more);
            return Ok(());
        }
        let end = (0..=self.left).rev().find(|end| more.is_char_boundary(*end)).unwrap_or(0);
        self.text.push_str(more.get(..end).unwrap_or_default());
        self.left = 0;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(bounded(4, format_args!("four")), "four");
        assert_eq!(bounded(4, format_args!("{}{}", "fo", "urs")), "four…");
        assert_eq!(bounded(4, format_args!("abcéf")), "abc…");
        assert_eq!(bounded(0, format_args!("a")), "…");
    }

    #[test]
    fn a_value_without_end_is_asked_no_more() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("and so on ")?;
                }
            }
        }
        assert_eq!(bounded(12, format_args!("{Endless}")), "and so on an…");
    }
}
