//! Templates. The code selects functions by type: the traits of the runtime define how each type is encoded.

pub(super) mod choice;
pub(super) mod enumeration;
pub(super) mod message;
mod schema;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, Type};

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
fn codec(ty: &Type, kind: Option<Kind>) -> TokenStream {
    match kind {
        Some(kind) => {
            let name = kind.codec();
            quote_spanned!(place(ty)=> __mdp::#name)
        }
        None => quote_spanned!(place(ty)=> __mdp::CodecOf<#ty>),
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
