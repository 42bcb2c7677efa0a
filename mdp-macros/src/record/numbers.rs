//! Numbers of fields and of an enum's values: which there are, which are free.

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
/// What protobuf keeps for itself.
pub(super) const PROTOBUFS_OWN: RangeInclusive<i64> = 19_000..=19_999;

/// A number, and where it was written.
#[derive(Clone)]
pub(super) struct Tag {
    pub(super) number: u32,
    pub(super) span: Span,
}

/// Numbers and names that stay free.
#[derive(Default)]
pub(super) struct Reserved {
    pub(super) ranges: Vec<(RangeInclusive<i64>, Span)>,
    pub(super) names: Vec<Text>,
}

impl Reserved {
    /// Takes `reserved(5, 7..=9, "old")`.
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
            let message = "is 9 in `7..9`? Write the last one too, as in `7..=8`";
            return Err(input.error(message));
        }
        Ok(Self::Range(low..=low, first.span()))
    }
}

fn bound(number: &Number) -> syn::Result<i64> {
    number.value.ok_or_else(|| syn::Error::new_spanned(number, "no number is that large"))
}

/// Gives out numbers that nobody has.
pub(super) struct Free {
    next: i64,
    max: i64,
}

impl Free {
    /// Above those taken. `taken` has all that is known to be written.
    pub(super) fn of_fields(taken: impl Iterator<Item = i64>) -> Self {
        let highest = taken.filter(|number| (1..=MAX_TAG).contains(number)).max();
        Self { next: highest.unwrap_or(0).saturating_add(1), max: MAX_TAG }
    }

    /// As for fields; an enum's values begin at zero.
    pub(super) fn of_values(taken: impl Iterator<Item = i64>) -> Self {
        let highest = taken.filter(|number| i32::try_from(*number).is_ok()).max();
        Self { next: highest.map_or(0, |highest| highest.max(-1) + 1), max: i64::from(i32::MAX) }
    }

    /// The next free number, in words.
    pub(super) fn next(&mut self, reserved: &Reserved, fields: bool) -> String {
        let own = fields.then_some(&PROTOBUFS_OWN);
        let taken = || reserved.ranges.iter().map(|(range, _)| range).chain(own);
        while let Some(range) = taken().find(|range| range.contains(&self.next)) {
            self.next = range.end().saturating_add(1);
            if self.next == i64::MAX {
                break;
            }
        }
        let number = self.next;
        self.next = number.saturating_add(1);
        if number > self.max { "a lower one that is free".to_owned() } else { number.to_string() }
    }
}
