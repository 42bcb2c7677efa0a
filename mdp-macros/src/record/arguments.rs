//! Parses `#[mdp(..)]`: numbers, words, `word = value`, `word(..)`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Ident, Lit, LitInt, Path, Token, Type};

use super::mistakes::Mistakes;

/// One argument.
pub(super) enum Argument {
    /// A number on the wire.
    Number(Number),
    /// A word, alone or with a value.
    Word(Word),
}

/// A number as written.
pub(super) struct Number {
    /// `None`: the number is too large for all uses.
    pub(super) value: Option<i64>,
    tokens: TokenStream,
}

/// A word as written.
pub(super) struct Word {
    pub(super) name: Ident,
    pub(super) value: Value,
}

/// The value after a word.
pub(super) enum Value {
    /// The word has no value.
    None,
    /// `= value`.
    Equals(Expr),
    /// `= Type`, after a word that takes a type.
    Type(Box<Type>),
    /// `(..)`.
    List(TokenStream),
}

impl Number {
    /// Reads a number from a Rust expression, for instance after the `=` of a variant.
    pub(super) fn of_expr(expr: &Expr) -> Option<Self> {
        syn::parse2(expr.to_token_stream()).ok()
    }
}

impl Parse for Number {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let minus: Option<Token![-]> = input.parse()?;
        let literal: LitInt = input.parse()?;
        let size = literal.base10_parse::<i64>().ok();
        let value = if minus.is_some() { size.map(|size| -size) } else { size };
        Ok(Self { value, tokens: quote::quote!(#minus #literal) })
    }
}

impl ToTokens for Number {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.tokens.to_tokens(tokens);
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitInt) || input.peek(Token![-]) {
            return Ok(Self::Number(input.parse()?));
        }
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected a number or a word, as in `#[mdp(1)]`"));
        }
        let name = Ident::parse_any(input)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            // A type such as `Vec<u8>` is no expression.
            if name == "as" { Value::Type(input.parse()?) } else { Value::Equals(input.parse()?) }
        } else if input.peek(syn::token::Paren) {
            let list;
            syn::parenthesized!(list in input);
            Value::List(list.parse()?)
        } else {
            Value::None
        };
        Ok(Self::Word(Word { name, value }))
    }
}

/// Reads the arguments of all attributes `#[mdp(..)]` in the list.
pub(super) fn read(attributes: &[Attribute], mistakes: &mut Mistakes) -> Vec<Argument> {
    let mut all = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("mdp")) {
        let list = Punctuated::<Argument, Token![,]>::parse_terminated;
        match attribute.parse_args_with(list) {
            Ok(arguments) => all.extend(arguments),
            Err(error) => mistakes.add(error),
        }
    }
    all
}

impl Word {
    /// Returns the text after the word's `=`.
    pub(super) fn text(&self) -> syn::Result<(String, Span)> {
        if let Value::Equals(Expr::Lit(literal)) = &self.value
            && let Lit::Str(text) = &literal.lit
        {
            return Ok((text.value(), text.span()));
        }
        Err(self.wants(&format!("a text: `{} = \"..\"`", self.name)))
    }

    /// Returns the word after the word's `=`.
    pub(super) fn word(&self) -> syn::Result<Ident> {
        if let Value::Equals(Expr::Path(path)) = &self.value
            && let Some(word) = path.path.get_ident()
        {
            return Ok(word.clone());
        }
        Err(self.wants(&format!("one of protobuf's types: `{} = sint32`", self.name)))
    }

    /// Returns the type after the word's `=`.
    pub(super) fn ty(&self) -> syn::Result<Type> {
        match &self.value {
            Value::Type(ty) => Ok((**ty).clone()),
            _ => Err(self.wants(&format!("the type on the wire: `{} = String`", self.name))),
        }
    }

    /// Returns the path after the word's `=`.
    pub(super) fn path(&self) -> syn::Result<Path> {
        match &self.value {
            Value::Equals(Expr::Path(path)) if path.qself.is_none() => Ok(path.path.clone()),
            _ => Err(self.wants(&format!(
                "a module with `Wire`, `to_wire` and `from_wire`: `{} = some::module`",
                self.name
            ))),
        }
    }

    /// Checks that the word has no value.
    pub(super) fn alone(&self) -> syn::Result<()> {
        match &self.value {
            Value::None => Ok(()),
            _ => Err(self.wants("no value")),
        }
    }

    /// The mistake of a word that has the wrong kind of value, or no value.
    pub(super) fn wants(&self, what: &str) -> syn::Error {
        let span = match &self.value {
            Value::None => self.name.span(),
            Value::Equals(expr) => expr.span(),
            Value::Type(ty) => ty.span(),
            Value::List(list) => list.span(),
        };
        syn::Error::new(span, format!("`{}` takes {what}", self.name))
    }
}
