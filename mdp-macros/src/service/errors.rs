//! Collects mistakes, so that all of them are shown at once.

use proc_macro2::TokenStream;

/// The mistakes of one item, in the order in which they were found.
#[derive(Default)]
pub(super) struct Errors(Vec<syn::Error>);

impl Errors {
    pub(super) fn push(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    /// Returns the value. On an error, returns `None` and adds the error as a mistake.
    pub(super) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_compile_errors(self) -> TokenStream {
        self.0.into_iter().map(syn::Error::into_compile_error).collect()
    }
}
