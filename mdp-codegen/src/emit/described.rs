//! The template that lets Rust services and records use messages and enums of `.proto` files.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Path};

use super::{Options, quiet};

/// A type that `prost-build` generated.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    /// The path from the module of the type's package.
    pub(crate) path: Path,
    /// The full name without the package.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) cfgs: Vec<Attribute>,
}

/// The kind of a [`Generated`] type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    /// An enum, and whether it has the zero value that proto3 requires for a field.
    Enumeration {
        zero: bool,
    },
}

/// The descriptors that come into the code of one module.
#[derive(Clone, Debug)]
pub(crate) struct Embedded {
    /// The name of the static.
    pub(crate) constant: String,
    /// The beginning of the types' full names: `.auth.v1.`.
    pub(crate) package: String,
    /// The types of the module.
    pub(crate) types: Vec<Generated>,
    /// The file with the descriptors, beside the one with the code.
    pub(crate) file: String,
    /// Its content.
    pub(crate) packed: Vec<u8>,
    /// The statics of other modules, seen from this one.
    pub(crate) uses: Vec<Path>,
}

/// The descriptors, and the implementations for the types of the module.
pub(crate) fn all(embedded: &Embedded, options: &Options) -> TokenStream {
    let Embedded { constant, package, types, file, uses, .. } = embedded;
    let (quiet, runtime) = (quiet(), &options.runtime);
    let constant = format_ident!("{constant}");
    let types = types.iter().map(|Generated { path, name, kind, cfgs }| {
        let kind = match kind {
            Kind::Message => quote!(message),
            Kind::Enumeration { zero: true } => quote!(enumeration),
            Kind::Enumeration { zero: false } => quote!(enumeration_without_zero),
        };
        quote!(#(#cfgs)* #kind #name #path;)
    });
    quote! {
        #[doc(hidden)]
        #quiet
        pub static #constant: #runtime::codegen::Descriptors = #runtime::codegen::Descriptors {
            packed: ::core::include_bytes!(#file),
            uses: &[#(&#uses),*],
        };
        #quiet
        const _: () = {
            #runtime::codegen::described! { #constant, #package; #(#types)* }
        };
    }
}
