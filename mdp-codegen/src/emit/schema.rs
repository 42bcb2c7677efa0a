//! The template of the function that returns a service's schema. Only here do the two front ends differ.

use proc_macro2::TokenStream;
use quote::quote;

use super::{BoundMethod, Options, RustMethod, RustService, SchemaSource, meta};
use crate::model;

pub(super) fn function(service: &RustService, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let body = match &service.schema {
        SchemaSource::Embedded(constant) => {
            quote!(#runtime::codegen::embedded_schema(NAME, &super::#constant))
        }
        SchemaSource::None => quote!(#runtime::codegen::no_schema()),
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
pub(super) fn outer_names(service: &RustService) -> Option<TokenStream> {
    match service.schema {
        SchemaSource::Embedded(_) | SchemaSource::None => None,
        SchemaSource::Described => super::outer_names(service),
    }
}

fn described(service: &RustService, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let model::Service { package, name, .. } = service.plain();
    let docs = &service.docs;
    let deprecated = service.deprecated.is_some();
    let methods = service.methods().map(|method| self::method(method, options));
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

fn method(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let (name, RustMethod { docs, input, output, cfgs, .. }) = (&method.plain.name, method.rust);
    let deprecated = method.rust.deprecated.is_some();
    let idempotency = meta::idempotency(method.plain.idempotency);
    let (client, server) =
        (method.plain.shape.has_many_requests(), method.plain.shape.has_many_replies());
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
