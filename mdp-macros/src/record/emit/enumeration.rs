//! The code that encodes and decodes an enum without data.

use proc_macro2::TokenStream;
use quote::quote;

use crate::record::enumeration::Enumeration;

/// Emits all implementations.
pub(in crate::record) fn all(enumeration: &Enumeration<'_>) -> TokenStream {
    let ident = enumeration.ident;
    let values = || {
        let values = enumeration.values.iter();
        values.filter_map(|value| Some((&value.ident, value.number?.0)))
    };
    let zero = values().find(|(_, number)| *number == 0).map(|(variant, _)| variant);
    let numbers = values().map(|(variant, number)| quote!(Self::#variant => #number,));
    let known = values()
        .map(|(variant, number)| quote!(#number => ::core::option::Option::Some(Self::#variant),));
    let (held, kept) = match &enumeration.other {
        Some(other) => (
            quote!(Self::#other(number) => *number,),
            quote!(::core::option::Option::Some(Self::#other(number))),
        ),
        None => (quote!(), quote!(::core::option::Option::None)),
    };
    let schema = super::schema::enumeration(enumeration);
    let (name, package) = (&enumeration.container.name, enumeration.container.package.as_deref());
    let package = package.unwrap_or_default();
    let names = enumeration.values.iter().map(|value| &value.name.text);
    quote! {
        #[automatically_derived]
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                Self::#zero
            }
        }

        #[automatically_derived]
        impl __mdp::Enumeration for #ident {
            fn zero() -> Self {
                Self::#zero
            }

            fn number(&self) -> i32 {
                match self {
                    #(#numbers)*
                    #held
                }
            }

            fn from_number(number: i32) -> ::core::option::Option<Self> {
                match number {
                    #(#known)*
                    _ => #kept,
                }
            }
        }

        #[automatically_derived]
        impl __mdp::FieldType for #ident {
            type Codec = __mdp::Enum;
            const ENUM: ::core::option::Option<__mdp::EnumNames> =
                ::core::option::Option::Some(__mdp::EnumNames {
                    package: #package,
                    name: #name,
                    values: &[#(#names),*],
                });
        }

        #schema
    }
}
