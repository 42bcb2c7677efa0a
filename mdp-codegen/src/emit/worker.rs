//! The templates of the worker: the trait that a user implements, and the adapter that passes calls to it.
//!
//! Items of the module are named through `self::`, because a service may be called `T` like the parameter.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::{Lifetime, Type};

use super::{
    Argument, BoundMethod, DefaultBody, HandlerResult, Options, RustService, delegates, docs,
    method_spec, module_attributes, module_ident, outer_names, type_ident,
};
use crate::model::Shape;

pub(super) fn module(service: &RustService, options: &Options) -> TokenStream {
    let (visibility, module) = (&service.visibility, module_ident(service, "worker"));
    let mod_attributes = &service.attributes.worker_mod;
    let doc = format!(" The worker's side of `{}`.", service.plain().full_name());
    let attributes = module_attributes(service, doc);
    let outer_names = outer_names(service);
    let handler = handler(service, options);
    let (adapter, dispatch) = (adapter(service), dispatch(service, options));
    let delegates = delegates::all(service, options);
    quote! {
        #attributes
        #(#mod_attributes)*
        #visibility mod #module {
            #outer_names
            #handler
            #delegates
            #adapter
            #dispatch
        }
    }
}

/// The trait. Its methods return `impl Future + Send`, which a plain `async fn` satisfies; where many replies are
/// given, so does one that returns `Result<impl Stream<..>, Status>`. Those that block are plain `fn`s.
fn handler(service: &RustService, options: &Options) -> TokenStream {
    let ident = &service.ident;
    let docs =
        docs(&service.docs, format!(" Handles the calls of `{}`.", service.plain().full_name()));
    let methods = service.methods().map(|method| self::method(service, method, options));
    quote! {
        #docs
        pub trait #ident: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*
        }
    }
}

fn method(service: &RustService, method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let docs =
        docs(&method.rust.docs, format!(" Handles `{}`.", service.plain().path(method.plain)));
    let signature = signature(method, options);
    let cfgs = &method.rust.cfgs;
    let body = match &method.rust.forms.default {
        None => quote!(;),
        Some(default) => {
            let body = default_body(service, method, default, options);
            quote!({ #body })
        }
    };
    quote! {
        #docs
        #(#cfgs)*
        #signature #body
    }
}

/// What an implementation does that leaves the method out.
fn default_body(
    service: &RustService,
    method: BoundMethod<'_>,
    default: &DefaultBody,
    options: &Options,
) -> TokenStream {
    let runtime = &options.runtime;
    match default {
        DefaultBody::Unimplemented => {
            let spec = method_spec(service, method);
            let status = quote!(#runtime::codegen::unimplemented(&#spec));
            match (blocks(method), method.plain.shape.has_many_replies()) {
                (true, _) => quote!(::core::result::Result::Err(#status)),
                (false, false) => quote!(async { ::core::result::Result::Err(#status) }),
                (false, true) => {
                    let output = &method.rust.output;
                    quote! {
                        async {
                            ::core::result::Result::<#runtime::codegen::Streaming<#output>, _>::Err(#status)
                        }
                    }
                }
            }
        }
        DefaultBody::Call(function) => {
            let arguments = argument_names(method);
            quote!(#function(self, #(#arguments),*))
        }
    }
}

/// The signature of a method, with the names of [`argument_names`].
pub(super) fn signature(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (ident, arguments) = (&method.rust.ident, arguments(method, options, None));
    let result = result(method, options);
    let result = match blocks(method) {
        true => result,
        false => {
            quote!(impl ::core::future::Future<Output = #result,> + ::core::marker::Send)
        }
    };
    quote! {
        fn #ident(
            &self,
            #arguments
        ) -> #result
    }
}

/// The arguments of a method after `&self`. With a lifetime the context is borrowed for it.
pub(super) fn arguments(
    method: BoundMethod<'_>,
    options: &Options,
    lifetime: Option<&Lifetime>,
) -> TokenStream {
    let runtime = &options.runtime;
    let cx = method.rust.takes_context;
    let cx = cx.then(|| quote!(cx: & #lifetime #runtime::codegen::CallContext,));
    let request = request_arguments(method, options);
    quote!(#cx #request)
}

/// The arguments that are the request, or its fields.
pub(super) fn request_arguments(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (runtime, input) = (&options.runtime, &method.rust.input);
    if let Some(arguments) = &method.rust.forms.arguments {
        return arguments.iter().map(|Argument { ident, ty }| quote!(#ident: #ty,)).collect();
    }
    let req = method.rust.takes_request.then(|| match method.plain.shape.has_many_requests() {
        true => quote!(requests: #runtime::codegen::Streaming<#input>,),
        false => quote!(req: #input,),
    });
    quote!(#req)
}

/// The names of the arguments after `&self`.
pub(super) fn argument_names(method: BoundMethod<'_>) -> Vec<TokenStream> {
    let cx = method.rust.takes_context.then(|| quote!(cx));
    cx.into_iter().chain(request_names(method)).collect()
}

/// The names of the arguments that are the request, or its fields.
pub(super) fn request_names(method: BoundMethod<'_>) -> Vec<TokenStream> {
    if let Some(arguments) = &method.rust.forms.arguments {
        return arguments.iter().map(|argument| argument.ident.to_token_stream()).collect();
    }
    let name = match method.plain.shape.has_many_requests() {
        true => quote!(requests),
        false => quote!(req),
    };
    method.rust.takes_request.then_some(name).into_iter().collect()
}

/// The stream of a method's replies, without `impl` or `dyn` before it.
pub(super) fn stream(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (runtime, output) = (&options.runtime, &method.rust.output);
    quote! {
        #runtime::codegen::Stream<
            Item = ::core::result::Result<#output, #runtime::codegen::Status>,
        > + ::core::marker::Send
    }
}

/// The result of a handler.
fn result(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let reply = match method.plain.shape.has_many_replies() {
        true => {
            let stream = stream(method, options);
            quote!(impl #stream)
        }
        false => value(method).to_token_stream(),
    };
    result_of(method, &reply, options)
}

/// The result of a handler with this reply.
pub(super) fn result_of(
    method: BoundMethod<'_>,
    reply: &TokenStream,
    options: &Options,
) -> TokenStream {
    let runtime = &options.runtime;
    match &method.rust.forms.result {
        None => quote!(::core::result::Result<#reply, #runtime::codegen::Status>),
        Some(HandlerResult::Error(error)) => quote!(::core::result::Result<#reply, #error>),
        Some(HandlerResult::Alias(alias)) => alias.to_token_stream(),
    }
}

/// The type of what a handler returns: the reply, or the value in it.
pub(super) fn value<'a>(method: BoundMethod<'a>) -> &'a Type {
    method.rust.forms.value.as_ref().unwrap_or(&method.rust.output)
}

/// Whether the method is generated as blocking. Macros emit code even after failed checks, so a stream is excluded
/// here.
pub(super) fn blocks(method: BoundMethod<'_>) -> bool {
    method.plain.blocking && method.plain.shape == Shape::Unary
}

fn adapter(service: &RustService) -> TokenStream {
    let (ident, attributes) = (type_ident(service, "Worker"), &service.attributes.worker);
    let handler = &service.ident;
    let doc =
        format!(" Serves an implementation of [`{handler}`] as `{}`.", service.plain().full_name());
    let name = ident.to_string();
    quote! {
        #[doc = #doc]
        #(#attributes)*
        pub struct #ident<T> {
            inner: ::std::sync::Arc<T>,
        }
        impl<T: self::#handler> self::#ident<T> {
            /// Makes a worker's service from an implementation.
            pub fn new(inner: T) -> Self {
                Self { inner: ::std::sync::Arc::new(inner) }
            }
            /// Makes a worker's service from a shared implementation.
            pub fn from_arc(inner: ::std::sync::Arc<T>) -> Self {
                Self { inner }
            }
        }
        // Implemented by hand: a derive would require that the implementation is `Clone`, too.
        impl<T> ::core::clone::Clone for self::#ident<T> {
            fn clone(&self) -> Self {
                Self { inner: ::core::clone::Clone::clone(&self.inner) }
            }
        }
        impl<T> ::core::fmt::Debug for self::#ident<T> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Formatter::debug_struct(f, #name).finish_non_exhaustive()
            }
        }
    }
}

fn dispatch(service: &RustService, options: &Options) -> TokenStream {
    let runtime = &options.runtime;
    let (ident, handler) = (type_ident(service, "Worker"), &service.ident);
    let meta = module_ident(service, "service");
    let arms =
        (0..).zip(service.methods()).map(|(number, method)| arm(service, number, method, options));
    quote! {
        impl<T: self::#handler> #runtime::codegen::Service for self::#ident<T> {
            fn spec(&self) -> &'static #runtime::codegen::ServiceSpec {
                &super::#meta::SERVICE
            }
            fn schema(&self) -> #runtime::codegen::Schema {
                super::#meta::schema()
            }
            fn call(
                &self,
                method: u32,
                cx: #runtime::codegen::CallContext,
                body: #runtime::codegen::Bytes,
            ) -> #runtime::codegen::HandlerFuture {
                match method {
                    #(#arms)*
                    _ => #runtime::codegen::unknown_method(&super::#meta::SERVICE, method),
                }
            }
        }
    }
}

fn arm(
    service: &RustService,
    number: u32,
    method: BoundMethod<'_>,
    options: &Options,
) -> TokenStream {
    if blocks(method) {
        return blocking_arm(service, number, method, options);
    }
    let runtime = &options.runtime;
    let (handler, ident, input) = (&service.ident, &method.rust.ident, &method.rust.input);
    let output = &method.rust.output;
    let spec = method_spec(service, method);
    let (cfgs, number) = (&method.rust.cfgs, Literal::u32_unsuffixed(number));
    let cx = method.rust.takes_context.then(|| quote!(&cx,));
    let (requests, name) = match method.plain.shape.has_many_requests() {
        true => {
            (quote!(let requests = #runtime::codegen::requests::<#input>(&cx);), quote!(requests,))
        }
        false => {
            (quote!(let req = #runtime::codegen::decode::<#input>(&#spec, body)?;), quote!(req,))
        }
    };
    let name = match &method.rust.forms.arguments {
        Some(_) => Some(fields(method)),
        None => method.rust.takes_request.then_some(name),
    };
    let handled = quote!(<T as self::#handler>::#ident(&*inner, #cx #name).await);
    let handled = handled_or_status(method, &handled, options);
    let reply = reply(method);
    let end = match method.plain.shape.has_many_replies() {
        true => quote! {
            let replies = #handled;
            #runtime::codegen::send_replies(&cx, replies).await
        },
        false => quote! {
            let reply = #handled;
            ::core::result::Result::Ok(#runtime::codegen::encode::<#output>(&#reply))
        },
    };
    quote! {
        #(#cfgs)*
        #number => {
            let inner = ::core::clone::Clone::clone(&self.inner);
            #runtime::codegen::handling(async move {
                #requests
                #end
            })
        }
    }
}

/// The arguments of a handler out of the fields of its request.
fn fields(method: BoundMethod<'_>) -> TokenStream {
    let names = request_names(method);
    quote!(#(req.#names,)*)
}

/// The reply of a handler as a record.
fn reply(method: BoundMethod<'_>) -> TokenStream {
    let output = &method.rust.output;
    match &method.rust.forms.value {
        Some(_) => quote!(#output { value: reply }),
        None => quote!(reply),
    }
}

/// What a handler has returned, or the end of the call with a status.
fn handled_or_status(
    method: BoundMethod<'_>,
    handled: &TokenStream,
    options: &Options,
) -> TokenStream {
    let runtime = &options.runtime;
    match &method.rust.forms.result {
        None => quote!(#handled?),
        // An error that is none is shown where the user named it.
        Some(HandlerResult::Error(error)) => {
            quote!(#runtime::codegen::or_status::<_, #error>(#handled)?)
        }
        Some(HandlerResult::Alias(alias)) => {
            quote!(<#alias as #runtime::codegen::AliasedResult>::or_status(#handled)?)
        }
    }
}

/// Like the other arm, but all the work runs on a thread for blocking code, which borrows the context.
fn blocking_arm(
    service: &RustService,
    number: u32,
    method: BoundMethod<'_>,
    options: &Options,
) -> TokenStream {
    let runtime = &options.runtime;
    let (handler, ident, input) = (&service.ident, &method.rust.ident, &method.rust.input);
    let output = &method.rust.output;
    let spec = method_spec(service, method);
    let (cfgs, number) = (&method.rust.cfgs, Literal::u32_unsuffixed(number));
    let cx = method.rust.takes_context.then(|| quote!(cx,));
    let req = match &method.rust.forms.arguments {
        Some(_) => Some(fields(method)),
        None => method.rust.takes_request.then(|| quote!(req,)),
    };
    let handled = quote!(<T as self::#handler>::#ident(&*inner, #cx #req));
    let (handled, reply) = (handled_or_status(method, &handled, options), reply(method));
    quote! {
        #(#cfgs)*
        #number => {
            let inner = ::core::clone::Clone::clone(&self.inner);
            #runtime::codegen::blocking(cx, move |cx| {
                let req = #runtime::codegen::decode::<#input>(&#spec, body)?;
                let reply = #handled;
                ::core::result::Result::Ok(#runtime::codegen::encode::<#output>(&#reply))
            })
        }
    }
}
