//! Collects mistakes, so that all mistakes of one item are shown at once.

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
    /// Adds a mistake at these tokens.
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

    /// Returns the value. On an error, returns `None` and adds the error as a mistake.
    pub(super) fn value<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// Returns all mistakes. `None`: there are no mistakes.
    pub(super) fn finish(self) -> Option<Error> {
        self.all
    }
}
