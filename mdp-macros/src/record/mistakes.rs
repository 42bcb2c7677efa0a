//! Mistakes, gathered so that all of one item are shown at once.

use std::fmt::Display;

use proc_macro2::Span;
use quote::ToTokens;
use syn::Error;

/// The mistakes of an item so far.
#[derive(Default)]
pub(super) struct Mistakes {
    all: Option<Error>,
}

impl Mistakes {
    /// Adds a mistake that the tokens make.
    pub(super) fn of(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// Adds a mistake at a place.
    pub(super) fn at(&mut self, span: Span, message: impl Display) {
        self.add(Error::new(span, message));
    }

    /// Adds a parser's error.
    pub(super) fn add(&mut self, error: Error) {
        match &mut self.all {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    /// The value, or `None` and one mistake more.
    pub(super) fn value<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// All mistakes. `None`: there are none.
    pub(super) fn finish(self) -> Option<Error> {
        self.all
    }
}
