//! The templates of what implements the worker trait besides the user's own types: `Arc`s of implementations, and the
//! client.

use proc_macro2::TokenStream;
use quote::quote;

use super::client::reply;
use super::worker::{argument_names, blocks, request_names, signature};
use super::{BoundMethod, Options, RustService, module_ident, type_ident};
use crate::model::Shape;

pub(super) fn all(service: &RustService, options: &Options) -> TokenStream {
    let (shared, client) = (shared(service, options), client(service, options));
    quote! {
        #shared
        #client
    }
}

/// A shared implementation is one, too.
fn shared(service: &RustService, options: &Options) -> TokenStream {
    let handler = &service.ident;
    let methods = service.methods().map(|method| {
        let (signature, names) = (signature(method, options), argument_names(method));
        let (cfgs, ident) = (&method.rust.cfgs, &method.rust.ident);
        quote! {
            #(#cfgs)*
            #signature {
                <T as self::#handler>::#ident(&**self, #(#names),*)
            }
        }
    });
    quote! {
        impl<T: self::#handler> self::#handler for ::std::sync::Arc<T> {
            #(#methods)*
        }
    }
}

/// The client, so that what takes an implementation takes a client. A status cannot become an error of the user's, so
/// services with such errors have no such implementation.
fn client(service: &RustService, options: &Options) -> Option<TokenStream> {
    let own_errors = service.methods().any(|method| method.rust.forms.result.is_some());
    if !options.client || own_errors {
        return None;
    }
    let (handler, module) = (&service.ident, module_ident(service, "client"));
    let client = type_ident(service, "Client");
    let methods = service.methods().map(|method| {
        let (signature, body) = (signature(method, options), call(service, method, options));
        let cfgs = &method.rust.cfgs;
        quote! {
            #(#cfgs)*
            #signature {
                #body
            }
        }
    });
    // The client may be left out of the build.
    let cfgs = service.attributes.client_mod.iter().filter(|it| it.path().is_ident("cfg"));
    Some(quote! {
        #(#cfgs)*
        /// Each method makes a call, which ends with the call of the context at the latest.
        impl self::#handler for super::#module::#client {
            #(#methods)*
        }
    })
}

fn call(service: &RustService, method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (runtime, ident) = (&options.runtime, &method.rust.ident);
    let (module, client) = (module_ident(service, "client"), type_ident(service, "Client"));
    let names = match method.plain.shape.has_many_requests() {
        true => Vec::new(),
        false => request_names(method),
    };
    let call = quote!(super::#module::#client::#ident(self, #(#names),*));
    let call = match method.rust.takes_context {
        true => quote!(#runtime::codegen::Call::within(#call, cx)),
        false => call,
    };
    match method.plain.shape {
        Shape::Unary if blocks(method) => {
            let reply = reply(method, options);
            quote!(#runtime::codegen::Call::<#reply>::wait(#call))
        }
        Shape::Unary => {
            let reply = reply(method, options);
            quote!(#runtime::codegen::reply_of::<#reply>(#call))
        }
        Shape::ServerStreaming => quote!(::core::future::IntoFuture::into_future(#call)),
        Shape::ClientStreaming => quote!(#runtime::codegen::forward(#call, requests)),
        Shape::BidiStreaming => quote!(#runtime::codegen::forward_both(#call, requests)),
    }
}
