//! Compares enums and their values.

use std::collections::BTreeSet;

use prost_types::EnumDescriptorProto;

use super::reserved::Reserved;
use super::scope::Scope;
use super::{Check, Level, Rule};
use crate::index::{listed, values};

/// Whether an enum of another name has all values of `old`: their numbers, and for JSON also their names.
pub(super) fn reads(level: Level, old: &EnumDescriptorProto, new: &EnumDescriptorProto) -> bool {
    let after = values(new);
    values(old).iter().all(|(number, names)| {
        after.get(number).is_some_and(|now| level == Level::Wire || names.is_subset(now))
    })
}

/// Returns the number of the value with this name.
pub(super) fn number(item: &EnumDescriptorProto, name: &str) -> Option<i32> {
    item.value.iter().find(|value| value.name() == name).map(|value| value.number())
}

impl Check<'_> {
    pub(super) fn enums(&mut self, scope: &Scope<'_>) {
        for (name, before) in self.old.enums.iter().filter(|(name, _)| scope.has_type(name)) {
            let Some(after) = self.new.enums.get(name) else { continue };
            self.file = after.file.name().to_owned();
            self.json_format(Rule::EnumSameJsonFormat, name, before.file, after.file);
            let (old, new) = (Reserved::in_enum(before.item), Reserved::in_enum(after.item));
            self.reserved(Rule::ReservedEnumNoDelete, name, &old, &new);
            self.values(name, before.item, after.item, &new);
        }
    }

    fn values(
        &mut self,
        name: &str,
        old: &EnumDescriptorProto,
        new: &EnumDescriptorProto,
        reserved: &Reserved<'_>,
    ) {
        let after = values(new);
        for (number, names) in values(old) {
            match after.get(&number) {
                None => self.value_gone(name, number, &names, reserved),
                Some(now) => {
                    for gone in names.difference(now) {
                        let message = format!(
                            "the value {number} is no longer called `{gone}`, but {}",
                            listed(now)
                        );
                        self.report(Rule::EnumValueSameName, name, message);
                    }
                }
            }
        }
    }

    fn value_gone(
        &mut self,
        name: &str,
        number: i32,
        names: &BTreeSet<&str>,
        reserved: &Reserved<'_>,
    ) {
        let was = listed(names);
        if !reserved.has_number(number) {
            let message = format!("the value {number} {was} is gone, and {number} is not reserved");
            self.report(Rule::EnumValueNoDeleteUnlessNumberReserved, name, message);
        }
        for gone in names.iter().filter(|name| !reserved.has_name(name)) {
            let message =
                format!("the value {number} `{gone}` is gone, and its name is not reserved");
            self.report(Rule::EnumValueNoDeleteUnlessNameReserved, name, message);
        }
    }
}
