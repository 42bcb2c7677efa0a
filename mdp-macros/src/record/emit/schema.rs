//! The code that describes an item in a schema.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Expr;

use super::message::layout;
use super::{codec, place};
use crate::record::attributes::{Container, Notes};
use crate::record::choice::Choice;
use crate::record::enumeration::Enumeration;
use crate::record::message::{Field, Message, Role, Value};

/// Emits the description of a struct.
pub(super) fn message(message: &Message<'_>) -> TokenStream {
    let item = item(message.container);
    let fields = message.fields.iter().map(|field| match &field.role {
        Role::Value(value) => numbered(field, value),
        Role::Oneof(ty) => {
            let (name, docs) = (&field.name.text, &field.notes.docs);
            quote_spanned!(place(&**ty)=> <#ty as __mdp::Oneof>::describe(message, #name, &[#(#docs),*]);)
        }
        _ => TokenStream::new(),
    });
    let reserved = reserved(message.container, &quote!(message));
    described(
        message.ident,
        &quote! {
            schemas.message::<Self>(&#item, |message| {
                #(#fields)*
                #reserved
            })
        },
    )
}

fn numbered(field: &Field, value: &Value) -> TokenStream {
    let (ty, layout) = (&field.ty, layout(value));
    let mut notes = field.notes.clone();
    if let Some(default) = &value.default {
        notes.docs.push(format!(" Where it is absent it is {}.", in_words(default)));
    }
    let described = described_field(&field.name.text, value.tag.number, &notes);
    quote_spanned!(place(ty)=> <#layout as __mdp::Layout<#ty>>::describe(message, &#described);)
}

/// Emits the description of an enum without data.
pub(super) fn enumeration(enumeration: &Enumeration<'_>) -> TokenStream {
    let item = item(enumeration.container);
    let values = enumeration.values.iter().filter_map(|value| {
        let (name, number, docs) = (&value.name.text, value.number?.0, &value.notes.docs);
        Some(quote!(values.value(#name, #number, &[#(#docs),*]);))
    });
    let reserved = reserved(enumeration.container, &quote!(values));
    described(
        enumeration.ident,
        &quote! {
            schemas.enumeration::<Self>(&#item, |values| {
                #(#values)*
                #reserved
            })
        },
    )
}

/// Emits the description of an enum with data.
pub(super) fn choice(choice: &Choice<'_>) -> TokenStream {
    let ident = choice.ident;
    let fields = choice.alternatives.iter().map(|alternative| {
        let (ty, codec) = (&alternative.ty, codec(&alternative.ty, &alternative.coding));
        let field =
            described_field(&alternative.name.text, alternative.tag.number, &alternative.notes);
        quote_spanned!(place(ty)=> <#codec as __mdp::Codec<#ty>>::field(message, &#field);)
    });
    let (item, name) = (item(choice.container), choice.name_of_oneof());
    let message = described(
        ident,
        &quote! {
            schemas.message::<Self>(&#item, |message| message.oneof::<Self>(#name, &[]))
        },
    );
    quote! {
        #[automatically_derived]
        impl __mdp::DescribedOneof for #ident {
            fn describe_fields(message: &mut __mdp::MessageBuilder<'_>) {
                #(#fields)*
            }
        }

        #message
    }
}

fn described(ident: &Ident, body: &TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl __mdp::Described for #ident {
            fn describe(schemas: &mut __mdp::SchemaBuilder) -> __mdp::TypeName {
                #body
            }
        }
    }
}

fn item(container: &Container) -> TokenStream {
    let Container { name, package, notes, .. } = container;
    let package =
        package.as_ref().map(|package| quote!(package: ::core::option::Option::Some(#package),));
    let notes = noted(notes);
    quote!(__mdp::Item { #package #notes ..__mdp::Item::new(#name) })
}

fn described_field(name: &str, number: u32, notes: &Notes) -> TokenStream {
    let number = number.cast_signed();
    let notes = noted(notes);
    quote! {
        __mdp::Field { #notes ..__mdp::Field::new(#name, #number, __mdp::Label::Implicit) }
    }
}

fn noted(Notes { docs, deprecated }: &Notes) -> TokenStream {
    let docs = (!docs.is_empty()).then(|| quote!(docs: &[#(#docs),*],));
    let deprecated = deprecated.then(|| quote!(deprecated: true,));
    quote!(#docs #deprecated)
}

fn reserved(container: &Container, builder: &TokenStream) -> TokenStream {
    let ranges = container.reserved.ranges.iter().map(|(range, _)| {
        let bound = |number: i64| i32::try_from(number).unwrap_or_default();
        let (low, high) = (bound(*range.start()), bound(*range.end()));
        quote!(#builder.reserved(#low, #high);)
    });
    let names = container.reserved.names.iter().map(|name| {
        let text = &name.text;
        quote!(#builder.reserved_name(#text);)
    });
    quote!(#(#ranges)* #(#names)*)
}

/// Writes an expression for people.
fn in_words(expr: &Expr) -> String {
    expr.to_token_stream().to_string().replace(" :: ", "::").replace("- ", "-")
}
