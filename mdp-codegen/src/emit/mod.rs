//! Rust: the templates, which turn a checked service into code, and what only Rust needs to know of a service.
//!
//! [`RustService`] stands around a plain [`Service`](crate::model::Service) and adds names, types and attributes in
//! Rust. [`check()`] has the rules for these names. Generators of other languages need nothing of this module.
//!
//! Generated code names only `runtime::codegen`, `::core` and `::std`, all from the root, so messages and services may
//! be called `Result`, `Client` or `Send`.

mod binding;
mod check;
mod client;
mod delegates;
#[cfg(feature = "proto")]
mod described;
mod dynamic;
mod meta;
pub mod names;
#[cfg(feature = "proto")]
pub(crate) mod prost;
mod schema;
mod worker;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

pub use binding::{
    Argument, Attributes, BoundMethod, DefaultBody, Forms, HandlerResult, ReservedName, RustMethod,
    RustModule, RustService, SchemaSource,
};
pub use check::check;

/// Which code is generated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path of the runtime crate; it has the module `codegen`. Default: `::mdp_runtime`.
    pub runtime: syn::Path,
    /// Sets whether clients are generated. Default: `true`.
    pub client: bool,
    /// Sets whether worker traits are generated. Default: `true`.
    pub worker: bool,
    /// Sets whether a type for any implementation of the worker trait is generated, `DynAuth`. Default: `false`.
    pub dynamic: bool,
}

impl Default for Options {
    fn default() -> Self {
        let runtime = syn::parse_quote!(::mdp_runtime);
        Self { runtime, client: true, worker: true, dynamic: false }
    }
}

impl Options {
    /// The names of all modules that [`service`] generates for a service.
    pub(crate) fn module_names(&self, service: &RustService) -> Vec<String> {
        let dynamic = self.worker && self.dynamic;
        [("service", true), ("client", self.client), ("worker", self.worker), ("dyn", dynamic)]
            .into_iter()
            .filter(|(_, wanted)| *wanted)
            .map(|(suffix, _)| names::module(&service.module_stem, suffix))
            .collect()
    }
}

/// Generates the modules of one service: its names, its client and its worker trait.
///
/// The service must have passed [`check::service`](crate::check::service) and [`check()`]. Otherwise the result may be
/// invalid Rust.
pub fn service(service: &RustService, options: &Options) -> TokenStream {
    let meta = meta::module(service, options);
    let client = options.client.then(|| client::module(service, options));
    let worker = options.worker.then(|| worker::module(service, options));
    let dynamic = (options.worker && options.dynamic).then(|| dynamic::module(service, options));
    quote! {
        #meta
        #client
        #worker
        #dynamic
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
pub fn module_ident(service: &RustService, suffix: &str) -> Ident {
    // With the suffix, the name is not a keyword.
    Ident::new(&names::module(&service.module_stem, suffix), service.ident.span())
}

/// The name of a type of the service: `AuthClient` for the suffix `Client`.
pub fn type_ident(service: &RustService, suffix: &str) -> Ident {
    Ident::new(&format!("{}{suffix}", service.type_stem), service.ident.span())
}

/// The name of the type for any implementation: `DynAuth`.
pub fn dyn_ident(service: &RustService) -> Ident {
    Ident::new(&format!("Dyn{}", service.type_stem), service.ident.span())
}

/// The attributes of each module.
fn module_attributes(service: &RustService, doc: String) -> TokenStream {
    let (quiet, cfgs) = (quiet(), &service.cfgs);
    quote! {
        #[doc = #doc]
        #quiet
        #(#cfgs)*
    }
}

/// The import of the names next to the service, if types use them. The module's own names take precedence.
fn outer_names(service: &RustService) -> Option<TokenStream> {
    service.needs_outer_names.then(|| {
        quote! {
            #[allow(unused_imports)]
            use super::*;
        }
    })
}

/// The path of a method's constant, seen from a neighbouring module.
fn method_spec(service: &RustService, method: BoundMethod<'_>) -> TokenStream {
    let meta = module_ident(service, "service");
    let constant = names::constant(&method.rust.ident);
    quote!(super::#meta::methods::#constant)
}

/// The documentation, or one default line: each public item needs documentation.
fn docs(lines: &[String], otherwise: String) -> TokenStream {
    if lines.is_empty() {
        return quote!(#[doc = #otherwise]);
    }
    quote!(#(#[doc = #lines])*)
}
