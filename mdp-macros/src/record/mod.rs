//! `#[derive(MdpRecord)]`: reads the item, checks it, and emits the code for the wire and for the schema.

mod arguments;
mod attributes;
mod check;
mod choice;
mod emit;
mod enumeration;
mod fallback;
mod message;
mod mistakes;
mod names;
mod newtype;
mod numbers;
mod scalars;
mod types;

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput};

use self::attributes::Container;
use self::mistakes::Mistakes;

/// Emits the implementations for an item. For an item with mistakes, emits all mistakes and code that prevents further
/// errors.
pub(crate) fn expand(item: &DeriveInput) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let container = Container::read(item, &mut mistakes);
    let code = declared(item, &container, &mut mistakes);
    match mistakes.finish() {
        None => emit::inside(&container.runtime, code),
        Some(error) => {
            let fallback = emit::inside(&container.runtime, fallback::of(item));
            let errors = error.into_compile_error();
            quote::quote!(#errors #fallback)
        }
    }
}

fn declared(item: &DeriveInput, container: &Container, mistakes: &mut Mistakes) -> TokenStream {
    check::generics(&item.generics, mistakes);
    match &item.data {
        Data::Struct(data) if newtype::is_one(data) => {
            let newtype = newtype::read(item, data, container, mistakes);
            newtype.as_ref().map(emit::newtype::all).unwrap_or_default()
        }
        Data::Struct(data) => {
            let message = message::read(item, data, container, mistakes);
            check::message(&message, mistakes);
            emit::message::all(&message)
        }
        Data::Enum(data) if enumeration::is_one(data) => {
            let enumeration = enumeration::read(item, data, container, mistakes);
            check::enumeration(&enumeration, mistakes);
            emit::enumeration::all(&enumeration)
        }
        Data::Enum(data) => {
            let choice = choice::read(item, data, container, mistakes);
            check::choice(&choice, mistakes);
            emit::choice::all(&choice)
        }
        Data::Union(data) => {
            mistakes.at(
                data.union_token.span(),
                "the fields of a union cannot be distinguished; make it an enum with data, which is a oneof",
            );
            TokenStream::new()
        }
    }
}
