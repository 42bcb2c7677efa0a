//! The records that stand for the arguments and for the value of a method, and the bodies of methods.

use lean_codegen::emit::{DefaultBody, RustService};
use lean_codegen::model::Shape;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    Attribute, FnArg, GenericArgument, Path, PathArguments, ReturnType, TraitItemFn, Type,
    Visibility,
};

use super::signature::{self, Argument, Value};

/// Where the generated items stand.
pub(super) struct Place<'a> {
    pub(super) runtime: &'a Path,
    pub(super) visibility: &'a Visibility,
    /// The conditions of the trait and of the method.
    pub(super) cfgs: Vec<Attribute>,
    /// The path of the method on the wire.
    pub(super) path: String,
}

/// Declares the record of which the arguments are the fields. An argument without a number has its place as one.
pub(super) fn of_arguments(name: &Ident, arguments: &[Argument], place: &Place<'_>) -> TokenStream {
    let fields = (1_u32..).zip(arguments).map(|(number, Argument { ident, attributes, value })| {
        let number = (!attributes.iter().any(has_number)).then(|| {
            let number = proc_macro2::Literal::u32_unsuffixed(number);
            quote!(#[mdp(#number)])
        });
        let ty = &value.written;
        quote!(#(#attributes)* #number pub #ident: #ty,)
    });
    let doc = format!(" The arguments of `{}`.", place.path);
    declared(name, &doc, &quote!(#(#fields)*), place)
}

/// Declares the record around the value that a method returns.
pub(super) fn of_value(name: &Ident, value: &Value, place: &Place<'_>) -> TokenStream {
    let ty = &value.written;
    let doc = format!(" What `{}` returns.", place.path);
    let declared = declared(name, &doc, &quote!(#[mdp(1)] pub value: #ty,), place);
    let Place { runtime, cfgs, .. } = place;
    quote! {
        #declared

        #(#cfgs)*
        #[automatically_derived]
        impl #runtime::codegen::ValueRecord for #name {
            type Value = #ty;

            fn into_value(self) -> Self::Value {
                self.value
            }
        }
    }
}

fn declared(name: &Ident, doc: &str, fields: &TokenStream, place: &Place<'_>) -> TokenStream {
    let Place { runtime, visibility, cfgs, .. } = place;
    quote! {
        #[doc = #doc]
        #[doc(hidden)]
        #[allow(missing_docs, unreachable_pub, private_interfaces, clippy::all, clippy::pedantic)]
        #(#cfgs)*
        #[derive(#runtime::MdpRecord)]
        #[mdp(crate = #runtime)]
        #visibility struct #name {
            #fields
        }
    }
}

/// Whether `#[mdp(..)]` begins with a number. A number elsewhere in it counts, too.
fn has_number(attribute: &Attribute) -> bool {
    let Ok(list) = attribute.meta.require_list() else { return false };
    let mut starts = true;
    list.tokens.clone().into_iter().any(|token| {
        let first = std::mem::replace(&mut starts, false);
        match token {
            proc_macro2::TokenTree::Punct(comma) if comma.as_char() == ',' => {
                starts = true;
                false
            }
            proc_macro2::TokenTree::Literal(_) => first,
            _ => false,
        }
    })
}

/// A body that the user wrote in the trait. It stays next to the trait, where its names have their meaning.
pub(super) struct Body {
    function: Ident,
    tokens: TokenStream,
}

impl Body {
    /// Reads the body of a method. `None`: it has none.
    pub(super) fn of(item: &TraitItemFn, shape: Shape, cfgs: &[Attribute]) -> Option<Self> {
        let block = item.default.as_ref()?;
        let function = format_ident!("__{}", item.sig.ident.unraw(), span = item.sig.ident.span());
        let mut inputs = item.sig.inputs.clone();
        for input in &mut inputs {
            if let FnArg::Typed(argument) = input {
                argument.attrs.clear();
            }
        }
        let ReturnType::Type(_, output) = &item.sig.output else { return None };
        let output = if shape.has_many_replies() { sendable(output) } else { (**output).clone() };
        let tokens = match item.sig.asyncness {
            None => quote!(#(#cfgs)* fn #function(#inputs) -> #output #block),
            Some(_) => quote! {
                #(#cfgs)*
                fn #function(
                    #inputs
                ) -> impl ::core::future::Future<Output = #output> + ::core::marker::Send {
                    async move #block
                }
            },
        };
        Some(Self { function, tokens })
    }

    /// The call of the body, in the generated trait.
    pub(super) fn call(&self, defaults: &Ident) -> DefaultBody {
        let function = &self.function;
        DefaultBody::Call(syn::parse_quote!(super::#defaults::#function))
    }
}

/// The trait with the bodies.
pub(super) fn bodies(service: &RustService, defaults: &Ident, bodies: &[Body]) -> TokenStream {
    if bodies.is_empty() {
        return TokenStream::new();
    }
    let (cfgs, visibility, handler) = (&service.cfgs, &service.visibility, &service.ident);
    let tokens = bodies.iter().map(|body| &body.tokens);
    quote! {
        #[doc(hidden)]
        #[allow(missing_docs, unreachable_pub, private_interfaces)]
        #(#cfgs)*
        #visibility trait #defaults: #handler {
            #(#tokens)*
        }

        #(#cfgs)*
        impl<T: #handler + ?::core::marker::Sized> #defaults for T {}
    }
}

/// The name of the trait with the bodies.
pub(super) fn defaults_ident(service: &Ident) -> Ident {
    format_ident!("__{}Defaults", service.unraw(), span = service.span())
}

/// A result whose stream is `Send`, which the user need not write.
fn sendable(output: &Type) -> Type {
    let mut output = output.clone();
    let last = match &mut output {
        Type::Path(path) => path.path.segments.last_mut(),
        _ => None,
    };
    if let Some(PathArguments::AngleBracketed(arguments)) = last.map(|last| &mut last.arguments)
        && let Some(GenericArgument::Type(reply)) = arguments.args.first_mut()
        && let Type::ImplTrait(stream) = bare_mut(reply)
    {
        let is_send = |text: String| text.ends_with("Send");
        if !stream.bounds.iter().any(|bound| is_send(bound.to_token_stream().to_string())) {
            stream.bounds.push(syn::parse_quote!(::core::marker::Send));
        }
    }
    output
}

fn bare_mut(ty: &mut Type) -> &mut Type {
    match ty {
        Type::Group(group) => bare_mut(&mut group.elem),
        Type::Paren(paren) => bare_mut(&mut paren.elem),
        other => other,
    }
}

/// The arguments, as the templates need them.
pub(super) fn placed(arguments: Vec<Argument>) -> Vec<lean_codegen::emit::Argument> {
    let placed = arguments.into_iter().map(|signature::Argument { ident, value, .. }| {
        lean_codegen::emit::Argument { ident, ty: value.placed }
    });
    placed.collect()
}
