//! The arguments of `#[mdp_service(..)]` and of `#[mdp(..)]` on a method.

use lean_codegen::emit::Options;
use lean_codegen::model::{Idempotency, OnCancel};
use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Path, Token};

use super::errors::Errors;

/// The arguments of `#[mdp_service(..)]`.
pub(super) struct ServiceArgs {
    pub(super) package: Option<LitStr>,
    pub(super) name: Option<LitStr>,
    pub(super) timeout_ms: Option<u32>,
    pub(super) deprecated: Option<Attribute>,
    pub(super) runtime: Path,
}

/// The arguments of `#[mdp(..)]` on a method.
#[derive(Default)]
pub(super) struct MethodArgs {
    pub(super) rename: Option<LitStr>,
    pub(super) idempotency: Idempotency,
    pub(super) timeout_ms: Option<u32>,
    pub(super) retry_attempts: Option<u8>,
    pub(super) blocking: bool,
    pub(super) on_cancel: OnCancel,
    /// The word `value`: the reply is a value, and no record.
    pub(super) value: Option<Ident>,
    /// The word `optional`: an implementation may leave the method out.
    pub(super) optional: Option<Ident>,
    pub(super) deprecated: Option<Attribute>,
}

const OF_SERVICE: &str = "`package`, `name`, `timeout_ms`, `deprecated`, `crate`";
const OF_METHOD: &str = "`rename`, `idempotent`, `no_side_effects`, `timeout_ms`, `retry_attempts`, `blocking`, `detach`, \
     `value`, `optional`, `deprecated`";

pub(super) fn of_service(tokens: TokenStream, errors: &mut Errors) -> ServiceArgs {
    let mut found = ServiceArgs {
        package: None,
        name: None,
        timeout_ms: None,
        deprecated: None,
        runtime: Options::default().runtime,
    };
    for arg in args(tokens, errors) {
        let result = match arg.key.to_string().as_str() {
            "package" => arg.text().map(|text| found.package = Some(text)),
            "name" => arg.text().map(|text| found.name = Some(text)),
            "timeout_ms" => arg.milliseconds().map(|ms| found.timeout_ms = Some(ms)),
            "deprecated" => arg.deprecated().map(|mark| found.deprecated = Some(mark)),
            "crate" => arg.runtime().map(|path| found.runtime = path),
            _ => Err(arg.unknown(OF_SERVICE)),
        };
        errors.take(result);
    }
    found
}

/// Adds the arguments of one `#[mdp(..)]`. A method may have several.
pub(super) fn of_method(attribute: &Attribute, found: &mut MethodArgs, errors: &mut Errors) {
    let Some(list) = errors.take(attribute.meta.require_list()) else { return };
    for arg in args(list.tokens.clone(), errors) {
        let result = match arg.key.to_string().as_str() {
            "rename" => arg.text().map(|text| found.rename = Some(text)),
            "idempotent" => arg.level(Idempotency::Idempotent, &mut found.idempotency),
            "no_side_effects" => arg.level(Idempotency::NoSideEffects, &mut found.idempotency),
            "timeout_ms" => arg.milliseconds().map(|ms| found.timeout_ms = Some(ms)),
            "retry_attempts" => {
                arg.attempts().map(|attempts| found.retry_attempts = Some(attempts))
            }
            "blocking" => {
                found.blocking = true;
                arg.alone()
            }
            "value" => arg.alone().map(|()| found.value = Some(arg.key.clone())),
            "optional" => arg.alone().map(|()| found.optional = Some(arg.key.clone())),
            "detach" => arg.alone().map(|()| found.on_cancel = OnCancel::Detach),
            "deprecated" => arg.deprecated().map(|mark| found.deprecated = Some(mark)),
            _ => Err(arg.unknown(OF_METHOD)),
        };
        errors.take(result);
    }
}

/// `key` or `key = value`.
struct Arg {
    key: Ident,
    value: Option<Expr>,
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            let text = "an argument is `key` or `key = value`, as in `timeout_ms = 500`";
            return Err(input.error(text));
        }
        // `crate` is a keyword.
        let key = input.call(Ident::parse_any)?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self { key, value })
    }
}

fn args(tokens: TokenStream, errors: &mut Errors) -> Vec<Arg> {
    let parsed = Punctuated::<Arg, Token![,]>::parse_terminated.parse2(tokens);
    let mut once: Vec<Arg> = Vec::new();
    for arg in errors.take(parsed).into_iter().flatten() {
        if once.iter().any(|other| other.key == arg.key) {
            let text = format!("`{}` was given before; remove one of them", arg.key);
            errors.push(syn::Error::new(arg.key.span(), text));
        } else {
            once.push(arg);
        }
    }
    once
}

impl Arg {
    fn text(&self) -> syn::Result<LitStr> {
        match &self.value {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Ok(text.clone()),
            _ => Err(self.wants("a text", "\"..\"")),
        }
    }

    fn attempts(&self) -> syn::Result<u8> {
        let Some(Expr::Lit(ExprLit { lit: Lit::Int(number), .. })) = &self.value else {
            return Err(self.wants("a number of attempts", "3"));
        };
        // A value that is too large for the number type is out of range, too. The model has this rule.
        let attempts = number.base10_parse::<u128>().ok().filter(|_| number.suffix().is_empty());
        let attempts = attempts.ok_or_else(|| {
            syn::Error::new(number.span(), "this is not a number of attempts from 1 to 100")
        })?;
        Ok(u8::try_from(attempts).unwrap_or(u8::MAX))
    }

    fn milliseconds(&self) -> syn::Result<u32> {
        let Some(Expr::Lit(ExprLit { lit: Lit::Int(number), .. })) = &self.value else {
            return Err(self.wants("a number of milliseconds", "500"));
        };
        if !number.suffix().is_empty() {
            return Err(syn::Error::new(
                number.span(),
                "milliseconds are meant; leave the unit out",
            ));
        }
        match number.base10_parse() {
            Ok(0) => Err(syn::Error::new(
                number.span(),
                "a call with a timeout of zero ends before it begins; give at least 1",
            )),
            Ok(ms) => Ok(ms),
            Err(_) => Err(syn::Error::new(
                number.span(),
                "this is not a number of milliseconds from 1 to 4294967295",
            )),
        }
    }

    fn deprecated(&self) -> syn::Result<Attribute> {
        if self.value.is_none() {
            return Ok(syn::parse_quote!(#[deprecated]));
        }
        let note = self.text()?;
        Ok(syn::parse_quote!(#[deprecated(note = #note)]))
    }

    fn alone(&self) -> syn::Result<()> {
        let Some(value) = &self.value else { return Ok(()) };
        let text = format!("`{}` has no value; write `{0}`", self.key);
        Err(syn::Error::new_spanned(value, text))
    }

    fn level(&self, level: Idempotency, found: &mut Idempotency) -> syn::Result<()> {
        self.alone()?;
        if *found != Idempotency::Unknown {
            return Err(syn::Error::new(
                self.key.span(),
                "a method is `no_side_effects` or `idempotent`; keep `no_side_effects` if it only \
                 reads, else `idempotent`",
            ));
        }
        *found = level;
        Ok(())
    }

    /// Resolves the path from the crate's root, because the generated code is one module deeper.
    fn runtime(&self) -> syn::Result<Path> {
        let Some(Expr::Path(path)) = self.value.as_ref().filter(|value| is_plain_path(value))
        else {
            return Err(self.wants("the path of the runtime", "some::path"));
        };
        let mut path = path.path.clone();
        let first = path.segments.first().map(|first| first.ident.to_string());
        match first.as_deref() {
            Some("self" | "super" | "Self") => Err(syn::Error::new_spanned(
                path,
                "the path of the runtime must begin at a crate; write `crate::..` or the crate's name",
            )),
            Some("crate" | "$crate") => Ok(path),
            _ => {
                path.leading_colon.get_or_insert_default();
                Ok(path)
            }
        }
    }

    fn wants(&self, what: &str, example: &str) -> syn::Error {
        let text = format!("`{}` takes {what}; write `{0} = {example}`", self.key);
        match &self.value {
            Some(value) => syn::Error::new_spanned(value, text),
            None => syn::Error::new(self.key.span(), text),
        }
    }

    fn unknown(&self, known: &str) -> syn::Error {
        let text = format!("there is no argument `{}` here; there are {known}", self.key);
        syn::Error::new(self.key.span(), text)
    }
}

fn is_plain_path(value: &Expr) -> bool {
    let Expr::Path(path) = value else { return false };
    path.qself.is_none() && path.path.segments.iter().all(|segment| segment.arguments.is_empty())
}
