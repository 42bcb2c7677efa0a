//! The attributes on a trait or on one of its methods.

use syn::{Attribute, Expr, ExprGroup, ExprLit, Lit, Meta};

use super::args::{self, MethodArgs};
use super::errors::Errors;

/// The content of an item's attributes.
#[derive(Default)]
pub(super) struct Attributes {
    /// Lines of documentation.
    pub(super) docs: Vec<String>,
    pub(super) cfgs: Vec<Attribute>,
    pub(super) deprecated: Option<Attribute>,
    /// The arguments of a method.
    pub(super) args: MethodArgs,
}

pub(super) fn of_trait(attributes: &[Attribute], errors: &mut Errors) -> Attributes {
    let mut found = Attributes::default();
    for attribute in attributes {
        if attribute.path().is_ident("mdp") {
            errors.push(syn::Error::new_spanned(
                attribute,
                "`#[mdp(..)]` belongs to methods; move these arguments into `#[mdp_service(..)]`",
            ));
        } else {
            found.common(attribute, errors);
        }
    }
    found
}

pub(super) fn of_method(attributes: &[Attribute], errors: &mut Errors) -> Attributes {
    let mut found = Attributes::default();
    for attribute in attributes {
        if attribute.path().is_ident("mdp") {
            args::of_method(attribute, &mut found.args, errors);
        } else {
            found.common(attribute, errors);
        }
    }
    found
}

impl Attributes {
    fn common(&mut self, attribute: &Attribute, errors: &mut Errors) {
        let path = attribute.path();
        if path.is_ident("doc") {
            match doc(attribute) {
                Some(text) => self.docs.extend(text.split('\n').map(str::to_owned)),
                None => errors.push(syn::Error::new_spanned(
                    attribute,
                    "the schema needs documentation as text; write it after `///`",
                )),
            }
        } else if path.is_ident("cfg") {
            self.cfgs.push(attribute.clone());
        } else if path.is_ident("deprecated") {
            self.deprecated = Some(attribute.clone());
        } else {
            errors.push(syn::Error::new_spanned(
                attribute,
                "this attribute has no meaning in a service, which takes `///`, `#[cfg(..)]`, \
                 `#[deprecated]` and, on a method, `#[mdp(..)]`; remove it, or put it on the module around",
            ));
        }
    }
}

fn doc(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(doc) = &attribute.meta else { return None };
    text(&doc.value)
}

/// The text that a literal has.
pub(super) fn text(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        // The text comes from a `macro_rules!`.
        Expr::Group(ExprGroup { expr, .. }) => text(expr),
        _ => None,
    }
}
