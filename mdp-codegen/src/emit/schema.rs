//! The template of the function that returns a service's schema. Only here do the two front ends differ.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Options, meta};
use crate::model::{Method, SchemaSource, Service};

pub(super) fn function(service: &Service, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let body = match &service.schema {
        SchemaSource::Bytes(bytes) => {
            let bytes = Literal::byte_string(bytes);
            quote!(#runtime::codegen::embedded_schema(NAME, #bytes))
        }
        SchemaSource::Described => described(service, options),
    };
    quote! {
        /// The descriptors of the service and of all messages that it uses.
        pub fn schema() -> #runtime::codegen::Schema {
            #body
        }
    }
}

/// The import of the names that the types of requests and replies may use.
pub(super) fn outer_names(service: &Service) -> Option<TokenStream> {
    match service.schema {
        SchemaSource::Bytes(_) => None,
        SchemaSource::Described => super::outer_names(service),
    }
}

fn described(service: &Service, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let Service { package, name, docs, .. } = service;
    let deprecated = service.deprecated.is_some();
    let methods = service.methods.iter().map(|method| self::method(method, options));
    quote! {
        #runtime::codegen::SchemaBuilder::service(
            #package,
            &#runtime::codegen::Item {
                name: #name,
                package: ::core::option::Option::None,
                docs: &[#(#docs),*],
                deprecated: #deprecated,
            },
            |service| {
                #(#methods)*
            },
        )
    }
}

fn method(method: &Method, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let Method { name, docs, input, output, cfgs, .. } = method;
    let deprecated = method.deprecated.is_some();
    let idempotency = meta::idempotency(method.idempotency);
    let (client, server) = (method.shape.has_many_requests(), method.shape.has_many_replies());
    quote! {
        #(#cfgs)*
        service.method::<#input, #output>(&#runtime::codegen::MethodItem {
            name: #name,
            docs: &[#(#docs),*],
            idempotency: #runtime::codegen::Idempotency::#idempotency,
            deprecated: #deprecated,
            client_streaming: #client,
            server_streaming: #server,
        });
    }
}
