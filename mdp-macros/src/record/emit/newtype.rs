//! The code that writes and reads a struct around one value.

use proc_macro2::TokenStream;
use quote::quote;

use super::{codec, conversion, message};
use crate::record::newtype::Newtype;
use crate::record::types::Container;

/// Emits all implementations.
pub(in crate::record) fn all(newtype: &Newtype<'_>) -> TokenStream {
    let Newtype { ident, ty, carried, coding, .. } = newtype;
    let conversion = conversion(&carried.value, coding);
    let on_the_wire = match &carried.container {
        Container::One => {
            let codec = codec(&carried.value, coding);
            quote! {
                #[automatically_derived]
                impl __mdp::FieldType for #ident {
                    type Codec = __mdp::Held<#codec>;
                }
            }
        }
        _ => {
            let layout = message::layout_of(carried, coding, newtype.key, false, newtype.unpacked);
            quote! {
                #[automatically_derived]
                impl __mdp::FieldLayout for #ident {
                    type Layout = __mdp::HeldLayout<#layout>;
                }
            }
        }
    };
    quote! {
        #conversion

        #[automatically_derived]
        impl __mdp::Newtype for #ident {
            type Inner = #ty;

            fn wrap(inner: Self::Inner) -> Self {
                Self(inner)
            }

            fn inner(&self) -> &Self::Inner {
                &self.0
            }

            fn inner_mut(&mut self) -> &mut Self::Inner {
                &mut self.0
            }
        }

        #on_the_wire
    }
}
