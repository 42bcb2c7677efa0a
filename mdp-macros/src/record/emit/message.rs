//! The code that encodes and decodes a struct.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, Lit, Type};

use super::{codec, conversion, key_codec, parameters, place, read};
use crate::record::message::{Coding, Field, Message, Role, Value};
use crate::record::names;
use crate::record::scalars::Kind;
use crate::record::types::{self, Carried, Container};

/// Emits all implementations.
pub(in crate::record) fn all(message: &Message<'_>) -> TokenStream {
    let ident = message.ident;
    let default = default(message);
    let wire = wire(message);
    let (clashes, values) = (clashes(message), values(message));
    let schema = super::schema::message(message);
    let conversions = message
        .numbered()
        .into_iter()
        .map(|(_, value)| conversion(&value.carried.value, &value.coding));
    quote! {
        #(#conversions)*
        #default
        #wire
        #[automatically_derived]
        impl __mdp::FieldType for #ident {
            type Codec = __mdp::EmbeddedMessage;
        }
        #schema
        #clashes
        #values
    }
}

fn default(message: &Message<'_>) -> TokenStream {
    let ident = message.ident;
    let values = message.fields.iter().map(|field| {
        let name = &field.ident;
        let value = match &field.role {
            Role::Value(value) => absent(field, value),
            _ => quote!(::core::default::Default::default()),
        };
        quote!(#name: #value,)
    });
    quote! {
        #[automatically_derived]
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                Self { #(#values)* }
            }
        }
    }
}

/// The value of an absent field.
fn absent(field: &Field, value: &Value) -> TokenStream {
    let Some(default) = &value.default else {
        let (ty, layout) = (&field.ty, layout(value));
        return quote_spanned!(place(ty)=> <#layout as __mdp::Empty<#ty>>::empty());
    };
    let (ty, codec) = (&field.ty, codec(&field.ty, &value.coding));
    let default = owned(ty, default);
    quote_spanned!(place(&default)=> __mdp::default_of::<#codec, #ty>(#default))
}

/// Converts a default text: a text in quotes is borrowed, but the field is owned.
fn owned(ty: &Type, default: &Expr) -> TokenStream {
    match default {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => quote!(<#ty as ::core::convert::From<&'static str>>::from(#text)),
            Lit::ByteStr(bytes) => {
                quote!(<#ty as ::core::convert::From<&'static [u8]>>::from(#bytes))
            }
            _ => literal.to_token_stream(),
        },
        default => default.to_token_stream(),
    }
}

/// The functions of a field's layout.
fn functions(field: &Field, value: &Value) -> TokenStream {
    let (ty, layout) = (&field.ty, layout(value));
    quote_spanned!(place(ty)=> <#layout as __mdp::Layout<#ty>>)
}

/// The layout of the field.
pub(super) fn layout(value: &Value) -> TokenStream {
    let Value { carried, coding, key, unpacked, .. } = value;
    layout_of(carried, coding, *key, value.default.is_some(), *unpacked)
}

/// The layout of a field of this type.
pub(super) fn layout_of(
    carried: &Carried,
    coding: &Coding,
    key: Option<Kind>,
    default: bool,
    unpacked: bool,
) -> TokenStream {
    let span = place(&carried.value);
    let codec = codec(&carried.value, coding);
    match &carried.container {
        Container::One if default => quote_spanned!(span=> __mdp::Always<#codec>),
        // The type may be an alias of a list or a map.
        Container::One if matches!(coding, Coding::Own) => {
            let ty = &carried.value;
            quote_spanned!(span=> __mdp::LayoutOf<#ty>)
        }
        Container::One => quote_spanned!(span=> __mdp::Implicit<#codec>),
        Container::Optional => quote_spanned!(span=> __mdp::Optional<#codec>),
        Container::Repeated if unpacked => {
            quote_spanned!(span=> __mdp::Repeated<__mdp::Unpacked<#codec>>)
        }
        Container::Repeated => quote_spanned!(span=> __mdp::Repeated<#codec>),
        Container::Map(ty) => {
            let key = key_codec(ty, key);
            quote_spanned!(span=> __mdp::Map<#key, #codec>)
        }
    }
}

fn wire(message: &Message<'_>) -> TokenStream {
    let ident = message.ident;
    let (encode, len) = in_order(message);
    let merge = merge(message);
    let (parameters, read) = (parameters(), read());
    quote! {
        #[automatically_derived]
        impl __mdp::ProstMessage for #ident {
            #[allow(unused_variables)]
            fn encode_raw(&self, buf: &mut impl __mdp::BufMut) {
                #encode
            }

            #[allow(unused_variables)]
            fn merge_field(
                &mut self,
                tag: u32,
                wire: __mdp::WireType,
                #parameters
            ) -> #read {
                let place = __mdp::Place { tag, wire };
                #merge
            }

            fn encoded_len(&self) -> usize {
                0usize #len
            }

            fn clear(&mut self) {
                *self = ::core::default::Default::default();
            }
        }
    }
}

/// Encodes the fields in the order of their numbers, and adds their lengths. Only the compiler knows the numbers of a
/// oneof, so the code checks each gap between two fields.
fn in_order(message: &Message<'_>) -> (TokenStream, TokenStream) {
    let (mut encode, mut len) = (TokenStream::new(), TokenStream::new());
    let oneofs = message.oneofs();
    let gap = |after: u32, before: u32, encode: &mut TokenStream| {
        for (field, ty) in &oneofs {
            let (name, fields) = (&field.ident, fields(ty));
            encode.extend(quote_spanned! {place(ty)=>
                if const { __mdp::begins_between(#fields, #after, #before) } {
                    if let ::core::option::Option::Some(oneof) = &self.#name {
                        <#ty as __mdp::Oneof>::encode(oneof, buf);
                    }
                }
            });
        }
    };
    let mut after = 0;
    for (field, value) in message.numbered() {
        let (name, tag, layout) = (&field.ident, value.tag.number, functions(field, value));
        gap(after, tag, &mut encode);
        let span = place(&field.ty);
        encode.extend(quote_spanned!(span=> #layout::encode(#tag, &self.#name, buf);));
        len.extend(quote_spanned!(span=> + #layout::encoded_len(#tag, &self.#name)));
        after = tag;
    }
    gap(after, u32::MAX, &mut encode);
    for (field, ty) in &oneofs {
        let name = &field.ident;
        len.extend(quote_spanned! {place(ty)=>
            + self.#name.as_ref().map_or(0usize, <#ty as __mdp::Oneof>::encoded_len)
        });
    }
    if let Some(Field { ident, ty, .. }) = message.unknown() {
        let span = place(ty);
        encode.extend(quote_spanned!(span=> __mdp::UnknownFields::encode(&self.#ident, buf);));
        len.extend(quote_spanned!(span=> + __mdp::UnknownFields::encoded_len(&self.#ident)));
    }
    (encode, len)
}

fn merge(message: &Message<'_>) -> TokenStream {
    let record = names::plain(message.ident);
    let keep = match message.unknown() {
        Some(Field { ident, ty, .. }) => quote_spanned!(place(ty)=> __mdp::kept(&mut self.#ident)),
        None => quote!(&mut __mdp::Forget),
    };
    let numbered = message.numbered();
    let values = numbered.iter().map(|(field, value)| {
        let (name, tag, layout) = (&field.ident, value.tag.number, functions(field, value));
        let text = names::plain(name);
        quote_spanned! {place(&field.ty)=>
            #tag => #layout::merge(&mut self.#name, place, buf, ctx, #keep)
                .map_err(__mdp::at(#record, #text)),
        }
    });
    let oneofs = message.oneofs().into_iter().map(|(field, ty)| {
        let (name, text) = (&field.ident, names::plain(&field.ident));
        let fields = fields(ty);
        quote_spanned! {place(ty)=>
            _ if !__mdp::tag_is_free(#fields, tag) => {
                <#ty as __mdp::Oneof>::merge(&mut self.#name, place, buf, ctx, #keep)
                    .map_err(__mdp::at(#record, #text))
            }
        }
    });
    quote! {
        match tag {
            #(#values)*
            #(#oneofs)*
            _ => __mdp::Keep::field(#keep, place, buf, ctx),
        }
    }
}

/// Emits checks that only the compiler can make, because the enum of a oneof is declared elsewhere.
fn clashes(message: &Message<'_>) -> TokenStream {
    let mut checks = TokenStream::new();
    let oneofs = message.oneofs();
    for (index, (oneof, ty)) in oneofs.iter().enumerate() {
        let of = &oneof.ident;
        let fields = fields(ty);
        for (field, value) in message.numbered() {
            let (tag, name) = (value.tag.number, &field.name.text);
            let text = format!(
                "a variant of the oneof `{of}` has the number {tag} too; change one of them"
            );
            checks.extend(quote_spanned! {value.tag.span=>
                const _: () = ::core::assert!(__mdp::tag_is_free(#fields, #tag), #text);
            });
            let text = format!(
                "a variant of the oneof `{of}` is called `{name}` too; `rename` one of them"
            );
            checks.extend(quote_spanned! {field.name.span=>
                const _: () = ::core::assert!(__mdp::name_is_free(#fields, #name), #text);
            });
        }
        for (range, span) in &message.container.reserved.ranges {
            let text = format!(
                "a variant of the oneof `{of}` has a number that is reserved here; change it"
            );
            let (low, high) = (bound(*range.start()), bound(*range.end()));
            checks.extend(quote_spanned! {*span=>
                const _: () = ::core::assert!(__mdp::range_is_free(#fields, #low, #high), #text);
            });
        }
        for name in &message.container.reserved.names {
            let text = format!(
                "a variant of the oneof `{of}` has a name that is reserved here; `rename` it"
            );
            let (reserved, span) = (&name.text, name.span);
            checks.extend(quote_spanned! {span=>
                const _: () = ::core::assert!(__mdp::name_is_free(#fields, #reserved), #text);
            });
        }
        let (name, span) = (&oneof.name.text, oneof.name.span);
        for (other, other_ty) in &oneofs {
            let text = match other.ident == oneof.ident {
                true => format!(
                    "a variant of the oneof `{of}` is called `{name}` too; `rename` one of them"
                ),
                false => format!(
                    "a variant of the oneof `{}` is called `{name}` too; `rename` one of them",
                    other.ident
                ),
            };
            let other_fields = self::fields(other_ty);
            checks.extend(quote_spanned! {span=>
                const _: () = ::core::assert!(__mdp::name_is_free(#other_fields, #name), #text);
            });
        }
        for (other, other_ty) in oneofs.iter().take(index) {
            let text = format!(
                "the oneofs `{}` and `{of}` have a number or a name in common; change one of them",
                other.ident
            );
            let other_fields = self::fields(other_ty);
            checks.extend(quote_spanned! {place(ty)=>
                const _: () = ::core::assert!(
                    __mdp::are_apart(#fields, #other_fields),
                    #text
                );
            });
        }
    }
    checks
}

/// Emits checks of the enums in the fields, whose values share one namespace. Other enums of the package are compared
/// when the schema is used.
fn values(message: &Message<'_>) -> TokenStream {
    let mut seen: Vec<String> = Vec::new();
    let mut enums: Vec<TokenStream> = Vec::new();
    let mut checks = TokenStream::new();
    let text = "an enum of another field has a value of the same name in the schema; `rename` one of the variants";
    for field in &message.fields {
        let Role::Value(value) = &field.role else { continue };
        let ty = &value.carried.value;
        let own = matches!(value.coding, Coding::Own) && value.default.is_none();
        if !own || is_std(ty) || seen.contains(&ty.to_token_stream().to_string()) {
            continue;
        }
        seen.push(ty.to_token_stream().to_string());
        let of = match &value.carried.container {
            Container::One => quote_spanned!(place(ty)=> <#ty as __mdp::FieldLayout>::ENUM),
            _ => quote_spanned!(place(ty)=> <#ty as __mdp::FieldType>::ENUM),
        };
        if !enums.is_empty() {
            checks.extend(quote_spanned! {place(ty)=>
                const _: () = ::core::assert!(__mdp::values_are_apart(&[#(#enums),*], #of), #text);
            });
        }
        enums.push(of);
    }
    checks
}

/// Whether a type is one of Rust's own, by its name, and so no enum.
fn is_std(ty: &Type) -> bool {
    types::std_name(ty).is_none_or(|name| Kind::of(&name).next().is_some())
}

/// The numbers and names of a oneof's fields.
fn fields(ty: &Type) -> TokenStream {
    quote_spanned!(place(ty)=> <#ty as __mdp::Oneof>::FIELDS)
}

fn bound(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
