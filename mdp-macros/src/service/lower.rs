//! From a trait to the model, and to what the service is in Rust.

use lean_codegen::emit::names::{self, ServiceNames};
use lean_codegen::emit::{DefaultBody, Forms, RustMethod, RustService};
use lean_codegen::model::{Comments, Deprecated, Method, Service, Shape};
use proc_macro2::{Span, TokenStream};
use quote::format_ident;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Ident, ItemTrait, LitStr, Meta, MetaNameValue, Token, TraitItem, TraitItemFn,
    TypeParamBound,
};

use super::args::ServiceArgs;
use super::attributes;
use super::errors::Errors;
use super::records::{self, Body, Place};
use super::signature::{self, Request, Sent, Written};

/// A service, and the types that its methods use, each with the conditions of its method.
pub(super) struct Lowered {
    pub(super) service: RustService,
    pub(super) written: Vec<(Vec<Attribute>, Written)>,
    /// What stands next to the trait: records for arguments and values, and the bodies of methods.
    pub(super) beside: TokenStream,
}

/// Converts a trait. Methods with mistakes are left out, and their mistakes are among the errors.
pub(super) fn service(item: &ItemTrait, args: ServiceArgs, errors: &mut Errors) -> Lowered {
    head(item, errors);
    let generic = !item.generics.params.is_empty();
    let said = attributes::of_trait(&item.attrs, errors);
    let stem = item.ident.unraw().to_string();
    let mut plain = Service::new(
        args.package.as_ref().map(|text| package(text, errors)).unwrap_or_default(),
        wire_name(args.name.as_ref(), &stem, &item.ident, "name", errors),
    );
    let deprecated = said.deprecated.or_else(|| args.deprecated.clone());
    plain.comments = comments(&said.docs);
    plain.deprecated = deprecated.as_ref().map(self::deprecated);
    let names = ServiceNames {
        ident: item.ident.clone(),
        module_stem: names::service(&stem).map_or_else(|| stem.clone(), |names| names.module_stem),
        type_stem: stem,
    };
    let mut service = RustService::new(&plain, names);
    service.docs = said.docs;
    service.deprecated = deprecated;
    service.visibility = item.vis.clone();
    service.cfgs = said.cfgs;
    let mut written = Vec::new();
    let (mut beside, mut bodies) = (TokenStream::new(), Vec::new());
    for item in &item.items {
        // A generic parameter of the trait has no name in the generated code.
        if generic {
            break;
        }
        match item {
            TraitItem::Fn(item) => {
                let method = method(item, &args, &mut service, errors);
                let Some(Read { plain, rust: method, written: as_written, records, body }) = method
                else {
                    continue;
                };
                beside.extend(records);
                bodies.extend(body);
                let as_written = (method.cfgs.clone(), as_written);
                if !written.contains(&as_written) {
                    written.push(as_written);
                }
                service.push(plain, method);
            }
            other => errors.push(syn::Error::new_spanned(
                other,
                "a service has methods and nothing else; move this out of the trait",
            )),
        }
    }
    let defaults = records::defaults_ident(&service.ident);
    beside.extend(records::bodies(&service, &defaults, &bodies));
    Lowered { service, written, beside }
}

/// Checks the parts of the trait before its methods.
fn head(item: &ItemTrait, errors: &mut Errors) {
    if let Some(unsafety) = &item.unsafety {
        let text = "a service is not unsafe for its callers; remove this";
        errors.push(syn::Error::new_spanned(unsafety, text));
    }
    if let Some(auto) = &item.auto_token {
        let text = "a service is implemented by a worker; remove this";
        errors.push(syn::Error::new_spanned(auto, text));
    }
    if !item.generics.params.is_empty() {
        errors.push(syn::Error::new_spanned(
            &item.generics,
            "a service has one contract, so it has no parameters; name the types of requests and replies",
        ));
    }
    if let Some(clause) = &item.generics.where_clause {
        let text = "a service has no bounds on types; remove the `where`";
        errors.push(syn::Error::new_spanned(clause, text));
    }
    for bound in item.supertraits.iter().filter(|bound| !is_known(bound)) {
        errors.push(syn::Error::new_spanned(
            bound,
            "a worker's trait is always `Send + Sync + 'static`, without further bounds; remove this",
        ));
    }
}

/// Whether the generated trait has this bound anyway, so that the user may write it.
fn is_known(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last();
            last.is_some_and(|last| last.ident == "Send" || last.ident == "Sync")
        }
        TypeParamBound::Lifetime(lifetime) => lifetime.ident == "static",
        _ => false,
    }
}

/// A method that was read.
struct Read {
    plain: Method,
    rust: RustMethod,
    written: Written,
    records: TokenStream,
    body: Option<Body>,
}

fn method(
    item: &TraitItemFn,
    args: &ServiceArgs,
    service: &mut RustService,
    errors: &mut Errors,
) -> Option<Read> {
    let said = attributes::of_method(&item.attrs, errors);
    let ident = &item.sig.ident;
    let usual = names::on_wire(ident);
    let name = wire_name(said.args.rename.as_ref(), &usual, ident, "rename", errors);
    let signature = signature::of(&item.sig, &said.args, &mut service.needs_outer_names, errors)?;
    let deprecated = said.deprecated.or(said.args.deprecated);
    let mut plain = Method::new(name, signature.shape);
    plain.comments = comments(&said.docs);
    plain.idempotency = said.args.idempotency;
    plain.timeout_ms = said.args.timeout_ms.or(args.timeout_ms);
    // After a mistake, too, the generated code follows the written signature.
    plain.blocking =
        item.sig.asyncness.is_none() && (said.args.blocking || signature.shape == Shape::Unary);
    plain.retry_attempts = said.args.retry_attempts;
    plain.on_cancel = said.args.on_cancel;
    plain.deprecated = deprecated.as_ref().map(self::deprecated);

    let own_error = signature.result.is_some();
    let body = Body::of(item, signature.shape, &said.cfgs);
    let default = match (&said.args.optional, &body) {
        (Some(word), Some(_)) => {
            let text = "the method has a body, which is what happens when it is left out; remove `optional`";
            errors.push(syn::Error::new(word.span(), text));
            None
        }
        (Some(word), None) if own_error => {
            let text = "a method that is left out ends with a `Status`; write `Result<.., Status>`, or a body";
            errors.push(syn::Error::new(word.span(), text));
            None
        }
        (Some(_), None) => Some(DefaultBody::Unimplemented),
        (None, body) => {
            let defaults = records::defaults_ident(&service.ident);
            body.as_ref().map(|body| body.call(&defaults))
        }
    };

    let place = Place {
        runtime: &args.runtime,
        visibility: &service.visibility,
        cfgs: service.cfgs.iter().chain(&said.cfgs).cloned().collect(),
        path: service.plain().path(&plain),
    };
    let record = |suffix: &str| {
        // A name that is none was reported.
        let name = if is_name(&plain.name) { plain.name.clone() } else { usual.clone() };
        format_ident!("{}{name}{suffix}", service.type_stem, span = ident.span())
    };
    let mut records = TokenStream::new();
    let (input, arguments) = match signature.request {
        Request::Record(ty) => (ty, None),
        Request::Arguments(arguments) => {
            let name = record("Request");
            records.extend(records::of_arguments(&name, &arguments, &place));
            (syn::parse_quote!(super::#name), Some(records::placed(arguments)))
        }
    };
    let (output, value) = match signature.reply {
        Sent::Record(ty) => (*ty, None),
        Sent::Value(value) => {
            let name = record("Reply");
            records.extend(records::of_value(&name, &value, &place));
            (syn::parse_quote!(super::#name), Some(value.placed))
        }
    };
    let rust = RustMethod {
        ident: ident.clone(),
        docs: said.docs,
        deprecated,
        cfgs: said.cfgs,
        takes_context: signature.takes_context,
        takes_request: signature.takes_request,
        input,
        output,
        forms: Forms { arguments, value, result: signature.result, default },
    };
    Some(Read { plain, rust, written: signature.written, records, body })
}

fn comments(docs: &[String]) -> Comments {
    Comments::new(&docs.join("\n"), "")
}

/// The note of `#[deprecated = ".."]` and of `#[deprecated(note = "..")]`. The compiler checks the attribute.
fn deprecated(attribute: &Attribute) -> Deprecated {
    let note = match &attribute.meta {
        Meta::NameValue(note) => attributes::text(&note.value),
        Meta::List(_) => {
            let parse = Punctuated::<MetaNameValue, Token![,]>::parse_terminated;
            let arguments = attribute.parse_args_with(parse).unwrap_or_default();
            let note = arguments.iter().find(|argument| argument.path.is_ident("note"));
            note.and_then(|note| attributes::text(&note.value))
        }
        Meta::Path(_) => None,
    };
    Deprecated::new(note)
}

/// Returns a name that is valid in a schema: the name of the attribute, or the default name.
fn wire_name(
    asked: Option<&LitStr>,
    usual: &str,
    ident: &Ident,
    argument: &str,
    errors: &mut Errors,
) -> String {
    let (name, span) = match asked {
        Some(text) => (text.value(), text.span()),
        None => (usual.to_owned(), ident.span()),
    };
    if !is_name(&name) {
        let shown = if name.is_empty() { ident.to_string() } else { name.clone() };
        no_name(&shown, span, argument, errors);
    }
    name
}

fn no_name(name: &str, span: Span, argument: &str, errors: &mut Errors) {
    let text = format!(
        "`{name}` is no name on the wire; give one of ASCII letters, digits and `_` that begins with no \
         digit, as in `{argument} = \"WhoAmI\"`"
    );
    errors.push(syn::Error::new(span, text));
}

fn package(text: &LitStr, errors: &mut Errors) -> String {
    let package = text.value();
    if !package.split('.').all(is_name) {
        let message = format!(
            "`{package}` is no package; give names of ASCII letters, digits and `_` with a dot between \
             them, as in `auth.v1`"
        );
        errors.push(syn::Error::new(text.span(), message));
    }
    package
}

/// Whether protobuf accepts this name.
fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
