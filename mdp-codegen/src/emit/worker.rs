//! The templates of the worker: the trait that a user implements, and the adapter that passes calls to it.
//!
//! Items of the module are named through `self::`, because a service may be called `T` like the parameter.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{
    BoundMethod, Options, RustService, docs, method_spec, module_attributes, module_ident,
    outer_names, type_ident,
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
    quote! {
        #attributes
        #(#mod_attributes)*
        #visibility mod #module {
            #outer_names
            #handler
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
    let runtime = &options.runtime;
    let (ident, input, output) = (&method.rust.ident, &method.rust.input, &method.rust.output);
    let docs =
        docs(&method.rust.docs, format!(" Handles `{}`.", service.plain().path(method.plain)));
    let cfgs = &method.rust.cfgs;
    let cx = method.rust.takes_context.then(|| quote!(cx: &#runtime::codegen::CallContext,));
    let req = method.rust.takes_request.then(|| match method.plain.shape.has_many_requests() {
        true => quote!(requests: #runtime::codegen::Streaming<#input>,),
        false => quote!(req: #input,),
    });
    let reply = match method.plain.shape.has_many_replies() {
        true => quote! {
            impl #runtime::codegen::Stream<
                Item = ::core::result::Result<#output, #runtime::codegen::Status>,
            > + ::core::marker::Send
        },
        false => quote!(#output),
    };
    let result = quote!(::core::result::Result<#reply, #runtime::codegen::Status>);
    let result = match blocks(method) {
        true => result,
        false => {
            quote!(impl ::core::future::Future<Output = #result,> + ::core::marker::Send)
        }
    };
    quote! {
        #docs
        #(#cfgs)*
        fn #ident(
            &self,
            #cx
            #req
        ) -> #result;
    }
}

/// Whether the method is generated as blocking. Macros emit code even after failed checks, so a stream is excluded
/// here.
fn blocks(method: BoundMethod<'_>) -> bool {
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
    let name = method.rust.takes_request.then_some(name);
    let handled = quote!(<T as self::#handler>::#ident(&*inner, #cx #name).await?);
    let end = match method.plain.shape.has_many_replies() {
        true => quote! {
            let replies = #handled;
            #runtime::codegen::send_replies(&cx, replies).await
        },
        false => quote! {
            let reply = #handled;
            ::core::result::Result::Ok(#runtime::codegen::encode(&reply))
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

/// Like the other arm, but all the work runs on a thread for blocking code, which borrows the context.
fn blocking_arm(
    service: &RustService,
    number: u32,
    method: BoundMethod<'_>,
    options: &Options,
) -> TokenStream {
    let runtime = &options.runtime;
    let (handler, ident, input) = (&service.ident, &method.rust.ident, &method.rust.input);
    let spec = method_spec(service, method);
    let (cfgs, number) = (&method.rust.cfgs, Literal::u32_unsuffixed(number));
    let cx = method.rust.takes_context.then(|| quote!(cx,));
    let req = method.rust.takes_request.then(|| quote!(req,));
    quote! {
        #(#cfgs)*
        #number => {
            let inner = ::core::clone::Clone::clone(&self.inner);
            #runtime::codegen::blocking(cx, move |cx| {
                let req = #runtime::codegen::decode::<#input>(&#spec, body)?;
                let reply = <T as self::#handler>::#ident(&*inner, #cx #req)?;
                ::core::result::Result::Ok(#runtime::codegen::encode(&reply))
            })
        }
    }
}
