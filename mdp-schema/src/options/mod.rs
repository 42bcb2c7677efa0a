//! The options of declarations, as `.proto` text.
//!
//! prost's descriptors have the options of an old `descriptor.proto` only, and no custom options. So options are kept as
//! bytes, and printed by what declares them: an `extend` in the set, or `descriptor.proto`.

mod known;
mod raw;
mod values;

use crate::index::Index;
pub(crate) use raw::Kept;
use values::Values;

/// The options of a declaration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Printed {
    /// Names and values, in the order of the numbers of their fields: `deprecated` and `true`.
    pub(crate) set: Vec<(String, String)>,
    /// What nothing in the set declares, for a comment: `unknown option 50000: 08 01`.
    pub(crate) unknown: Vec<String>,
}

/// Prints options by the declarations of a set.
pub(crate) struct Options<'a> {
    values: Values<'a>,
}

impl<'a> Options<'a> {
    pub(crate) fn of(index: &'a Index<'a>) -> Self {
        Self { values: Values::of(index) }
    }

    /// Prints the encoded options of one kind, for instance `FieldOptions`. `name` gives the name of an extension as it
    /// is written in the option's place.
    pub(crate) fn print(&self, kind: &str, bytes: &[u8], name: &dyn Fn(&str) -> String) -> Printed {
        self.values.options(&format!("google.protobuf.{kind}"), bytes, name)
    }
}
