//! Numbers of fields and of an enum's values: used and free ones.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{LitInt, LitStr, Token};

use super::arguments::{Number, Value, Word};
use super::attributes::Text;
use super::mistakes::Mistakes;

/// The highest number of a field.
pub(super) const MAX_TAG: i64 = 536_870_911;
/// The numbers that protobuf reserves for itself.
pub(super) const PROTOBUFS_OWN: RangeInclusive<i64> = 19_000..=19_999;

/// A number with its place in the source.
#[derive(Clone)]
pub(super) struct Tag {
    pub(super) number: u32,
    pub(super) span: Span,
}

/// Reserved numbers and names.
#[derive(Default)]
pub(super) struct Reserved {
    pub(super) ranges: Vec<(RangeInclusive<i64>, Span)>,
    pub(super) names: Vec<Text>,
}

impl Reserved {
    /// Reads `reserved(5, 7..=9, "old")`.
    pub(super) fn take(&mut self, word: &Word, mistakes: &mut Mistakes) {
        let example = "a list: `reserved(5, 7..=9, \"old\")`";
        let Value::List(list) = &word.value else {
            return mistakes.add(word.wants(example));
        };
        if list.is_empty() {
            return mistakes.of(&word.name, format!("`reserved` takes {example}"));
        }
        let Some(entries) = mistakes.value(entries(list.clone())) else { return };
        for entry in entries {
            match entry {
                Entry::Name(name) => self.names.push(name),
                Entry::Range(range, span) if range.is_empty() => {
                    mistakes.at(span, "the range is empty; write the lower number first");
                    self.ranges.push((range, span));
                }
                Entry::Range(range, span) => self.ranges.push((range, span)),
            }
        }
    }

    pub(super) fn has(&self, number: i64) -> bool {
        self.ranges.iter().any(|(range, _)| range.contains(&number))
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|reserved| reserved.text == name)
    }
}

enum Entry {
    Range(RangeInclusive<i64>, Span),
    Name(Text),
}

fn entries(list: TokenStream) -> syn::Result<Punctuated<Entry, Token![,]>> {
    syn::parse::Parser::parse2(Punctuated::parse_terminated, list)
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            return Ok(Self::Name(Text { text: name.value(), span: name.span() }));
        }
        if !input.peek(LitInt) && !input.peek(Token![-]) {
            return Err(
                input.error("expected a number, a range such as `7..=9`, or a name in quotes")
            );
        }
        let first: Number = input.parse()?;
        let low = bound(&first)?;
        if input.peek(Token![..=]) {
            input.parse::<Token![..=]>()?;
            let last: Number = input.parse()?;
            let high = bound(&last)?;
            return Ok(Self::Range(low..=high, first.span()));
        }
        if input.peek(Token![..]) {
            let message = "a range must include its last number, as in `7..=8`";
            return Err(input.error(message));
        }
        Ok(Self::Range(low..=low, first.span()))
    }
}

fn bound(number: &Number) -> syn::Result<i64> {
    number.value.ok_or_else(|| syn::Error::new_spanned(number, "no number is that large"))
}

/// Suggests unused numbers.
pub(super) struct Free {
    /// All numbers that are in use, and all numbers that were suggested.
    taken: BTreeSet<i64>,
    bounds: RangeInclusive<i64>,
    fields: bool,
}

impl Free {
    pub(super) fn of_fields(taken: impl Iterator<Item = i64>) -> Self {
        Self { taken: taken.collect(), bounds: 1..=MAX_TAG, fields: true }
    }

    pub(super) fn of_values(taken: impl Iterator<Item = i64>) -> Self {
        Self { taken: taken.collect(), bounds: 0..=i64::from(i32::MAX), fields: false }
    }

    /// Returns the number after the highest one. If that does not exist, returns the lowest free number.
    pub(super) fn next(&mut self, reserved: &Reserved) -> i64 {
        // A number that no field can have was written by mistake.
        let own = self.fields.then_some(&PROTOBUFS_OWN);
        let is_valid = |number: &&i64| {
            self.bounds.contains(number)
                && !own.is_some_and(|own| own.contains(number))
                && !reserved.has(**number)
        };
        let highest = self.taken.iter().rev().find(is_valid);
        let above = highest.map_or(*self.bounds.start(), |highest| highest + 1);
        let number = self.free_from(above, reserved);
        let number = number.or_else(|| self.free_from(*self.bounds.start(), reserved));
        // All numbers are used. This does not occur in practice.
        let number = number.unwrap_or(*self.bounds.end());
        self.taken.insert(number);
        number
    }

    fn free_from(&self, first: i64, reserved: &Reserved) -> Option<i64> {
        let own = self.fields.then_some(&PROTOBUFS_OWN);
        let ranges = || reserved.ranges.iter().map(|(range, _)| range).chain(own);
        let mut number = first;
        while self.bounds.contains(&number) {
            if let Some(range) = ranges().find(|range| range.contains(&number)) {
                number = range.end().saturating_add(1);
            } else if self.taken.contains(&number) {
                number += 1;
            } else {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Free, MAX_TAG, Reserved};

    #[test]
    fn the_next_number_is_above_the_highest() {
        let mut free = Free::of_fields([1, 7].into_iter());
        assert_eq!((free.next(&Reserved::default()), free.next(&Reserved::default())), (8, 9));
        let mut free = Free::of_fields([18_999].into_iter());
        assert_eq!(free.next(&Reserved::default()), 20_000);
        let mut free = Free::of_values([-4].into_iter());
        assert_eq!(free.next(&Reserved::default()), 0);
    }

    #[test]
    fn a_number_that_no_field_can_have_does_not_count() {
        let mut free = Free::of_fields([1, 3, 19_000].into_iter());
        assert_eq!(free.next(&Reserved::default()), 4);
        let mut free = Free::of_fields([1, 3, MAX_TAG + 1, -5].into_iter());
        assert_eq!(free.next(&Reserved::default()), 4);
        let reserved = || Reserved {
            ranges: vec![(100..=200, proc_macro2::Span::call_site())],
            names: Vec::new(),
        };
        assert_eq!(Free::of_fields([1, 3, 150].into_iter()).next(&reserved()), 4);
    }

    #[test]
    fn above_the_last_there_are_gaps() {
        let mut free = Free::of_fields([1, 3, MAX_TAG].into_iter());
        assert_eq!((free.next(&Reserved::default()), free.next(&Reserved::default())), (2, 4));
    }
}
