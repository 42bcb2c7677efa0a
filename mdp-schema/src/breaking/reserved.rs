//! Compares reserved numbers and names.

use prost_types::{DescriptorProto, EnumDescriptorProto};

use super::{Check, Rule};

/// The reserved numbers and names of a message or an enum. Both ends of a range are included.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    ranges: Vec<(i32, i32)>,
    names: &'a [String],
}

impl<'a> Reserved<'a> {
    pub(super) fn in_message(message: &'a DescriptorProto) -> Self {
        let ranges = message.reserved_range.iter();
        let ranges = ranges.map(|range| (range.start(), range.end().saturating_sub(1)));
        Self { ranges: ranges.collect(), names: &message.reserved_name }
    }

    pub(super) fn in_enum(item: &'a EnumDescriptorProto) -> Self {
        let ranges = item.reserved_range.iter().map(|range| (range.start(), range.end()));
        Self { ranges: ranges.collect(), names: &item.reserved_name }
    }

    pub(super) fn has_number(&self, number: i32) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|reserved| reserved == name)
    }

    /// Whether a whole range is reserved, in any number of pieces.
    fn covers(&self, (first, last): (i32, i32)) -> bool {
        let mut ranges = self.ranges.clone();
        ranges.sort_unstable();
        let mut open = i64::from(first);
        for (start, end) in ranges {
            if i64::from(start) <= open {
                open = open.max(i64::from(end) + 1);
            }
        }
        open > i64::from(last)
    }
}

impl Check<'_> {
    pub(super) fn reserved_in_message(
        &mut self,
        name: &str,
        file: &str,
        old: &DescriptorProto,
        new: &DescriptorProto,
    ) {
        self.file = file.to_owned();
        let (old, new) = (Reserved::in_message(old), Reserved::in_message(new));
        self.reserved(Rule::ReservedMessageNoDelete, name, &old, &new);
    }

    pub(super) fn reserved(
        &mut self,
        rule: Rule,
        name: &str,
        old: &Reserved<'_>,
        new: &Reserved<'_>,
    ) {
        for range in old.ranges.iter().filter(|range| !new.covers(**range)) {
            let (first, last) = range;
            let which =
                if first == last { first.to_string() } else { format!("{first} to {last}") };
            self.report(rule, name, format!("{which} is no longer reserved"));
        }
        for gone in old.names.iter().filter(|gone| !new.has_name(gone)) {
            self.report(rule, name, format!("the name `{gone}` is no longer reserved"));
        }
    }
}
