//! The template of a type that holds any implementation of the worker trait.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Lifetime;

use super::worker::{
    argument_names, arguments, blocks, request_arguments, request_names, result_of, signature,
    stream, value,
};
use super::{
    BoundMethod, Options, RustService, dyn_ident, module_attributes, module_ident, outer_names,
};

pub(super) fn module(service: &RustService, options: &Options) -> TokenStream {
    let (visibility, module) = (&service.visibility, module_ident(service, "dyn"));
    let full_name = service.plain().full_name();
    let doc = format!(" Any implementation of `{full_name}`.");
    let (attributes, outer_names) = (module_attributes(service, doc), outer_names(service));
    let (worker, handler) = (module_ident(service, "worker"), &service.ident);
    let ident = dyn_ident(service);
    let name = ident.to_string();
    let doc = format!(
        " Any implementation of [`{handler}`](super::{worker}::{handler}), behind a pointer: for a choice at run time. \
         Each call allocates its future."
    );
    let declared = service.methods().map(|method| declared(method, options));
    let erased = service.methods().map(|method| erased(service, method, options));
    let passed = service.methods().map(|method| passed(method, options));
    quote! {
        #attributes
        #visibility mod #module {
            #outer_names
            #[doc = #doc]
            #[derive(::core::clone::Clone)]
            pub struct #ident {
                inner: ::std::sync::Arc<dyn self::Erased>,
            }
            impl #ident {
                /// Holds an implementation.
                pub fn new(inner: impl super::#worker::#handler) -> Self {
                    Self { inner: ::std::sync::Arc::new(inner) }
                }
            }
            impl ::core::fmt::Debug for #ident {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Formatter::debug_struct(f, #name).finish_non_exhaustive()
                }
            }
            trait Erased: ::core::marker::Send + ::core::marker::Sync + 'static {
                #(#declared)*
            }
            impl<T: super::#worker::#handler> self::Erased for T {
                #(#erased)*
            }
            impl super::#worker::#handler for #ident {
                #(#passed)*
            }
        }
    }
}

/// Whether the method's stream may borrow from the implementation and from the context. A stream in a box has one
/// lifetime, so it owns the context.
fn owns_context(method: BoundMethod<'_>) -> bool {
    method.plain.shape.has_many_replies() && method.rust.takes_context
}

/// The signature of a method whose future is in a box.
fn boxed_signature(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let lifetime: Lifetime = syn::parse_quote!('call);
    let (runtime, ident) = (&options.runtime, &method.rust.ident);
    let arguments = match owns_context(method) {
        true => {
            let request = request_arguments(method, options);
            quote!(cx: #runtime::codegen::CallContext, #request)
        }
        false => arguments(method, options, Some(&lifetime)),
    };
    let result = result_of(method, &reply(method, options), options);
    let result = match blocks(method) {
        true => result,
        false => quote! {
            ::core::pin::Pin<::std::boxed::Box<
                dyn ::core::future::Future<Output = #result> + ::core::marker::Send + 'call,
            >>
        },
    };
    quote! {
        fn #ident<'call>(
            &'call self,
            #arguments
        ) -> #result
    }
}

fn reply(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    match method.plain.shape.has_many_replies() {
        true => {
            let stream = stream(method, options);
            quote!(::core::pin::Pin<::std::boxed::Box<dyn #stream + 'call>>)
        }
        false => value(method).to_token_stream(),
    }
}

fn declared(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (cfgs, signature) = (&method.rust.cfgs, boxed_signature(method, options));
    quote! {
        #(#cfgs)*
        #signature;
    }
}

fn erased(service: &RustService, method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (worker, handler) = (module_ident(service, "worker"), &service.ident);
    let (cfgs, signature) = (&method.rust.cfgs, boxed_signature(method, options));
    let runtime = &options.runtime;
    let ident = &method.rust.ident;
    let names = match owns_context(method) {
        true => std::iter::once(quote!(&cx)).chain(request_names(method)).collect(),
        false => argument_names(method),
    };
    let handled = quote!(<T as super::#worker::#handler>::#ident(self, #(#names),*));
    let body = match (blocks(method), method.plain.shape.has_many_replies()) {
        (true, _) => handled,
        (false, false) => quote!(::std::boxed::Box::pin(#handled)),
        (false, true) => {
            let reply = reply(method, options);
            let replies = match owns_context(method) {
                true => quote! {
                    #runtime::codegen::owned(move |owner| async move {
                        #runtime::codegen::Owner::pass_on(owner, #handled.await).await
                    })
                    .await?
                },
                false => quote!(#handled.await?),
            };
            quote! {
                ::std::boxed::Box::pin(async move {
                    let replies = #replies;
                    let replies: #reply = ::std::boxed::Box::pin(replies);
                    ::core::result::Result::Ok(replies)
                })
            }
        }
    };
    quote! {
        #(#cfgs)*
        #signature {
            #body
        }
    }
}

fn passed(method: BoundMethod<'_>, options: &Options) -> TokenStream {
    let (cfgs, signature) = (&method.rust.cfgs, signature(method, options));
    let ident = &method.rust.ident;
    let names = match owns_context(method) {
        true => {
            let cx = quote!(::core::clone::Clone::clone(cx));
            std::iter::once(cx).chain(request_names(method)).collect()
        }
        false => argument_names(method),
    };
    let handled = quote!(self::Erased::#ident(&*self.inner, #(#names),*));
    // An `async` block captures the lifetimes of all arguments, and a box has one.
    let body = match blocks(method) {
        true => handled,
        false => quote!(async move { #handled.await }),
    };
    quote! {
        #(#cfgs)*
        #signature {
            #body
        }
    }
}
