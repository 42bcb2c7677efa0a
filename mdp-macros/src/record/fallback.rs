//! Code for an item with mistakes, so that uses of the item cause no further errors.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput};

use super::enumeration;

/// Implementations that the compiler accepts and that never run.
pub(super) fn of(item: &DeriveInput) -> TokenStream {
    if !item.generics.params.is_empty() {
        return TokenStream::new();
    }
    match &item.data {
        Data::Enum(data) if enumeration::is_one(data) => of_enumeration(item),
        Data::Enum(_) => of_choice(item),
        Data::Struct(_) | Data::Union(_) => of_message(item),
    }
}

fn of_message(item: &DeriveInput) -> TokenStream {
    let ident = &item.ident;
    quote! {
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                ::core::unreachable!()
            }
        }

        #[allow(unused_variables)]
        impl __mdp::ProstMessage for #ident {
            fn encode_raw(&self, buf: &mut impl __mdp::BufMut) {}

            fn merge_field(
                &mut self,
                tag: u32,
                wire: __mdp::WireType,
                buf: &mut impl __mdp::Buf,
                ctx: __mdp::DecodeContext,
            ) -> ::core::result::Result<(), __mdp::DecodeError> {
                ::core::unreachable!()
            }

            fn encoded_len(&self) -> usize {
                ::core::unreachable!()
            }

            fn clear(&mut self) {}
        }

        impl __mdp::FieldType for #ident {
            type Codec = __mdp::EmbeddedMessage;
        }

        impl __mdp::Described for #ident {
            fn describe(_: &mut __mdp::SchemaBuilder) -> __mdp::TypeName {
                ::core::unreachable!()
            }
        }
    }
}

fn of_enumeration(item: &DeriveInput) -> TokenStream {
    let ident = &item.ident;
    quote! {
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                ::core::unreachable!()
            }
        }

        #[allow(unused_variables)]
        impl __mdp::Enumeration for #ident {
            fn zero() -> Self {
                ::core::unreachable!()
            }

            fn number(&self) -> i32 {
                ::core::unreachable!()
            }

            fn from_number(number: i32) -> ::core::option::Option<Self> {
                ::core::unreachable!()
            }
        }

        impl __mdp::FieldType for #ident {
            type Codec = __mdp::Enum;
        }

        impl __mdp::Described for #ident {
            fn describe(_: &mut __mdp::SchemaBuilder) -> __mdp::TypeName {
                ::core::unreachable!()
            }
        }
    }
}

fn of_choice(item: &DeriveInput) -> TokenStream {
    let ident = &item.ident;
    quote! {
        #[allow(unused_variables)]
        impl __mdp::Oneof for #ident {
            const FIELDS: &'static [(u32, &'static str)] = &[];

            fn encode(&self, buf: &mut impl __mdp::BufMut) {}

            fn encoded_len(&self) -> usize {
                ::core::unreachable!()
            }

            fn merge(
                field: &mut ::core::option::Option<Self>,
                place: __mdp::Place,
                buf: &mut impl __mdp::Buf,
                ctx: __mdp::DecodeContext,
                keep: &mut impl __mdp::Keep,
            ) -> ::core::result::Result<(), __mdp::DecodeError> {
                ::core::unreachable!()
            }
        }

        impl __mdp::DescribedOneof for #ident {
            fn describe_fields(_: &mut __mdp::MessageBuilder<'_>) {}
        }

        impl __mdp::FieldType for #ident {
            type Codec = __mdp::Choice;
        }

        #[allow(unused_variables)]
        impl __mdp::TypedMessage for #ident {
            fn encoded_len(&self) -> usize {
                ::core::unreachable!()
            }

            fn encode_to(&self, bytes: &mut __mdp::ByteVec) {}

            fn decode_from(
                bytes: __mdp::SharedBytes,
            ) -> ::core::result::Result<Self, __mdp::DecodeError> {
                ::core::unreachable!()
            }
        }

        impl __mdp::Described for #ident {
            fn describe(_: &mut __mdp::SchemaBuilder) -> __mdp::TypeName {
                ::core::unreachable!()
            }
        }
    }
}
