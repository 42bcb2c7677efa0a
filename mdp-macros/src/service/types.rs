//! Checks the types of requests and replies, and writes them for the generated modules.

use syn::{GenericArgument, Ident, Path, PathArguments, Token, Type};

/// Rust's own types, which users may try first. A record with one of these names is written `self::String`.
const NO_RECORDS: [&str; 28] = [
    "Arc", "BTreeMap", "Box", "Bytes", "Cow", "HashMap", "Option", "Rc", "Result", "String", "Vec",
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16",
    "u32", "u64", "u8", "usize",
];

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
            "`{first}` is no record, which has fields with numbers and can grow; put it into a struct that \
             derives `MdpRecord`"
        );
        return Err(syn::Error::new_spanned(path, text));
    }
    Ok(())
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
