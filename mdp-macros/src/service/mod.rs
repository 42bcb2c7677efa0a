//! `#[mdp_service]`: converts a trait into the shared model, which passes the shared checks and templates.

mod args;
mod attributes;
mod errors;
mod lower;
mod records;
mod signature;
mod stream;
mod types;

use lean_codegen::check;
use lean_codegen::emit::{
    self, Options, RustModule, RustService, dyn_ident, module_ident, type_ident,
};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Item, ItemTrait};

use errors::Errors;
use lower::Lowered;
use signature::Written;

/// Expands the item with these arguments.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    match the_trait(item.clone()) {
        Ok(item) => of_trait(args, &item),
        // The item is kept, so that its uses cause no further errors.
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#error #item)
        }
    }
}

fn the_trait(item: TokenStream) -> syn::Result<ItemTrait> {
    match syn::parse2(item)? {
        Item::Trait(item) => Ok(item),
        other => Err(syn::Error::new_spanned(
            other,
            "a service is a trait; write `#[mdp_service]` above a `trait` of `async fn`s",
        )),
    }
}

/// A trait as the model has it, with the mistakes that were found on the way.
pub(crate) struct Read {
    pub(crate) service: RustService,
    written: Vec<(Vec<Attribute>, Written)>,
    beside: TokenStream,
    options: Options,
    errors: Errors,
}

/// Reads the trait with these arguments of the attribute.
pub(crate) fn read(args: TokenStream, item: &ItemTrait) -> Read {
    let mut errors = Errors::default();
    let args = args::of_service(args, &mut errors);
    let options = Options { runtime: args.runtime.clone(), dynamic: true, ..Options::default() };
    let Lowered { service, written, beside } = lower::service(item, args, &mut errors);
    Read { service, written, beside, options, errors }
}

fn of_trait(args: TokenStream, item: &ItemTrait) -> TokenStream {
    let Read { mut service, written, beside, options, mut errors } = read(args, item);
    check(&service, &options, &mut errors);
    if !errors.is_empty() {
        keep_sound_methods(&mut service);
    }
    let (code, names) = (emit::service(&service, &options), names(&service));
    let written = written.iter().map(|(cfgs, written)| uses(&service, cfgs, written, &options));
    let errors = errors.into_compile_errors();
    quote!(#errors #code #names #(#written)* #beside)
}

fn check(service: &RustService, options: &Options, errors: &mut Errors) {
    let module = RustModule { services: vec![service.clone()], reserved: Vec::new() };
    let spans: Vec<Span> = service.methods().map(|method| method.rust.ident.span()).collect();
    let problems = check::service(service.plain()).into_iter();
    for problem in problems.chain(emit::check(&module, options)) {
        let method = problem.number.and_then(|number| spans.get(number).copied());
        let span = method.unwrap_or_else(|| service.ident.span());
        errors.push(syn::Error::new(span, problem.mistake));
    }
}

/// Keeps only the valid methods. Names are emitted even after a mistake, so that a mistake is shown once, and not again
/// at each use of the service.
fn keep_sound_methods(service: &mut RustService) {
    let mut seen = Vec::new();
    service.retain(|method| {
        let sound = !seen.contains(&method.rust.ident);
        seen.push(method.rust.ident.clone());
        sound
    });
}

/// The imports of the modules' types, next to the trait.
fn names(service: &RustService) -> TokenStream {
    let (cfgs, visibility, handler) = (&service.cfgs, &service.visibility, &service.ident);
    let (client_mod, client) = (module_ident(service, "client"), type_ident(service, "Client"));
    let (worker_mod, worker) = (module_ident(service, "worker"), type_ident(service, "Worker"));
    let (dyn_mod, dynamic) = (module_ident(service, "dyn"), dyn_ident(service));
    quote! {
        #(#cfgs)*
        #[allow(deprecated, unreachable_pub, unused_imports)]
        #visibility use self::{
            #client_mod::#client, #dyn_mod::#dynamic, #worker_mod::{#handler, #worker},
        };
    }
}

/// Emits uses of the user's own names for `CallContext`, `Result` and the runtime's other types. So imports that only
/// the trait needs cause no warning, and other types with these names cause an error.
fn uses(
    service: &RustService,
    cfgs: &[Attribute],
    written: &Written,
    options: &Options,
) -> TokenStream {
    let (of_service, runtime) = (&service.cfgs, &options.runtime);
    let Written { context, requests, replies, result } = written;
    let mut wanted = Vec::new();
    wanted.extend(context.as_ref().map(|_| quote!(&#runtime::codegen::CallContext)));
    wanted.extend(requests.as_ref().map(|_| quote!(#runtime::codegen::Streaming<()>)));
    let taken = context.iter().chain(requests).map(|ty| quote!(_: #ty));
    // The generated code has an error of the user's own as the user wrote it.
    let ends = match result {
        Some(_) => quote!(-> ::core::result::Result<(), #runtime::codegen::Status>),
        None => TokenStream::new(),
    };
    let same = match result {
        Some(result) => quote_spanned! {written.status()=>
            |#(#taken),*| -> #result { ::core::result::Result::Ok(()) }
        },
        None => quote!(|#(#taken),*| {}),
    };
    let replies = replies.as_ref().map(|replies| {
        // An `impl` type is allowed only in the signature of a function.
        let same = quote_spanned! {written.stream()=>
            fn _same(
                replies: #replies,
            ) -> impl #runtime::codegen::Stream<
                Item = ::core::result::Result<(), #runtime::codegen::Status>,
            > {
                replies
            }
        };
        quote! {
            #(#of_service)*
            #(#cfgs)*
            #[allow(clippy::all, clippy::pedantic, clippy::nursery)]
            const _: () = {
                #same
            };
        }
    });
    quote! {
        #(#of_service)*
        #(#cfgs)*
        #[allow(clippy::all, clippy::pedantic, clippy::nursery)]
        const _: fn(#(#wanted),*) #ends = #same;
        #replies
    }
}
