//! Templates. The code is put together by type: what a type is on the wire, the runtime's traits know.

pub(super) mod choice;
pub(super) mod enumeration;
pub(super) mod message;
mod schema;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Path, Type};

use super::scalars::Kind;

/// Puts code where the name `__mdp` stands for what it needs of the runtime.
pub(super) fn inside(runtime: &Path, code: TokenStream) -> TokenStream {
    quote! {
        #[allow(deprecated, unused_imports, unused_qualifications)]
        const _: () = {
            use #runtime::codegen::record as __mdp;
            #code
        };
    }
}

/// Where the tokens stand, for what the compiler says; their names mean what they mean here, even if a macro of the
/// user's wrote them.
fn place(tokens: &impl ToTokens) -> Span {
    tokens.span().resolved_at(Span::call_site())
}

/// The codec of a type: the one that was asked for, or the type's own.
fn codec(ty: &Type, kind: Option<Kind>) -> TokenStream {
    match kind {
        Some(kind) => {
            let name = kind.codec();
            quote_spanned!(place(ty)=> __mdp::#name)
        }
        None => quote_spanned!(place(ty)=> __mdp::CodecOf<#ty>),
    }
}

/// The parameters of `merge_field`, behind the number.
fn parameters() -> TokenStream {
    quote!(buf: &mut impl __mdp::Buf, ctx: __mdp::DecodeContext)
}

/// What reading gives.
fn read() -> TokenStream {
    quote!(::core::result::Result<(), __mdp::DecodeError>)
}
