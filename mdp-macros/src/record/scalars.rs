//! protobuf's types, by the words that `#[mdp(..)]` has for them.

use proc_macro2::{Ident, Span};

/// One of protobuf's types that have no names of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The word for it.
    word: &'static str,
    /// Its name in the runtime.
    codec: &'static str,
    /// The Rust types that it carries.
    carries: &'static [&'static str],
    /// Whether a list of it can be packed.
    packs: bool,
}

const fn kind(
    word: &'static str,
    codec: &'static str,
    carries: &'static [&'static str],
    packs: bool,
) -> Kind {
    Kind { word, codec, carries, packs }
}

/// The first one of a Rust type is the one it has by itself.
const KINDS: &[Kind] = &[
    kind("bool", "Bool", &["bool"], true),
    kind("int32", "Int32", &["i32"], true),
    kind("sint32", "Sint32", &["i32"], true),
    kind("sfixed32", "Sfixed32", &["i32"], true),
    kind("int64", "Int64", &["i64"], true),
    kind("sint64", "Sint64", &["i64"], true),
    kind("sfixed64", "Sfixed64", &["i64"], true),
    kind("uint32", "Uint32", &["u32"], true),
    kind("fixed32", "Fixed32", &["u32"], true),
    kind("uint64", "Uint64", &["u64"], true),
    kind("fixed64", "Fixed64", &["u64"], true),
    kind("float", "Float", &["f32"], true),
    kind("double", "Double", &["f64"], true),
    kind("string", "Text", &["String"], false),
    kind("bytes", "Bytes", &["Vec<u8>", "Bytes"], false),
];

impl Kind {
    pub(super) fn named(word: &str) -> Option<Self> {
        KINDS.iter().find(|kind| kind.word == word).copied()
    }

    /// The words, for a message to a person.
    pub(super) fn all() -> String {
        let words: Vec<String> = KINDS.iter().map(|kind| format!("`{}`", kind.word)).collect();
        words.join(", ")
    }

    /// The kinds that carry a built-in Rust type. Empty: no kind does.
    pub(super) fn of(rust: &str) -> impl Iterator<Item = Self> {
        KINDS.iter().copied().filter(move |kind| kind.carries.contains(&rust))
    }

    pub(super) fn word(self) -> &'static str {
        self.word
    }

    /// The Rust types that it carries, for a message to a person.
    pub(super) fn carries(self) -> String {
        let types: Vec<String> = self.carries.iter().map(|ty| format!("`{ty}`")).collect();
        types.join(" or ")
    }

    pub(super) fn packs(self) -> bool {
        self.packs
    }

    pub(super) fn codec(self) -> Ident {
        Ident::new(self.codec, Span::call_site())
    }
}
