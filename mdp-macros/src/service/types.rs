//! Checks the types of requests and replies, and writes them for the generated modules.

use syn::{GenericArgument, Ident, Path, PathArguments, Token, Type};

/// Rust's own types that are no records. A record with one of these names is written `self::String`.
const NO_RECORDS: [&str; 34] = [
    "Arc",
    "BTreeMap",
    "BTreeSet",
    "Box",
    "Bytes",
    "Cow",
    "HashMap",
    "HashSet",
    "Option",
    "Rc",
    "Result",
    "String",
    "SystemTime",
    "Vec",
    "VecDeque",
    "bool",
    "char",
    "f32",
    "f64",
    "i128",
    "i16",
    "i32",
    "i64",
    "i8",
    "isize",
    "str",
    "u128",
    "u16",
    "u32",
    "u64",
    "u8",
    "usize",
    "LinkedList",
    "BinaryHeap",
];

/// Whether a type is a value by its name, and so no record.
pub(super) fn is_value(ty: &Type) -> bool {
    match bare(ty) {
        Type::Path(path) if path.qself.is_none() => {
            let mut names = path.path.segments.iter().map(|segment| segment.ident.to_string());
            let first = names.next().unwrap_or_default();
            let of_std = ["std", "core", "alloc"].contains(&first.as_str());
            match path.path.segments.len() {
                1 => NO_RECORDS.contains(&first.as_str()),
                // `std::time::Duration`: by its own name it could be the well-known type.
                _ => of_std,
            }
        }
        Type::Array(_) => true,
        _ => false,
    }
}

/// Returns the type of a value as it is written one module below the trait's module. The value is a field of a record,
/// so `#[derive(MdpRecord)]` has the rules for it.
pub(super) fn place_value(ty: &Type, needs_outer_names: &mut bool) -> syn::Result<Type> {
    may_be_a_value(ty)?;
    let mut ty = ty.clone();
    descend_type(&mut ty, needs_outer_names);
    Ok(ty)
}

/// Returns an alias of `Result` as it is written one module below the trait's module.
pub(super) fn place_alias(ty: &Type, needs_outer_names: &mut bool) -> syn::Result<Type> {
    let mut ty = bare(ty).clone();
    if let Type::Path(path) = &mut ty {
        descend_arguments(&mut path.path, needs_outer_names);
        descend_first(&mut path.path, needs_outer_names);
    }
    Ok(ty)
}

/// Refuses what a field of a struct cannot have at all. The derive would not be the only one to report it.
fn may_be_a_value(ty: &Type) -> syn::Result<()> {
    let refuse = |text: &str| Err(syn::Error::new_spanned(ty, text));
    match bare(ty) {
        Type::Reference(reference) => {
            let owned = match bare(&reference.elem) {
                Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
                Type::Slice(slice) => format!("Vec<{}>", as_text(&slice.elem)),
                owned => as_text(owned),
            };
            refuse(&format!(
                "an argument is decoded from received bytes and cannot be borrowed; write `{owned}`"
            ))
        }
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            refuse("a service has one contract; name the type")
        }
        Type::Tuple(tuple) if !tuple.elems.is_empty() => refuse(
            "a tuple has no names for its parts; put them into a struct that derives `MdpRecord`, or make \
             them arguments of their own",
        ),
        Type::Path(path)
            if path.path.segments.first().is_some_and(|first| first.ident == "Self") =>
        {
            refuse("a service has no types of its own; name the type")
        }
        Type::Path(path) if path.qself.is_some() => {
            refuse("a service has one contract; name the type")
        }
        Type::Path(_) | Type::Tuple(_) | Type::Array(_) => Ok(()),
        _ => refuse(
            "this is no value that can be sent; name a type that a field of a record may have",
        ),
    }
}

/// Writes the type as a user would write it.
pub(super) fn as_text(ty: &Type) -> String {
    let text = quote::ToTokens::to_token_stream(ty).to_string();
    text.replace(" :: ", "::").replace(":: ", "::").replace(" < ", "<").replace(" >", ">")
}

/// Returns a record's type as it is written one module below the trait's module.
///
/// `needs_outer_names` becomes true if the type begins with a name next to the trait that may also be the name of a
/// crate, such as `records::Login`.
pub(super) fn place(ty: &Type, needs_outer_names: &mut bool) -> syn::Result<Type> {
    let refuse = |text: &str| Err(syn::Error::new_spanned(ty, text));
    match bare(ty) {
        Type::Path(path) if path.qself.is_none() => {
            may_travel(&path.path)?;
            let mut path = path.clone();
            descend(&mut path.path, needs_outer_names);
            Ok(Type::Path(path))
        }
        Type::Tuple(tuple) if tuple.elems.is_empty() => Ok(Type::Tuple(tuple.clone())),
        Type::Tuple(_) => refuse(
            "a tuple is no record, for its fields have no numbers; put them into a struct that derives \
             `MdpRecord`",
        ),
        Type::Reference(_) => refuse(
            "a record is decoded from received bytes and cannot be borrowed; write it without `&`",
        ),
        Type::ImplTrait(_) | Type::TraitObject(_) => {
            refuse("a service has one contract; name the record's type")
        }
        _ => refuse("this is not a record; use a struct that derives `MdpRecord`, or `()`"),
    }
}

/// Removes the parentheses or groups that a user or a `macro_rules!` has put around the type.
pub(super) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

fn may_travel(path: &Path) -> syn::Result<()> {
    let first = path.segments.first().map(|first| first.ident.to_string()).unwrap_or_default();
    if first == "Self" {
        let text = "a service has no types of its own; name the record's type";
        return Err(syn::Error::new_spanned(path, text));
    }
    if path.segments.len() == 1 && NO_RECORDS.contains(&first.as_str()) {
        let text = format!(
            "a stream has records, and `{first}` is none; put it into a struct that derives `MdpRecord`"
        );
        return Err(syn::Error::new_spanned(path, text));
    }
    Ok(())
}

/// Moves a type one module down, with all types in it.
fn descend_type(ty: &mut Type, needs_outer_names: &mut bool) {
    match ty {
        Type::Path(path) if path.qself.is_none() => {
            // A type of the prelude, or one that hides it there.
            let plain = path.path.segments.len() == 1 && is_prelude(&path.path);
            descend_arguments(&mut path.path, needs_outer_names);
            if plain {
                *needs_outer_names = true;
            } else {
                descend_first(&mut path.path, needs_outer_names);
            }
        }
        Type::Group(group) => descend_type(&mut group.elem, needs_outer_names),
        Type::Paren(paren) => descend_type(&mut paren.elem, needs_outer_names),
        Type::Array(array) => {
            descend_type(&mut array.elem, needs_outer_names);
            // A length such as `LENGTH` stands next to the trait.
            *needs_outer_names = true;
        }
        Type::Slice(slice) => descend_type(&mut slice.elem, needs_outer_names),
        Type::Tuple(tuple) => {
            tuple.elems.iter_mut().for_each(|ty| descend_type(ty, needs_outer_names));
        }
        _ => {}
    }
}

/// Whether the name needs no import: `super::u64` is nothing.
fn is_prelude(path: &Path) -> bool {
    const NAMES: [&str; 20] = [
        "Box", "Option", "Result", "String", "Vec", "bool", "char", "f32", "f64", "i128", "i16",
        "i32", "i64", "i8", "isize", "str", "u128", "u16", "u32", "u64",
    ];
    path.segments.first().is_some_and(|first| {
        let name = first.ident.to_string();
        NAMES.contains(&name.as_str()) || ["u8", "usize"].contains(&name.as_str())
    })
}

/// Moves a path one module down, and the types in its angle brackets, too.
fn descend(path: &mut Path, needs_outer_names: &mut bool) {
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            for argument in &mut arguments.args {
                if let GenericArgument::Type(Type::Path(inner)) = argument {
                    descend(&mut inner.path, needs_outer_names);
                }
            }
        }
    }
    descend_first(path, needs_outer_names);
}

/// Moves the types in the angle brackets of a path one module down.
fn descend_arguments(path: &mut Path, needs_outer_names: &mut bool) {
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            for argument in &mut arguments.args {
                if let GenericArgument::Type(ty) = argument {
                    descend_type(ty, needs_outer_names);
                }
            }
        }
    }
}

/// Moves the beginning of a path one module down.
fn descend_first(path: &mut Path, needs_outer_names: &mut bool) {
    let Some(first) = path.segments.first().map(|first| first.ident.clone()) else { return };
    // The new segment has the position of the user's text, so an error in a type points there.
    let up = Ident::new("super", first.span());
    match first.to_string().as_str() {
        _ if path.leading_colon.is_some() => {}
        "crate" | "$crate" => {}
        "self" => {
            if let Some(first) = path.segments.first_mut() {
                first.ident = up;
            }
        }
        "super" => insert(path, up),
        _ if path.segments.len() == 1 => insert(path, up),
        _ => *needs_outer_names = true,
    }
}

fn insert(path: &mut Path, up: Ident) {
    let colons = Token![::](up.span());
    let rest = std::mem::take(&mut path.segments);
    path.segments.push_value(up.into());
    path.segments.push_punct(colons);
    path.segments.extend(rest.into_pairs());
}
