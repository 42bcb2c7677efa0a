//! Analyses the Rust types of fields: their containers, and types that protobuf cannot carry.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Error, GenericArgument, Path, PathArguments, Result, Type};

/// The parts of a field's type.
pub(super) struct Carried {
    pub(super) container: Container,
    /// The type of one value.
    pub(super) value: Type,
}

/// The container of the values.
pub(super) enum Container {
    /// No container: one value.
    One,
    /// `Option`.
    Optional,
    /// `Vec`, `VecDeque`, `HashSet` or `BTreeSet`.
    Repeated,
    /// A map, with the type of its keys.
    Map(Box<Type>),
}

/// Splits the type of a field into container and value. A value that is converted may have any type.
pub(super) fn field(ty: &Type, converted: bool) -> Result<Carried> {
    let ty = bare(ty);
    let (container, held) = match Holder::of(ty) {
        Holder::None => (Container::One, ty),
        Holder::Option(inner) => (Container::Optional, inner),
        Holder::List(_, item) => (Container::Repeated, item),
        Holder::Map(key, held) => {
            map_key(key)?;
            (Container::Map(Box::new(key.clone())), held)
        }
    };
    if !converted {
        if let Some((what, mend)) = nested(&container, &Holder::of(ty), &Holder::of(held)) {
            return refuse(ty, &what, &mend);
        }
        value(held)?;
    }
    Ok(Carried { container, value: held.clone() })
}

/// A container in Rust, with the types of its values.
enum Holder<'a> {
    None,
    Option(&'a Type),
    /// The name of the list, and its values.
    List(&'static str, &'a Type),
    Map(&'a Type, &'a Type),
}

/// The lists, by their names.
const LISTS: [&str; 4] = ["Vec", "VecDeque", "HashSet", "BTreeSet"];

impl<'a> Holder<'a> {
    fn of(ty: &'a Type) -> Self {
        let Some(generic) = generic(ty) else { return Self::None };
        let name = generic.name.to_string();
        let list = LISTS.into_iter().find(|list| *list == name);
        match (name.as_str(), generic.types.as_slice()) {
            ("Option", [inner]) => Self::Option(bare(inner)),
            ("Vec", [item]) if is_byte(item) => Self::None,
            (_, [item, ..]) if list.is_some() => Self::List(list.unwrap_or_default(), bare(item)),
            ("HashMap" | "BTreeMap", [key, held, ..]) => Self::Map(bare(key), bare(held)),
            _ => Self::None,
        }
    }
}

/// The name of a nesting that protobuf does not support, and the way to correct it.
fn nested(
    container: &Container,
    outer: &Holder<'_>,
    inner: &Holder<'_>,
) -> Option<(String, String)> {
    let outer = match outer {
        Holder::List(name, _) => name,
        _ => "Vec",
    };
    let of_record = |what: &str| format!("make the {what} the field of a record");
    let (what, mend) = match (container, inner) {
        (Container::One, _) | (_, Holder::None) => return None,
        (Container::Optional, Holder::Option(_)) => {
            ("an `Option` in an `Option`".to_owned(), "one is enough".to_owned())
        }
        (Container::Optional, Holder::List(list, _)) => (
            format!("an `Option` of a `{list}`"),
            format!("leave the `Option` out: an absent `{list}` is empty"),
        ),
        (Container::Optional, Holder::Map(..)) => (
            "an `Option` of a map".to_owned(),
            "leave the `Option` out: an absent map is empty".to_owned(),
        ),
        (Container::Repeated, Holder::Option(_)) => (
            format!("a `{outer}` of an `Option`"),
            format!("leave absent values out of the `{outer}`"),
        ),
        (Container::Repeated, Holder::List(list, _)) => {
            (format!("a `{outer}` of a `{list}`"), of_record("inner one"))
        }
        (Container::Repeated, Holder::Map(..)) => {
            (format!("a `{outer}` of a map"), of_record("map"))
        }
        (Container::Map(_), Holder::Option(_)) => {
            ("an `Option` in a map".to_owned(), "leave absent values out of the map".to_owned())
        }
        (Container::Map(_), Holder::List(list, _)) => {
            (format!("a `{list}` in a map"), of_record(&format!("`{list}`")))
        }
        (Container::Map(_), Holder::Map(..)) => {
            ("a map in a map".to_owned(), of_record("inner one"))
        }
    };
    Some((what, mend))
}

/// Returns the type of the enum in a oneof's field.
pub(super) fn oneof(ty: &Type) -> Result<Type> {
    match Holder::of(ty) {
        Holder::Option(inner) => Ok(inner.clone()),
        _ => Err(Error::new_spanned(
            ty,
            format!("a oneof may be absent: write `Option<{}>`", in_words(ty)),
        )),
    }
}

/// Refuses types that cannot be one value.
pub(super) fn value(ty: &Type) -> Result<()> {
    match bare(ty) {
        Type::Path(path) => named(ty, &path.path),
        Type::Reference(reference) => match bare(&reference.elem) {
            Type::Slice(slice) if is_byte(&slice.elem) => {
                refuse(ty, "borrowed data", "use `Vec<u8>`")
            }
            Type::Slice(slice) => {
                refuse(ty, "borrowed data", &format!("use `Vec<{}>`", in_words(&slice.elem)))
            }
            Type::Path(path) if path.path.is_ident("str") => {
                refuse(ty, "borrowed data", "use `String`")
            }
            owned => {
                refuse(ty, "borrowed data", &format!("use an owned type: `{}`", in_words(owned)))
            }
        },
        Type::Tuple(tuple) if tuple.elems.is_empty() => Ok(()),
        Type::Tuple(_) => refuse(ty, "a tuple", "make it a record, so that its parts have names"),
        Type::Array(array) if is_byte(&array.elem) => Ok(()),
        Type::Array(array) => {
            refuse(ty, "an array", &format!("use `Vec<{}>`", in_words(&array.elem)))
        }
        Type::Ptr(_) => refuse(ty, "a pointer", "use an owned value"),
        Type::BareFn(_) => refuse(ty, "a function", "send its inputs"),
        Type::TraitObject(_) | Type::ImplTrait(_) => {
            refuse(ty, "a type that is not known", "make it an enum with data, which is a oneof")
        }
        Type::Slice(_) | Type::Never(_) | Type::Infer(_) => {
            refuse(ty, "such a type", "use one that a record may have")
        }
        _ => Ok(()),
    }
}

/// Returns the name of a built-in type, as `Kind` uses it.
pub(super) fn std_name(ty: &Type) -> Option<String> {
    let ty = bare(ty);
    let Type::Path(path) = ty else { return None };
    let name = path.path.segments.last()?.ident.to_string();
    let of_bytes =
        generic(ty).is_some_and(|it| matches!(it.types.as_slice(), [item] if is_byte(item)));
    Some(if name == "Vec" && of_bytes { "Vec<u8>".to_owned() } else { name })
}

fn named(ty: &Type, path: &Path) -> Result<()> {
    let Some(last) = path.segments.last() else { return Ok(()) };
    let name = last.ident.to_string();
    let mend = match name.as_str() {
        "u8" | "u16" => "`u32`, which takes no more bytes for small numbers, or add `as = u32`",
        "i8" | "i16" => "`i32`, and `sint32` if it is often negative, or add `as = i32`",
        "usize" => "`u64`, which has the same size everywhere",
        "isize" => "`i64`, which has the same size everywhere",
        "u128" | "i128" => "`Vec<u8>`, or a record of two halves, or add `as = String`",
        "char" => "`String`, or add `as = u32` for the code point",
        "str" => "`String`",
        "LinkedList" | "BinaryHeap" => "`Vec`",
        "Rc" | "Cell" | "RefCell" | "Mutex" | "RwLock" | "OnceCell" | "OnceLock" => {
            "the value itself, or a `Box` around a record"
        }
        "PathBuf" | "OsString" => {
            "`String`, or `Vec<u8>` for bytes that are not UTF-8, or add `with = module`"
        }
        "Instant" => "`SystemTime`: an `Instant` has a meaning in its own process only",
        "Arc" => return shared(ty),
        "Cow" => return cow(ty),
        "Box" => return boxed(ty),
        _ => return Ok(()),
    };
    Err(Error::new_spanned(ty, format!("protobuf has no `{name}`; use {mend}")))
}

/// `Arc<str>` and `Arc<[u8]>` are texts and bytes.
fn shared(ty: &Type) -> Result<()> {
    let generic = generic(ty);
    match generic.as_ref().map(|generic| generic.types.as_slice()) {
        Some([inner]) if is_text_or_bytes(inner) => Ok(()),
        _ => Err(Error::new_spanned(
            ty,
            "protobuf has no `Arc`; use `Arc<str>`, `Arc<[u8]>`, the value itself, or a `Box` around a record",
        )),
    }
}

/// `Cow<'static, str>` is a text.
fn cow(ty: &Type) -> Result<()> {
    let generic = generic(ty);
    match generic.as_ref().map(|generic| generic.types.as_slice()) {
        Some([inner]) if is_named(inner, "str") => Ok(()),
        _ => Err(Error::new_spanned(
            ty,
            "protobuf has no `Cow`; use `Cow<'static, str>`, `String` or `Vec<u8>`",
        )),
    }
}

fn is_text_or_bytes(ty: &Type) -> bool {
    match bare(ty) {
        Type::Slice(slice) => is_byte(&slice.elem),
        ty => is_named(ty, "str"),
    }
}

fn is_named(ty: &Type, name: &str) -> bool {
    matches!(bare(ty), Type::Path(path) if path.path.is_ident(name))
}

fn boxed(ty: &Type) -> Result<()> {
    let generic = generic(ty);
    let Some([inner]) = generic.as_ref().map(|generic| generic.types.as_slice()) else {
        return Ok(());
    };
    match bare(inner) {
        inner if is_text_or_bytes(inner) => Ok(()),
        Type::Slice(slice) => {
            refuse(ty, "a boxed slice", &format!("use `Vec<{}>`", in_words(&slice.elem)))
        }
        inner => match std_name(inner) {
            Some(name) if SMALL.contains(&name.as_str()) => {
                refuse(ty, "a boxed number or text", &format!("use `{name}` without the `Box`"))
            }
            Some(name)
                if ["Option", "Vec", "HashMap", "BTreeMap", "Box"].contains(&name.as_str()) =>
            {
                refuse(
                    ty,
                    &format!("a boxed `{name}`"),
                    &format!("use the `{name}` without the `Box`"),
                )
            }
            _ => value(inner),
        },
    }
}

/// Returns the path of the type in a `Box`.
pub(super) fn in_box(ty: &Type) -> Option<&Path> {
    let generic = generic(ty).filter(|generic| generic.name == "Box")?;
    match generic.types.as_slice() {
        [Type::Path(path)] => Some(&path.path),
        _ => None,
    }
}

const SMALL: &[&str] =
    &["bool", "i32", "i64", "u32", "u64", "f32", "f64", "String", "Vec<u8>", "Bytes"];

fn map_key(ty: &Type) -> Result<()> {
    value(ty)?;
    match std_name(ty).as_deref() {
        Some("f32" | "f64") => {
            refuse(ty, "a map whose keys are floats", "use integers or `String`")
        }
        Some("Vec" | "Vec<u8>" | "Bytes") => {
            refuse(ty, "a map whose keys are bytes", "use integers or `String`")
        }
        _ => Ok(()),
    }
}

fn refuse<T>(ty: &Type, what: &str, mend: &str) -> Result<T> {
    Err(Error::new_spanned(ty, format!("protobuf cannot carry {what}; {mend}")))
}

/// Removes parentheses, and the groups that macros leave.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        ty => ty,
    }
}

/// The last name of a path, with the types in its angle brackets.
struct Generic<'a> {
    name: &'a Ident,
    types: Vec<&'a Type>,
}

fn generic(ty: &Type) -> Option<Generic<'_>> {
    let Type::Path(path) = bare(ty) else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(list) = &last.arguments else { return None };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    Some(Generic { name: &last.ident, types: types.collect() })
}

fn is_byte(ty: &Type) -> bool {
    is_named(ty, "u8")
}

/// Writes a type for people.
fn in_words(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    [(" :: ", "::"), (":: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ",")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}
