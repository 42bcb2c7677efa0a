//! A struct as a message.

use proc_macro2::{Ident, Span};
use syn::{DataStruct, DeriveInput, Expr, Fields, Lit, Path, Type};

use super::attributes::{Container, Converts, FIELD, Member, Notes, Text};
use super::mistakes::Mistakes;
use super::names;
use super::numbers::{Free, Tag};
use super::scalars::Kind;
use super::types::{self, Carried, Container as Holds};

/// A struct with numbers on its fields.
pub(super) struct Message<'a> {
    pub(super) ident: &'a Ident,
    pub(super) container: &'a Container,
    pub(super) fields: Vec<Field>,
}

/// A field with any role.
pub(super) struct Field {
    pub(super) ident: Ident,
    pub(super) ty: Type,
    /// The name in the schema.
    pub(super) name: Text,
    pub(super) notes: Notes,
    pub(super) role: Role,
}

/// The purpose of a field.
pub(super) enum Role {
    /// The field is on the wire.
    Value(Box<Value>),
    /// The field is a oneof: at most one of several fields on the wire. Contains the type of the enum.
    Oneof(Box<Type>),
    /// The field keeps unknown fields.
    Unknown,
    /// The field is not on the wire.
    Skipped,
    /// The field has a mistake, which was reported.
    Broken,
}

/// A field with a number.
pub(super) struct Value {
    pub(super) tag: Tag,
    pub(super) carried: Carried,
    /// How the values are written. For a map, the values of its entries.
    pub(super) coding: Coding,
    /// The same for the keys of a map.
    pub(super) key: Option<Kind>,
    pub(super) default: Option<Expr>,
    pub(super) unpacked: bool,
}

/// How a value is written.
#[derive(Clone)]
pub(super) enum Coding {
    /// As its type says.
    Own,
    /// As this type of protobuf.
    Kind(Kind),
    /// As another type of Rust, by `Display` and `FromStr`.
    Text,
    /// As another type of Rust, by `Into` and `TryFrom`.
    As(Box<Type>),
    /// As another type of Rust, by the functions of a module. The identifier is that of a type in the derived code.
    With(Box<Path>, Ident),
}

impl Coding {
    /// Reads the arguments of a field, a variant or the value of a newtype; `ident` is its name.
    pub(super) fn of(
        member: &Member,
        asked: &Option<(Kind, Ident)>,
        ident: &Ident,
        ty: &Type,
        mistakes: &mut Mistakes,
    ) -> Self {
        let Some((converts, word)) = &member.converts else {
            return fitting(asked, ty, mistakes).map_or(Self::Own, Self::Kind);
        };
        if let Some((kind, at)) = asked {
            let kind = kind.word();
            mistakes.of(at, format!("leave this out: with `{word}` the other type says what goes; for `{kind}` give `as` a type around it"));
        }
        match converts {
            Converts::As(wire) if types::std_name(wire).as_deref() == Some("String") => Self::Text,
            Converts::As(wire) => {
                mistakes.value(types::value(wire));
                Self::As(Box::new(wire.clone()))
            }
            Converts::With(module) => {
                let name = quote::format_ident!(
                    "__with_{}",
                    names::plain(ident),
                    span = Span::call_site()
                );
                Self::With(Box::new(module.clone()), name)
            }
        }
    }
}

impl Message<'_> {
    /// Returns the fields with their own numbers, by number.
    pub(super) fn numbered(&self) -> Vec<(&Field, &Value)> {
        let mut numbered: Vec<_> = self
            .fields
            .iter()
            .filter_map(|field| match &field.role {
                Role::Value(value) => Some((field, &**value)),
                _ => None,
            })
            .collect();
        numbered.sort_by_key(|(_, value)| value.tag.number);
        numbered
    }

    /// Returns the oneofs with the types of their enums.
    pub(super) fn oneofs(&self) -> Vec<(&Field, &Type)> {
        let oneofs = self.fields.iter().filter_map(|field| match &field.role {
            Role::Oneof(ty) => Some((field, &**ty)),
            _ => None,
        });
        oneofs.collect()
    }

    /// Returns the field that keeps unknown fields.
    pub(super) fn unknown(&self) -> Option<&Field> {
        self.fields.iter().find(|field| matches!(field.role, Role::Unknown))
    }
}

pub(super) fn read<'a>(
    item: &'a DeriveInput,
    data: &DataStruct,
    container: &'a Container,
    mistakes: &mut Mistakes,
) -> Message<'a> {
    if let Fields::Unnamed(fields) = &data.fields {
        mistakes.of(
            fields,
            "the fields of a record have names; write `{ #[mdp(1)] name: Type }` with braces (a struct around one value \
             needs none)",
        );
        return Message { ident: &item.ident, container, fields: Vec::new() };
    }
    let members: Vec<_> = data
        .fields
        .iter()
        .map(|field| (field, Member::read(&field.attrs, &FIELD, mistakes)))
        .collect();
    let taken = members.iter().filter_map(|(_, member)| member.number.as_ref()?.value);
    let mut free = Free::of_fields(taken);
    let fields = members
        .into_iter()
        .filter_map(|(field, member)| {
            Some(read_field(
                field.ident.clone()?,
                &field.ty,
                member,
                container,
                &mut free,
                mistakes,
            ))
        })
        .collect();
    Message { ident: &item.ident, container, fields }
}

fn read_field(
    ident: Ident,
    ty: &Type,
    mut member: Member,
    container: &Container,
    free: &mut Free,
    mistakes: &mut Mistakes,
) -> Field {
    let notes = std::mem::take(&mut member.notes);
    let role = role(&ident, ty, &mut member, container, free, mistakes);
    let name = match role {
        Role::Skipped | Role::Unknown => Text { text: names::plain(&ident), span: ident.span() },
        _ => names::of_field(&ident, member.rename, mistakes),
    };
    Field { ident, ty: ty.clone(), name, notes, role }
}

fn role(
    ident: &Ident,
    ty: &Type,
    member: &mut Member,
    container: &Container,
    free: &mut Free,
    mistakes: &mut Mistakes,
) -> Role {
    if let Some(word) = &member.oneof {
        // A oneof may have a name. All other arguments belong to its variants.
        let rename = member.rename.take();
        member.only(word, "the variants of a oneof have the numbers and the rest", mistakes);
        member.rename = rename;
        let inner = mistakes.value(types::oneof(ty));
        return inner.map_or(Role::Broken, |inner| Role::Oneof(Box::new(inner)));
    }
    if let Some(word) = &member.unknown {
        member.only(word, "`unknown` is not a field on the wire", mistakes);
        if types::std_name(ty).as_deref() != Some("UnknownFields") {
            mistakes.of(ty, "unknown fields need the type `mdp_runtime::UnknownFields`");
        }
        return Role::Unknown;
    }
    if let Some(word) = &member.skip {
        member.only(word, "a field with `skip` is not on the wire", mistakes);
        return Role::Skipped;
    }
    let Some(number) = &member.number else {
        let next = free.next(&container.reserved);
        mistakes.of(
            ident,
            format!(
                "the field has no number; write `#[mdp({next})]`, or `#[mdp(skip)]` if it is not to be sent"
            ),
        );
        // The field's type may be wrong, too.
        let _ = mistakes.value(types::field(ty, member.converts.is_some()));
        return Role::Broken;
    };
    let tag = super::check::tag(number, &container.reserved, free, mistakes);
    let carried = mistakes.value(types::field(ty, member.converts.is_some()));
    match (tag, carried) {
        (Some(tag), Some(carried)) => {
            Role::Value(Box::new(value(ident, tag, carried, member, mistakes)))
        }
        _ => Role::Broken,
    }
}

fn value(
    ident: &Ident,
    tag: Tag,
    carried: Carried,
    member: &mut Member,
    mistakes: &mut Mistakes,
) -> Value {
    let (coding, key) = codings(ident, &carried, member, mistakes);
    if let Some((_, word)) = &member.default
        && let Some(why) = no_default(&carried)
    {
        mistakes.of(word, why);
    }
    if member.converts.is_none() {
        default_of_text(&carried, member, mistakes);
    }
    unpacked(&carried, member, mistakes);
    Value {
        tag,
        carried,
        coding,
        key,
        default: member.default.take().map(|(expr, _)| expr),
        unpacked: member.unpacked.is_some(),
    }
}

/// Checks that what is not to be packed could be packed.
pub(super) fn unpacked(carried: &Carried, member: &Member, mistakes: &mut Mistakes) {
    let Some(word) = &member.unpacked else { return };
    let packs = types::std_name(&carried.value)
        .and_then(|name| Kind::of(&name).next())
        .is_none_or(Kind::packs);
    if !matches!(carried.container, Holds::Repeated) || !packs {
        mistakes.of(word, "only a list of numbers is packed; leave `unpacked` out");
    }
}

/// Without this check the compiler would report a quoted number as a missing conversion.
fn default_of_text(carried: &Carried, member: &Member, mistakes: &mut Mistakes) {
    if let Some((Expr::Lit(literal), _)) = &member.default
        && let Lit::Str(text) = &literal.lit
        && let Some(name) = types::std_name(&carried.value)
        && let Some(kind) = Kind::of(&name).next()
        && kind.word() != "string"
    {
        mistakes
            .of(text, format!("this is a text, and the field is a `{name}`; write one of those"));
    }
}

fn no_default(carried: &Carried) -> Option<&'static str> {
    match carried.container {
        Holds::One => None,
        Holds::Optional => Some("an `Option` has no `default`: it is `None` when it is absent"),
        Holds::Repeated => Some("a list has no `default`: it is empty when it is absent"),
        Holds::Map(_) => Some("a map has no `default`: it is empty when it is absent"),
    }
}

/// Reads how values and keys are written.
pub(super) fn codings(
    ident: &Ident,
    carried: &Carried,
    member: &Member,
    mistakes: &mut Mistakes,
) -> (Coding, Option<Kind>) {
    let Holds::Map(key) = &carried.container else {
        for (_, word) in [&member.key, &member.value].into_iter().flatten() {
            mistakes.of(word, "only a map has `key` and `value`; write the type alone: `sint32`");
        }
        return (Coding::of(member, &member.kind, ident, &carried.value, mistakes), None);
    };
    if let Some((kind, word)) = &member.kind {
        let name = kind.word();
        let mend = format!("of a map say `key = {name}` or `value = {name}`");
        mistakes.of(word, mend);
    }
    let key = fitting(&member.key, key, mistakes);
    (Coding::of(member, &member.value, ident, &carried.value, mistakes), key)
}

/// The type that the attribute names, if it can carry the Rust type.
fn fitting(asked: &Option<(Kind, Ident)>, ty: &Type, mistakes: &mut Mistakes) -> Option<Kind> {
    let (kind, word) = asked.as_ref()?;
    // A type that is not Rust's own may be an alias of one. Only the compiler knows.
    let name = types::std_name(ty)?;
    let mut known = Kind::of(&name).peekable();
    if known.peek().is_some() && !known.any(|other| other == *kind) {
        let words: Vec<String> = Kind::of(&name).map(|kind| format!("`{}`", kind.word())).collect();
        let (asked, carries, words) = (kind.word(), kind.carries(), words.join(" or "));
        mistakes.of(
            word,
            format!("`{asked}` carries {carries}, and the type is `{name}`; that can be {words}"),
        );
    }
    Some(*kind)
}
