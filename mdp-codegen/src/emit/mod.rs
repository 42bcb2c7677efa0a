//! The templates: they turn a checked service into Rust.
//!
//! Generated code names only `runtime::codegen`, `::core` and `::std`, all from the root, so messages and services may
//! be called `Result`, `Client` or `Send`.

mod client;
#[cfg(feature = "proto")]
pub(crate) mod described;
mod meta;
mod schema;
mod worker;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use crate::model::{Method, Service};
use crate::names;

/// Which code is generated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path of the runtime crate; it has the module `codegen`. Default: `::mdp_runtime`.
    pub runtime: syn::Path,
    /// Whether clients are generated. Default: `true`.
    pub client: bool,
    /// Whether worker traits are generated. Default: `true`.
    pub worker: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { runtime: syn::parse_quote!(::mdp_runtime), client: true, worker: true }
    }
}

impl Options {
    /// The names of all modules that [`service`] generates for a service.
    pub(crate) fn module_names(&self, service: &Service) -> Vec<String> {
        [("service", true), ("client", self.client), ("worker", self.worker)]
            .into_iter()
            .filter(|(_, wanted)| *wanted)
            .map(|(suffix, _)| names::module(&service.module_stem, suffix))
            .collect()
    }
}

/// Generates the modules of one service: its names, its client and its worker trait.
///
/// The service must have passed [`check::module`](crate::check::module). Otherwise the result may be invalid Rust.
pub fn service(service: &Service, options: &Options) -> TokenStream {
    let meta = meta::module(service, options);
    let client = options.client.then(|| client::module(service, options));
    let worker = options.worker.then(|| worker::module(service, options));
    quote! {
        #meta
        #client
        #worker
    }
}

/// The attribute that turns off a user's lints for generated code.
///
/// `deprecated` is among them because generated code has to name deprecated items.
fn quiet() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            deprecated,
            missing_docs,
            unreachable_pub,
            unused_qualifications,
            unused_variables,
            clippy::all,
            clippy::pedantic,
            clippy::nursery
        )]
    }
}

/// The name of a module of the service: `auth_client` for the suffix `client`.
pub fn module_ident(service: &Service, suffix: &str) -> Ident {
    // With the suffix, the name is not a keyword.
    Ident::new(&names::module(&service.module_stem, suffix), service.ident.span())
}

/// The name of a type of the service: `AuthClient` for the suffix `Client`.
pub fn type_ident(service: &Service, suffix: &str) -> Ident {
    Ident::new(&format!("{}{suffix}", service.type_stem), service.ident.span())
}

/// The attributes of each module.
fn module_attributes(service: &Service, doc: String) -> TokenStream {
    let (quiet, cfgs) = (quiet(), &service.cfgs);
    quote! {
        #[doc = #doc]
        #quiet
        #(#cfgs)*
    }
}

/// The import of the names next to the service, if types use them. The module's own names take precedence.
fn outer_names(service: &Service) -> Option<TokenStream> {
    service.needs_outer_names.then(|| {
        quote! {
            #[allow(unused_imports)]
            use super::*;
        }
    })
}

/// The path of a method's constant, seen from a neighbouring module.
fn method_spec(service: &Service, method: &Method) -> TokenStream {
    let meta = module_ident(service, "service");
    let constant = names::constant(&method.ident);
    quote!(super::#meta::methods::#constant)
}

/// The documentation, or one default line: each public item needs documentation.
fn docs(lines: &[String], otherwise: String) -> TokenStream {
    if lines.is_empty() {
        return quote!(#[doc = #otherwise]);
    }
    quote!(#(#[doc = #lines])*)
}
