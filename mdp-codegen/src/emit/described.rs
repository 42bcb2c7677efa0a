//! The template that lets Rust services and records use messages and enums of `.proto` files.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Path};

use super::{Options, quiet};

/// A type that `prost-build` generated.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    /// The path from the module of the type's package.
    pub(crate) path: Path,
    /// The full name with a leading dot.
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
    /// The types of the module.
    pub(crate) types: Vec<Generated>,
    /// An encoded set of descriptors.
    pub(crate) bytes: Vec<u8>,
    /// The statics of other modules, seen from this one.
    pub(crate) uses: Vec<Path>,
}

/// The descriptors, and the implementations for the types of the module.
pub(crate) fn all(embedded: &Embedded, options: &Options) -> TokenStream {
    let Embedded { constant, types, bytes, uses } = embedded;
    let (quiet, runtime) = (quiet(), &options.runtime);
    let (constant, bytes) = (format_ident!("{constant}"), Literal::byte_string(bytes));
    let implementations = types.iter().map(|of| implementations(of, &constant, options));
    quote! {
        #[doc(hidden)]
        #quiet
        pub static #constant: #runtime::codegen::Descriptors = #runtime::codegen::Descriptors {
            bytes: #bytes,
            uses: &[#(&#uses),*],
        };
        #quiet
        const _: () = {
            #(#implementations)*
        };
    }
}

fn implementations(of: &Generated, constant: &Ident, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let Generated { path, name, kind, cfgs } = of;
    let (embedded, codec) = match kind {
        Kind::Message => (quote!(embedded_message), Some(quote!(EmbeddedMessage))),
        Kind::Enumeration { zero } => (quote!(embedded_enumeration), zero.then(|| quote!(Enum))),
    };
    let field = codec.map(|codec| {
        quote! {
            #(#cfgs)*
            impl #runtime::codegen::record::FieldType for #path {
                type Codec = #runtime::codegen::record::#codec;
            }
        }
    });
    let numbers = (*kind == Kind::Enumeration { zero: true }).then(|| {
        quote! {
            #(#cfgs)*
            impl #runtime::codegen::record::Enumeration for #path {
                fn zero() -> Self {
                    ::core::default::Default::default()
                }

                fn number(&self) -> i32 {
                    *self as i32
                }

                fn from_number(number: i32) -> ::core::option::Option<Self> {
                    ::core::result::Result::ok(::core::convert::TryFrom::try_from(number))
                }
            }
        }
    });
    quote! {
        #(#cfgs)*
        impl #runtime::codegen::Described for #path {
            fn describe(schemas: &mut #runtime::codegen::SchemaBuilder) -> #runtime::codegen::TypeName {
                schemas.#embedded::<Self>(#name, &#constant)
            }
        }
        #field
        #numbers
    }
}
