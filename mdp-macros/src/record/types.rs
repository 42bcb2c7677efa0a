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
    /// `Vec`.
    Repeated,
    /// A map, with the type of its keys.
    Map(Box<Type>),
}

/// Splits the type of a field into container and value.
pub(super) fn field(ty: &Type) -> Result<Carried> {
    let ty = bare(ty);
    let (container, held) = match Holder::of(ty) {
        Holder::None => (Container::One, ty),
        Holder::Option(inner) => (Container::Optional, inner),
        Holder::Vec(item) => (Container::Repeated, item),
        Holder::Map(key, held) => {
            map_key(key)?;
            (Container::Map(Box::new(key.clone())), held)
        }
    };
    if let Some((what, mend)) = nested(&container, &Holder::of(held)) {
        return refuse(ty, what, mend);
    }
    value(held)?;
    Ok(Carried { container, value: held.clone() })
}

/// A container in Rust, with the types of its values.
enum Holder<'a> {
    None,
    Option(&'a Type),
    Vec(&'a Type),
    Map(&'a Type, &'a Type),
}

impl<'a> Holder<'a> {
    fn of(ty: &'a Type) -> Self {
        let Some(generic) = generic(ty) else { return Self::None };
        match (generic.name.to_string().as_str(), generic.types.as_slice()) {
            ("Option", [inner]) => Self::Option(bare(inner)),
            ("Vec", [item]) if !is_byte(item) => Self::Vec(bare(item)),
            ("HashMap" | "BTreeMap", [key, held, ..]) => Self::Map(bare(key), bare(held)),
            _ => Self::None,
        }
    }
}

/// The name of a nesting that protobuf does not support, and the way to correct it.
fn nested(outer: &Container, inner: &Holder<'_>) -> Option<(&'static str, &'static str)> {
    Some(match (outer, inner) {
        (Container::One, _) | (_, Holder::None) => return None,
        (Container::Optional, Holder::Option(_)) => ("an `Option` in an `Option`", "one is enough"),
        (Container::Optional, Holder::Vec(_)) => {
            ("an `Option` of a `Vec`", "leave the `Option` out: an absent `Vec` is empty")
        }
        (Container::Optional, Holder::Map(..)) => {
            ("an `Option` of a map", "leave the `Option` out: an absent map is empty")
        }
        (Container::Repeated, Holder::Option(_)) => {
            ("a `Vec` of an `Option`", "leave absent values out of the `Vec`")
        }
        (Container::Repeated, Holder::Vec(_)) => {
            ("a `Vec` of a `Vec`", "make the inner one the field of a record")
        }
        (Container::Repeated, Holder::Map(..)) => {
            ("a `Vec` of a map", "make the map the field of a record")
        }
        (Container::Map(_), Holder::Option(_)) => {
            ("an `Option` in a map", "leave absent values out of the map")
        }
        (Container::Map(_), Holder::Vec(_)) => {
            ("a `Vec` in a map", "make the `Vec` the field of a record")
        }
        (Container::Map(_), Holder::Map(..)) => {
            ("a map in a map", "make the inner one the field of a record")
        }
    })
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
        Type::Array(array) if is_byte(&array.elem) => refuse(ty, "an array", "use `Vec<u8>`"),
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
    let from = |root: &str, module: &str| {
        let names: Vec<String> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        matches!(names.as_slice(), [first, second, _] if (first == root || first == "core") && second == module)
    };
    let mend = match name.as_str() {
        "u8" | "u16" => "`u32`, which takes no more bytes for small numbers",
        "i8" | "i16" => "`i32`, and `sint32` if it is often negative",
        "usize" => "`u64`, which has the same size everywhere",
        "isize" => "`i64`, which has the same size everywhere",
        "u128" | "i128" => "`Vec<u8>`, or a record of two halves",
        "char" => "`String`, or `u32` for the code point",
        "str" => "`String`",
        "HashSet" | "BTreeSet" | "VecDeque" | "LinkedList" | "BinaryHeap" => "`Vec`",
        "Rc" | "Arc" | "Cell" | "RefCell" | "Mutex" | "RwLock" | "OnceCell" | "OnceLock" => {
            "the value itself, or a `Box` around a record"
        }
        "Cow" => "`String` or `Vec<u8>`",
        "PathBuf" | "OsString" => "`String`, or `Vec<u8>` for bytes that are not UTF-8",
        "SystemTime" | "Instant" => "`prost_types::Timestamp`, or `u64` with the unit in its name",
        "Duration" if from("std", "time") => {
            "`prost_types::Duration`, or `u64` with the unit in its name"
        }
        "Box" => return boxed(ty),
        _ => return Ok(()),
    };
    Err(Error::new_spanned(ty, format!("protobuf has no `{name}`; use {mend}")))
}

fn boxed(ty: &Type) -> Result<()> {
    let generic = generic(ty);
    let Some([inner]) = generic.as_ref().map(|generic| generic.types.as_slice()) else {
        return Ok(());
    };
    match bare(inner) {
        Type::Slice(slice) => {
            refuse(ty, "a boxed slice", &format!("use `Vec<{}>`", in_words(&slice.elem)))
        }
        Type::Path(path) if path.path.is_ident("str") => {
            refuse(ty, "a boxed `str`", "use `String`")
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
    matches!(bare(ty), Type::Path(path) if path.path.is_ident("u8"))
}

/// Writes a type for people.
fn in_words(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    [(" :: ", "::"), (":: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ",")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}
