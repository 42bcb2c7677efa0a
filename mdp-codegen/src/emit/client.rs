//! The template of the client: one method for each call.

use proc_macro2::TokenStream;
use quote::quote;

use super::{
    Argument, BoundMethod, Options, RustService, docs, method_spec, module_attributes,
    module_ident, outer_names, type_ident,
};
use crate::model::Shape;

pub(super) fn module(service: &RustService, options: &Options) -> TokenStream {
    let (visibility, module) = (&service.visibility, module_ident(service, "client"));
    let mod_attributes = &service.attributes.client_mod;
    let doc = format!(" The client of `{}`.", service.plain().full_name());
    let attributes = module_attributes(service, doc);
    let outer_names = outer_names(service);
    let (client, conversions) = (client(service, options), conversions(service, options));
    let (new, in_memory) = (new(service, options), in_memory(service, options));
    let calls = calls(service, options);
    let ident = type_ident(service, "Client");
    quote! {
        #attributes
        #(#mod_attributes)*
        #visibility mod #module {
            #outer_names
            #client
            impl #ident {
                #new
                #in_memory
                #calls
            }
            #conversions
        }
    }
}

fn client(service: &RustService, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let (ident, attributes) = (type_ident(service, "Client"), &service.attributes.client);
    let docs = docs(&service.docs, format!(" Calls `{}`.", service.plain().full_name()));
    let deprecated = &service.deprecated;
    quote! {
        #docs
        #deprecated
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #(#attributes)*
        pub struct #ident {
            client: #runtime::codegen::Client,
        }
    }
}

/// Whether a method of the service has this name. The client's own functions are left out then, because the names of
/// the client belong to the service. The conversions remain.
fn is_taken(service: &RustService, name: &str) -> bool {
    service.methods().any(|method| method.rust.ident == name)
}

fn new(service: &RustService, options: &Options) -> Option<TokenStream> {
    if is_taken(service, "new") {
        return None;
    }
    let runtime = &options.runtime;
    Some(quote! {
        /// Makes calls through this client. A client is cheap to clone.
        pub fn new(client: #runtime::codegen::Client) -> Self {
            Self { client }
        }
    })
}

/// Accepts any service, not only the worker of the same file: that worker may be left out of the build.
fn in_memory(service: &RustService, options: &Options) -> Option<TokenStream> {
    if is_taken(service, "in_memory") {
        return None;
    }
    let runtime = &options.runtime;
    let doc = format!(
        " Calls a `{}` in the same process, for tests: without a broker and without sockets.",
        type_ident(service, "Worker")
    );
    Some(quote! {
        #[doc = #doc]
        pub fn in_memory(service: impl #runtime::codegen::Service) -> Self {
            Self { client: #runtime::codegen::Client::in_memory(service) }
        }
    })
}

fn calls(service: &RustService, options: &Options) -> TokenStream {
    service.methods().map(|method| call(service, method, options)).collect()
}

fn call(service: &RustService, method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let (ident, output) = (&method.rust.ident, reply(method, options));
    let docs = docs(&method.rust.docs, format!(" Calls `{}`.", service.plain().path(method.plain)));
    let (cfgs, deprecated) = (&method.rust.cfgs, &method.rust.deprecated);
    let spec = method_spec(service, method);
    let Request { takes, made, lent, of } = request(method);
    let (new, kind) = kind(method, options);
    quote! {
        #docs
        #(#cfgs)*
        #deprecated
        pub fn #ident(
            &self,
            #takes
        ) -> #runtime::codegen::Call<#output #kind> {
            #made
            #runtime::codegen::Call::<#output #kind>::#new #of(&self.client, &#spec #lent)
        }
    }
}

/// The reply as the parameter of the call: a record, or a record that stands for its one value.
pub(super) fn reply(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (runtime, output) = (&options.runtime, &method.rust.output);
    match method.rust.forms.value {
        Some(_) => quote!(#runtime::codegen::ValueOf<#output>),
        None => quote!(#output),
    }
}

/// How a method handles its one request. Empty for a stream of requests, which are sent after the call has started.
#[derive(Default)]
struct Request {
    /// The method's argument.
    takes: Option<TokenStream>,
    /// The conversion of the argument into a record.
    made: Option<TokenStream>,
    /// The argument of the call.
    lent: Option<TokenStream>,
    /// The record's type as the call's parameter: an error in it is shown where the user named it.
    of: Option<TokenStream>,
}

fn request(method: BoundMethod<'_>) -> Request {
    if method.plain.shape.has_many_requests() {
        return Request::default();
    }
    let input = &method.rust.input;
    if let Some(arguments) = &method.rust.forms.arguments {
        let idents = arguments.iter().map(|argument| &argument.ident);
        let takes = arguments.iter().map(|Argument { ident, ty }| quote!(#ident: #ty,));
        return Request {
            takes: Some(takes.collect()),
            made: Some(quote!(let req = #input { #(#idents),* };)),
            lent: Some(quote!(, &req)),
            of: Some(quote!(::<#input>)),
        };
    }
    let req = match method.rust.takes_request {
        true => quote!(::core::convert::Into::into(req)),
        false => quote!(()),
    };
    Request {
        takes: method.rust.takes_request.then(|| quote!(req: impl ::core::convert::Into<#input>,)),
        made: Some(quote!(let req: #input = #req;)),
        lent: Some(quote!(, &req)),
        of: Some(quote!(::<#input>)),
    }
}

/// The function that makes a call of the method, and the part of the call's type after the reply.
fn kind(method: BoundMethod<'_>, options: &Options) -> (TokenStream, Option<TokenStream>) {
    let (runtime, input) = (&options.runtime, &method.rust.input);
    match method.plain.shape {
        Shape::Unary => (quote!(new), None),
        Shape::ServerStreaming => {
            (quote!(server_streaming), Some(quote!(, #runtime::codegen::ServerStreaming)))
        }
        Shape::ClientStreaming => {
            (quote!(client_streaming), Some(quote!(, #runtime::codegen::ClientStreaming<#input>)))
        }
        Shape::BidiStreaming => {
            (quote!(bidi_streaming), Some(quote!(, #runtime::codegen::BidiStreaming<#input>)))
        }
    }
}

fn conversions(service: &RustService, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let ident = type_ident(service, "Client");
    quote! {
        impl ::core::convert::From<#runtime::codegen::Client> for #ident {
            fn from(client: #runtime::codegen::Client) -> Self {
                Self { client }
            }
        }
        impl ::core::convert::From<&#runtime::codegen::Client> for #ident {
            fn from(client: &#runtime::codegen::Client) -> Self {
                Self { client: ::core::clone::Clone::clone(client) }
            }
        }
    }
}
