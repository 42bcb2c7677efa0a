//! The arguments of `#[mdp(..)]` on an item, a field or a variant.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Expr, Ident, Lit, Meta, Path, Type};

use super::arguments::{self, Argument, Number, Value, Word};
use super::mistakes::Mistakes;
use super::names;
use super::numbers::Reserved;
use super::scalars::Kind;

/// The arguments of the item as a whole.
pub(super) struct Container {
    /// The path of the runtime.
    pub(super) runtime: Path,
    /// The name in the schema.
    pub(super) name: String,
    /// The package, if the item has one of its own.
    pub(super) package: Option<String>,
    /// Reserved numbers and names.
    pub(super) reserved: Reserved,
    /// Documentation and deprecation.
    pub(super) notes: Notes,
    /// The words of the attribute, for checks of words that are allowed only on some items.
    words: Vec<Ident>,
}

/// Further facts about a declaration for the schema.
#[derive(Clone, Default)]
pub(super) struct Notes {
    /// Lines of documentation, each with the text after `///`.
    pub(super) docs: Vec<String>,
    /// Whether the declaration is deprecated.
    pub(super) deprecated: bool,
}

/// A text with its place in the source.
#[derive(Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) span: Span,
}

/// The arguments of a field or of a variant.
#[derive(Default)]
pub(super) struct Member {
    pub(super) number: Option<Number>,
    pub(super) kind: Option<(Kind, Ident)>,
    pub(super) converts: Option<(Converts, Ident)>,
    pub(super) key: Option<(Kind, Ident)>,
    pub(super) value: Option<(Kind, Ident)>,
    pub(super) default: Option<(Expr, Ident)>,
    pub(super) rename: Option<Text>,
    pub(super) unpacked: Option<Ident>,
    pub(super) oneof: Option<Ident>,
    pub(super) unknown: Option<Ident>,
    pub(super) other: Option<Ident>,
    pub(super) skip: Option<Ident>,
    pub(super) notes: Notes,
}

/// How a value is converted for the wire.
#[derive(Clone)]
pub(super) enum Converts {
    /// `as = Type`.
    As(Type),
    /// `with = module`.
    With(Path),
}

/// A kind of place for arguments, and the words that are allowed there.
pub(super) struct Place {
    what: &'static str,
    words: &'static str,
    has: &'static [&'static str],
}

/// A field of a struct.
pub(super) const FIELD: Place = Place {
    what: "a field",
    words: "a number and `default`, `rename`, `unpacked`, `key`, `value`, `as`, `with` or a type such as `sint32`; \
            or `oneof`, `unknown` or `skip`",
    has: &[
        "default", "rename", "unpacked", "key", "value", "as", "with", "oneof", "unknown", "skip",
    ],
};

/// The field of a struct around one value.
pub(super) const HELD: Place = Place {
    what: "the value of a struct around it",
    words: "`as`, `with`, `unpacked`, `key`, `value` or a type such as `sint32`",
    has: &["unpacked", "key", "value", "as", "with"],
};

/// A variant of an enum with data.
pub(super) const ALTERNATIVE: Place = Place {
    what: "a variant of a oneof",
    words: "a number and `rename`, `as`, `with` or a type such as `sint32`",
    has: &["rename", "as", "with"],
};

/// A variant of an enum without data.
pub(super) const VALUE: Place = Place {
    what: "a variant of an enum without data",
    words: "a number and `rename`; or `other`",
    has: &["rename", "other"],
};

const CONTAINER: &[&str] = &["crate", "package", "name", "reserved"];

impl Container {
    pub(super) fn read(item: &DeriveInput, mistakes: &mut Mistakes) -> Self {
        let mut container = Self {
            runtime: syn::parse_quote!(::mdp_runtime),
            name: names::plain(&item.ident),
            package: None,
            reserved: Reserved::default(),
            notes: Notes::read(&item.attrs),
            words: Vec::new(),
        };
        for argument in arguments::read(&item.attrs, mistakes) {
            match argument {
                Argument::Number(number) => mistakes.of(
                    number,
                    "a number belongs to a field or a variant, not to the item as a whole",
                ),
                Argument::Word(word) => container.take(&word, mistakes),
            }
        }
        container
    }

    fn take(&mut self, word: &Word, mistakes: &mut Mistakes) {
        let name = word.name.to_string();
        if !CONTAINER.contains(&name.as_str()) {
            let known = "`crate`, `package`, `name` and `reserved`";
            return mistakes
                .of(&word.name, format!("there is no `{name}` here; there are {known}"));
        }
        if name != "reserved" && self.words.contains(&word.name) {
            return mistakes.of(&word.name, format!("`{name}` is given twice; leave one out"));
        }
        self.words.push(word.name.clone());
        match name.as_str() {
            "crate" => {
                if let Some(runtime) = mistakes.value(path(word)) {
                    self.runtime = runtime;
                }
            }
            "package" => {
                self.package = mistakes.value(names::package(word)).or(self.package.take())
            }
            "name" => {
                if let Some(name) = mistakes.value(names::of_type(word)) {
                    self.name = name;
                }
            }
            _ => self.reserved.take(word, mistakes),
        }
    }

    /// Reports words that have no meaning on such an item.
    pub(super) fn refuse(&self, words: &[&str], why: &str, mistakes: &mut Mistakes) {
        for word in self.words.iter().filter(|word| words.contains(&word.to_string().as_str())) {
            mistakes.of(word, format!("`{word}` has no meaning here: {why}"));
        }
    }
}

fn path(word: &Word) -> syn::Result<Path> {
    match &word.value {
        Value::Equals(Expr::Path(path)) => Ok(path.path.clone()),
        // `crate` alone is a path, but syn does not accept it as an expression everywhere.
        Value::Equals(expr) => syn::parse2(expr.to_token_stream())
            .map_err(|_| word.wants("a path: `crate = some::path`")),
        _ => Err(word.wants("a path: `crate = some::path`")),
    }
}

impl Notes {
    pub(super) fn read(attributes: &[Attribute]) -> Self {
        let mut notes = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("deprecated") {
                notes.deprecated = true;
            }
            if let Meta::NameValue(meta) = &attribute.meta
                && meta.path.is_ident("doc")
                && let Expr::Lit(literal) = &meta.value
                && let Lit::Str(text) = &literal.lit
            {
                notes.docs.extend(text.value().split('\n').map(str::to_owned));
            }
        }
        notes
    }
}

impl Member {
    pub(super) fn read(attributes: &[Attribute], place: &Place, mistakes: &mut Mistakes) -> Self {
        let mut member = Self { notes: Notes::read(attributes), ..Self::default() };
        for argument in arguments::read(attributes, mistakes) {
            match argument {
                Argument::Number(number) if member.number.is_some() => {
                    mistakes.of(number, "a second number; each has exactly one");
                }
                Argument::Number(number) => member.number = Some(number),
                Argument::Word(word) => member.take(word, place, mistakes),
            }
        }
        member
    }

    fn take(&mut self, word: Word, place: &Place, mistakes: &mut Mistakes) {
        let name = word.name.to_string();
        if let Some(kind) = Kind::named(&name).filter(|_| place.what != VALUE.what) {
            if mistakes.value(word.alone()).is_some() {
                once(&mut self.kind, (kind, word.name.clone()), &word.name, mistakes);
            }
            return;
        }
        if !place.has.contains(&name.as_str()) {
            let Place { what, words, .. } = place;
            return mistakes.of(&word.name, format!("there is no `{name}`; {what} has {words}"));
        }
        if let Err(error) = self.take_known(&name, word, mistakes) {
            mistakes.add(error);
        }
    }

    fn take_known(&mut self, name: &str, word: Word, mistakes: &mut Mistakes) -> syn::Result<()> {
        let at = word.name.clone();
        match name {
            "as" => {
                once(&mut self.converts, (Converts::As(word.ty()?), at.clone()), &at, mistakes);
            }
            "with" => {
                once(&mut self.converts, (Converts::With(word.path()?), at.clone()), &at, mistakes);
            }
            "key" => once(&mut self.key, kind(&word)?, &at, mistakes),
            "value" => once(&mut self.value, kind(&word)?, &at, mistakes),
            "rename" => {
                let (text, span) = word.text()?;
                once(&mut self.rename, Text { text, span }, &at, mistakes);
            }
            "default" => match word.value {
                Value::Equals(expr) => once(&mut self.default, (expr, at.clone()), &at, mistakes),
                _ => return Err(word.wants("a value: `default = 30`")),
            },
            _ => {
                word.alone()?;
                let flag = match name {
                    "unpacked" => &mut self.unpacked,
                    "oneof" => &mut self.oneof,
                    "unknown" => &mut self.unknown,
                    "skip" => &mut self.skip,
                    _ => &mut self.other,
                };
                once(flag, at.clone(), &at, mistakes);
            }
        }
        Ok(())
    }

    /// Reports all arguments next to a word that must be alone.
    pub(super) fn only(&self, word: &Ident, why: &str, mistakes: &mut Mistakes) {
        let converts = self.converts.as_ref().map(|(_, at)| at);
        let words =
            [&self.kind, &self.key, &self.value].map(|kind| kind.as_ref().map(|(_, at)| at));
        let rename = self.rename.as_ref().map(|rename| rename.span);
        let default = self.default.as_ref().map(|(_, at)| at.span());
        let flags = [&self.unpacked, &self.oneof, &self.unknown, &self.other, &self.skip];
        let flags = flags.into_iter().flatten().filter(|flag| *flag != word).map(Ident::span);
        let number = self.number.as_ref().map(Spanned::span);
        let spans = words.into_iter().chain([converts]).flatten().map(Ident::span);
        for span in number.into_iter().chain(spans).chain(rename).chain(default).chain(flags) {
            mistakes.at(span, format!("leave this out: {why}"));
        }
    }
}

fn kind(word: &Word) -> syn::Result<(Kind, Ident)> {
    let name = word.word()?;
    match Kind::named(&name.to_string()) {
        Some(kind) => Ok((kind, name)),
        None => Err(syn::Error::new_spanned(
            &name,
            format!("protobuf has no type `{name}`; there are {}", Kind::all()),
        )),
    }
}

fn once<T>(slot: &mut Option<T>, value: T, word: &Ident, mistakes: &mut Mistakes) {
    if slot.replace(value).is_some() {
        mistakes.of(word, format!("`{word}` is a second argument of this kind; leave one out"));
    }
}
