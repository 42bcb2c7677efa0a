//! The scalar types of protobuf, by their words in `#[mdp(..)]`.

use proc_macro2::{Ident, Span};

/// A scalar type of protobuf.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The word in `#[mdp(..)]`.
    word: &'static str,
    /// The name of its codec in the runtime.
    codec: &'static str,
    /// The Rust types that it can carry.
    carries: &'static [&'static str],
    /// Whether a list of this type can be packed.
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

/// For each Rust type, the first entry is its default.
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

    /// Returns all words, for an error message.
    pub(super) fn all() -> String {
        let words: Vec<String> = KINDS.iter().map(|kind| format!("`{}`", kind.word)).collect();
        words.join(", ")
    }

    /// Returns the kinds that carry a built-in Rust type. Empty: no kind does.
    pub(super) fn of(rust: &str) -> impl Iterator<Item = Self> {
        KINDS.iter().copied().filter(move |kind| kind.carries.contains(&rust))
    }

    pub(super) fn word(self) -> &'static str {
        self.word
    }

    /// Returns the Rust types that this kind carries, for an error message.
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
