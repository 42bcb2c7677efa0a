//! Templates. The code selects functions by type: the traits of the runtime define how each type is encoded.

pub(super) mod choice;
pub(super) mod enumeration;
pub(super) mod message;
pub(super) mod newtype;
mod schema;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, Type};

use super::message::Coding;
use super::scalars::Kind;

/// Wraps code so that the name `__mdp` means the runtime's module for derived code.
pub(super) fn inside(runtime: &Path, code: TokenStream) -> TokenStream {
    quote! {
        #[allow(deprecated, unused_imports, unused_qualifications)]
        const _: () = {
            use #runtime::codegen::record as __mdp;
            #code
        };
    }
}

/// The source position of the tokens, for the compiler's messages. Names in generated code are resolved at the derive's
/// call site, even if the user's own macro produced the tokens.
fn place(tokens: &impl ToTokens) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

/// The codec of a type: the one that the attribute names, or the type's own.
fn codec(ty: &Type, coding: &Coding) -> TokenStream {
    match coding {
        Coding::Own => quote_spanned!(place(ty)=> __mdp::CodecOf<#ty>),
        Coding::Kind(kind) => kind_codec(ty, *kind),
        Coding::Text => quote_spanned!(place(ty)=> __mdp::Through<__mdp::ByText>),
        Coding::As(wire) => {
            // The parts have the places of their types, for errors in them.
            let by = quote_spanned!(place(&**wire)=> __mdp::As<#wire>);
            quote_spanned!(place(ty)=> __mdp::Through<#by>)
        }
        Coding::With(_, name) => {
            quote_spanned!(place(ty)=> __mdp::Through<__mdp::By<#name>>)
        }
    }
}

fn kind_codec(ty: &Type, kind: Kind) -> TokenStream {
    let name = kind.codec();
    quote_spanned!(place(ty)=> __mdp::#name)
}

/// The codec of a map's key.
fn key_codec(ty: &Type, kind: Option<Kind>) -> TokenStream {
    codec(ty, &kind.map_or(Coding::Own, Coding::Kind))
}

/// What `with = module` needs: a type that stands for the module.
fn conversion(ty: &Type, coding: &Coding) -> TokenStream {
    let Coding::With(module, name) = coding else { return TokenStream::new() };
    let module = &**module;
    let to_wire = quote_spanned!(place(module)=> #module::to_wire(value));
    let from_wire = quote_spanned!(place(module)=> #module::from_wire(wire));
    let wire = quote_spanned!(place(module)=> #module::Wire);
    quote! {
        #[allow(non_camel_case_types)]
        enum #name {}

        impl __mdp::Conversion for #name {
            type Wire = #wire;
        }

        impl __mdp::With<#ty> for #name {
            fn to_wire(value: &#ty) -> #wire {
                #to_wire
            }

            fn from_wire(
                wire: #wire,
            ) -> ::core::result::Result<#ty, impl ::core::fmt::Display> {
                #from_wire
            }
        }
    }
}

/// The parameters of `merge_field` after the number.
fn parameters() -> TokenStream {
    quote!(buf: &mut impl __mdp::Buf, ctx: __mdp::DecodeContext)
}

/// The return type of functions that decode.
fn read() -> TokenStream {
    quote!(::core::result::Result<(), __mdp::DecodeError>)
}
