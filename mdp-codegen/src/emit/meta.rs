//! The template of the module with a service's names, which a client, a worker and a broker's hooks share.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{BoundMethod, Options, RustService, module_attributes, module_ident, names, schema};
use crate::model::{Idempotency, OnCancel, Shape};

pub(super) fn module(service: &RustService, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let (visibility, module) = (&service.visibility, module_ident(service, "service"));
    let full_name = service.plain().full_name();
    let doc = format!(" The names of `{full_name}`, as they go over the wire.");
    let attributes = module_attributes(service, doc);
    let specs =
        (0..).zip(service.methods()).map(|(number, method)| spec(service, number, method, options));
    let (outer_names, schema) = (schema::outer_names(service), schema::function(service, options));
    let constants = service.methods().map(listed);
    quote! {
        #attributes
        #visibility mod #module {
            #outer_names
            /// The name of the service, with its package.
            pub const NAME: &str = #full_name;
            /// The service and its methods, in the order of their declaration.
            pub static SERVICE: #runtime::codegen::ServiceSpec = #runtime::codegen::ServiceSpec {
                name: NAME,
                methods: &[#(#constants),*],
            };
            /// One constant for each method.
            pub mod methods {
                #(#specs)*
            }
            #schema
        }
    }
}

/// The reference to a method in the list of all methods of the service.
fn listed(method: BoundMethod<'_>) -> TokenStream {
    let (cfgs, constant) = (&method.rust.cfgs, names::constant(&method.rust.ident));
    quote!(#(#cfgs)* methods::#constant)
}

fn spec(
    service: &RustService,
    number: u32,
    method: BoundMethod<'_>,
    options: &Options,
) -> TokenStream {
    let runtime = &options.runtime;
    let (constant, name) = (names::constant(&method.rust.ident), &method.plain.name);
    let (full_name, path) = (service.plain().full_name(), service.plain().path(method.plain));
    let idempotency = idempotency(method.plain.idempotency);
    // A deprecated service makes all its methods deprecated.
    let deprecated = method.rust.deprecated.is_some() || service.deprecated.is_some();
    let timeout = match method.plain.timeout_ms {
        Some(ms) => quote!(::core::option::Option::Some(#ms)),
        None => quote!(::core::option::Option::None),
    };
    let retry_attempts = match method.plain.retry_attempts {
        Some(attempts) => quote!(::core::option::Option::Some(#attempts)),
        None => quote!(::core::option::Option::None),
    };
    let (number, kind) = (Literal::u32_unsuffixed(number), kind(method.plain.shape));
    let on_cancel = on_cancel(method.plain.on_cancel);
    let (cfgs, doc) = (&method.rust.cfgs, format!(" `{path}`"));
    quote! {
        #[doc = #doc]
        #(#cfgs)*
        pub const #constant: #runtime::codegen::MethodSpec = #runtime::codegen::MethodSpec {
            service: #full_name,
            name: #name,
            path: #path,
            number: #number,
            kind: #runtime::codegen::CallKind::#kind,
            idempotency: #runtime::codegen::Idempotency::#idempotency,
            timeout_ms: #timeout,
            retry_attempts: #retry_attempts,
            on_cancel: #runtime::codegen::OnCancel::#on_cancel,
            deprecated: #deprecated,
        };
    }
}

fn kind(shape: Shape) -> TokenStream {
    match shape {
        Shape::Unary => quote!(Unary),
        Shape::ClientStreaming => quote!(ClientStreaming),
        Shape::ServerStreaming => quote!(ServerStreaming),
        Shape::BidiStreaming => quote!(BidiStreaming),
    }
}

pub(super) fn idempotency(level: Idempotency) -> TokenStream {
    match level {
        Idempotency::Unknown => quote!(Unknown),
        Idempotency::NoSideEffects => quote!(NoSideEffects),
        Idempotency::Idempotent => quote!(Idempotent),
    }
}

fn on_cancel(on_cancel: OnCancel) -> TokenStream {
    match on_cancel {
        OnCancel::Cancel => quote!(Cancel),
        OnCancel::Detach => quote!(Detach),
    }
}
