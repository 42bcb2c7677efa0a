//! The code that encodes and decodes an enum with data.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::{codec, conversion, parameters, place, read};
use crate::record::choice::{Alternative, Choice};

/// Emits all implementations.
pub(in crate::record) fn all(choice: &Choice<'_>) -> TokenStream {
    let ident = choice.ident;
    let fields = choice.alternatives.iter().map(|alternative| {
        let (tag, name) = (alternative.tag.number, &alternative.name.text);
        quote!((#tag, #name))
    });
    let each = |function: TokenStream, behind: TokenStream| {
        let arms: Vec<_> = choice
            .alternatives
            .iter()
            .map(|alternative| {
                let Alternative { ident, ty, coding, tag, .. } = alternative;
                let (codec, tag) = (codec(ty, coding), tag.number);
                quote_spanned!(place(ty)=> Self::#ident(value) => <#codec as __mdp::Codec<#ty>>::#function(#tag, value #behind),)
            })
            .collect();
        quote!(match self { #(#arms)* })
    };
    let encode = each(quote!(encode), quote!(, buf));
    let len = each(quote!(encoded_len), quote!());
    let schema = super::schema::choice(choice);
    let merge = choice.alternatives.iter().map(merge);
    let (parameters, read) = (parameters(), read());
    let conversions = choice
        .alternatives
        .iter()
        .map(|alternative| conversion(&alternative.ty, &alternative.coding));
    let message = message(ident);
    quote! {
        #(#conversions)*

        #message

        #[automatically_derived]
        impl __mdp::Oneof for #ident {
            const FIELDS: &'static [(u32, &'static str)] = &[#(#fields),*];

            fn encode(&self, buf: &mut impl __mdp::BufMut) {
                #encode
            }

            fn encoded_len(&self) -> usize {
                #len
            }

            fn merge(
                field: &mut ::core::option::Option<Self>,
                place: __mdp::Place,
                #parameters,
                keep: &mut impl __mdp::Keep,
            ) -> #read {
                match place.tag {
                    #(#merge)*
                    _ => __mdp::Keep::field(keep, place, buf, ctx),
                }
            }
        }

        #schema
    }
}

/// The enum as a message of its own: a field that is no oneof, a request or a reply.
fn message(ident: &Ident) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl __mdp::FieldType for #ident {
            type Codec = __mdp::Choice;
        }

        #[automatically_derived]
        impl __mdp::TypedMessage for #ident {
            fn encoded_len(&self) -> usize {
                <Self as __mdp::Oneof>::encoded_len(self)
            }

            fn encode_to(&self, bytes: &mut __mdp::ByteVec) {
                <Self as __mdp::Oneof>::encode(self, bytes);
            }

            fn decode_from(
                bytes: __mdp::SharedBytes,
            ) -> ::core::result::Result<Self, __mdp::DecodeError> {
                __mdp::read_choice(bytes)
            }
        }
    }
}

fn merge(alternative: &Alternative) -> TokenStream {
    let Alternative { ident, ty, coding, tag, .. } = alternative;
    let (codec, tag) = (codec(ty, coding), tag.number);
    quote_spanned! {place(ty)=>
        #tag => {
            // With one variant only, there is no other.
            #[allow(unreachable_patterns)]
            let current = match field {
                ::core::option::Option::Some(Self::#ident(value)) => {
                    ::core::option::Option::Some(value)
                }
                _ => ::core::option::Option::None,
            };
            let new = __mdp::merge_variant::<#ty, #codec>(current, place, buf, ctx, keep)?;
            if let ::core::option::Option::Some(value) = new {
                *field = ::core::option::Option::Some(Self::#ident(value));
            }
            ::core::result::Result::Ok(())
        }
    }
}
