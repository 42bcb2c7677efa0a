//! The module of a service's names: what a client, a worker and a broker's hook agree upon.

use proc_macro2::TokenStream;
use quote::quote;

use super::{Options, module_ident, quiet};
use crate::model::{Idempotency, Method, Service};
use crate::names;

pub(super) fn module(service: &Service, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let (quiet, module) = (quiet(), module_ident(service, "service"));
    let full_name = service.full_name();
    let doc = format!(" The names of `{full_name}`, as they go over the wire.");
    let specs = service.methods.iter().map(|method| spec(service, method, options));
    let constants = service.methods.iter().map(|method| names::constant(&method.ident));
    quote! {
        #[doc = #doc]
        #quiet
        pub mod #module {
            /// The name of the service, with its package.
            pub const NAME: &str = #full_name;
            /// The service and its methods, in the order of their declaration.
            pub static SERVICE: #runtime::codegen::ServiceSpec = #runtime::codegen::ServiceSpec {
                name: NAME,
                methods: &[#(methods::#constants),*],
            };
            /// One constant a method.
            pub mod methods {
                #(#specs)*
            }
        }
    }
}

fn spec(service: &Service, method: &Method, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let (constant, name) = (names::constant(&method.ident), &method.name);
    let (full_name, path) = (service.full_name(), service.path(method));
    let idempotency = idempotency(method.idempotency);
    // Whoever marks a whole service means each of its methods.
    let deprecated = method.deprecated || service.deprecated;
    let doc = format!(" `{path}`");
    quote! {
        #[doc = #doc]
        pub const #constant: #runtime::codegen::MethodSpec = #runtime::codegen::MethodSpec {
            service: #full_name,
            name: #name,
            path: #path,
            idempotency: #runtime::codegen::Idempotency::#idempotency,
            deprecated: #deprecated,
        };
    }
}

fn idempotency(level: Idempotency) -> TokenStream {
    match level {
        Idempotency::Unknown => quote!(Unknown),
        Idempotency::NoSideEffects => quote!(NoSideEffects),
        Idempotency::Idempotent => quote!(Idempotent),
    }
}
