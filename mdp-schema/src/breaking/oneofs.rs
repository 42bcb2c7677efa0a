//! Compares the oneofs of a message. Their names are not on the wire; what counts is which fields exclude each other.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{DescriptorProto, FieldDescriptorProto};

use super::messages::Fields;
use super::{Check, Rule};
use crate::fields::oneof;

/// The numbers of the fields in each oneof, without the fields that only one of the two messages has.
type Groups<'a> = BTreeMap<&'a str, BTreeSet<i32>>;

/// The oneofs of a message before and after a change.
pub(super) struct Oneofs<'a> {
    old: (&'a DescriptorProto, Groups<'a>),
    new: (&'a DescriptorProto, Groups<'a>),
    /// Whether an old oneof and a new one have the same fields, as far as this was asked.
    equal: BTreeMap<(&'a str, &'a str), bool>,
}

impl<'a> Oneofs<'a> {
    pub(super) fn of(
        old: (&'a DescriptorProto, &Fields<'a>),
        new: (&'a DescriptorProto, &Fields<'a>),
    ) -> Self {
        let groups = |message: &'a DescriptorProto, fields: &Fields<'a>, others: &Fields<'a>| {
            let mut groups = Groups::new();
            for (number, field) in fields.iter().filter(|(number, _)| others.contains_key(number)) {
                if let Some(name) = oneof(message, field) {
                    groups.entry(name).or_default().insert(*number);
                }
            }
            groups
        };
        Self {
            old: (old.0, groups(old.0, old.1, new.1)),
            new: (new.0, groups(new.0, new.1, old.1)),
            equal: BTreeMap::new(),
        }
    }

    /// Whether the same fields exclude a field before and after the change, and the names of its oneofs.
    fn compare(
        &mut self,
        old: &FieldDescriptorProto,
        new: &FieldDescriptorProto,
    ) -> (bool, Option<&'a str>, Option<&'a str>) {
        let (before, after) = (oneof(self.old.0, old), oneof(self.new.0, new));
        let alone = |groups: &Groups<'_>, name| groups.get(name).is_none_or(|it| it.len() < 2);
        let same = match (before, after) {
            (None, None) => true,
            // A field that moved into the oneof or out of it is told at that field.
            (Some(old), Some(new)) if old == new => true,
            (Some(name), None) => alone(&self.old.1, name),
            (None, Some(name)) => alone(&self.new.1, name),
            (Some(old), Some(new)) => {
                let (olds, news) = (&self.old.1, &self.new.1);
                *self.equal.entry((old, new)).or_insert_with(|| olds.get(old) == news.get(new))
            }
        };
        (same, before, after)
    }
}

impl Check<'_> {
    pub(super) fn oneof(
        &mut self,
        element: &str,
        oneofs: &mut Oneofs<'_>,
        old: &FieldDescriptorProto,
        new: &FieldDescriptorProto,
    ) {
        let message = match oneofs.compare(old, new) {
            (true, ..) | (_, None, None) => return,
            (_, None, Some(new)) => {
                format!("it moved into the oneof `{new}`, which excludes other fields")
            }
            (_, Some(old), None) => {
                format!("it moved out of the oneof `{old}`, which excluded other fields")
            }
            (_, Some(old), Some(new)) => {
                format!("it moved from the oneof `{old}` to `{new}`, with other fields")
            }
        };
        self.report(Rule::FieldSameOneof, element, message);
    }
}
