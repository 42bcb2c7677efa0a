//! The records that `proto/shapes.proto` describes, in its order.

// The .proto has the documentation, where there is any.
#![allow(missing_docs)]

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use mdp_runtime::{MdpRecord, UnknownFields};

/// An alias counts as what it stands for.
pub type UserId = u64;

/// One field of each type that has no name.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Scalars {
    #[mdp(1)]
    pub flag: bool,
    #[mdp(2)]
    pub int32: i32,
    #[mdp(3, sint32)]
    pub sint32: i32,
    #[mdp(4, sfixed32)]
    pub sfixed32: i32,
    #[mdp(5)]
    pub int64: i64,
    #[mdp(6, sint64)]
    pub sint64: i64,
    #[mdp(7, sfixed64)]
    pub sfixed64: i64,
    #[mdp(8)]
    pub uint32: u32,
    #[mdp(9, fixed32)]
    pub fixed32: u32,
    #[mdp(10)]
    pub uint64: UserId,
    #[mdp(11, fixed64)]
    pub fixed64: u64,
    #[mdp(12)]
    pub float: f32,
    #[mdp(13)]
    pub double: f64,
    #[mdp(14)]
    pub string: String,
    #[mdp(15)]
    pub bytes: Vec<u8>,
    #[mdp(16)]
    pub shared: Bytes,
}

/// Each of them, or nothing.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Options {
    #[mdp(1)]
    pub flag: Option<bool>,
    #[mdp(2)]
    pub int32: Option<i32>,
    #[mdp(3, sint32)]
    pub sint32: Option<i32>,
    #[mdp(4, sfixed32)]
    pub sfixed32: Option<i32>,
    #[mdp(5)]
    pub int64: Option<i64>,
    #[mdp(6, sint64)]
    pub sint64: Option<i64>,
    #[mdp(7, sfixed64)]
    pub sfixed64: Option<i64>,
    #[mdp(8)]
    pub uint32: Option<u32>,
    #[mdp(9, fixed32)]
    pub fixed32: Option<u32>,
    #[mdp(10)]
    pub uint64: Option<UserId>,
    #[mdp(11, fixed64)]
    pub fixed64: Option<u64>,
    #[mdp(12)]
    pub float: Option<f32>,
    #[mdp(13)]
    pub double: Option<f64>,
    #[mdp(14)]
    pub string: Option<String>,
    #[mdp(15)]
    pub bytes: Option<Vec<u8>>,
    #[mdp(16)]
    pub shared: Option<Bytes>,
    #[mdp(17)]
    pub color: Option<Color>,
    #[mdp(18)]
    pub point: Option<Point>,
}

/// Any number of them.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Lists {
    #[mdp(1)]
    pub flag: Vec<bool>,
    #[mdp(2)]
    pub int32: Vec<i32>,
    #[mdp(3, sint32)]
    pub sint32: Vec<i32>,
    #[mdp(4, sfixed32)]
    pub sfixed32: Vec<i32>,
    #[mdp(5)]
    pub int64: Vec<i64>,
    #[mdp(6, sint64)]
    pub sint64: Vec<i64>,
    #[mdp(7, sfixed64)]
    pub sfixed64: Vec<i64>,
    #[mdp(8)]
    pub uint32: Vec<u32>,
    #[mdp(9, fixed32)]
    pub fixed32: Vec<u32>,
    #[mdp(10)]
    pub uint64: Vec<UserId>,
    #[mdp(11, fixed64)]
    pub fixed64: Vec<u64>,
    #[mdp(12)]
    pub float: Vec<f32>,
    #[mdp(13)]
    pub double: Vec<f64>,
    #[mdp(14)]
    pub string: Vec<String>,
    #[mdp(15)]
    pub bytes: Vec<Vec<u8>>,
    #[mdp(16)]
    pub shared: Vec<Bytes>,
    #[mdp(17)]
    pub color: Vec<Color>,
    #[mdp(18)]
    pub point: Vec<Point>,
    #[mdp(19, unpacked)]
    pub one_by_one: Vec<u32>,
    #[mdp(20, unpacked)]
    pub color_by_color: Vec<Color>,
}

/// Every type of key, every kind of value.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Maps {
    #[mdp(1)]
    pub texts: BTreeMap<String, String>,
    #[mdp(2)]
    pub flags: BTreeMap<bool, bool>,
    #[mdp(3, value = sint32)]
    pub int32: BTreeMap<i32, i32>,
    #[mdp(4, key = sint32)]
    pub sint32: BTreeMap<i32, Vec<u8>>,
    #[mdp(5, key = sfixed32, value = sfixed64)]
    pub sfixed32: BTreeMap<i32, i64>,
    #[mdp(6)]
    pub int64: BTreeMap<i64, f32>,
    #[mdp(7, key = sint64)]
    pub sint64: BTreeMap<i64, f64>,
    #[mdp(8, key = sfixed64)]
    pub sfixed64: BTreeMap<i64, Bytes>,
    #[mdp(9)]
    pub uint32: BTreeMap<u32, Color>,
    #[mdp(10, key = fixed32, value = fixed64)]
    pub fixed32: BTreeMap<u32, u64>,
    #[mdp(11)]
    pub uint64: BTreeMap<UserId, Point>,
    #[mdp(12, key = fixed64)]
    pub fixed64: BTreeMap<u64, u32>,
    #[mdp(13)]
    pub hashed: HashMap<String, i64>,
}

/// A record in others.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Point {
    #[mdp(1, sint32)]
    pub x: i32,
    #[mdp(2, sint32)]
    pub y: i32,
}

/// What `f(x)` is called is not what it is called in the schema.
#[derive(MdpRecord, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Unspecified = 0,
    Red = 1,
    DarkBlue = 5,
    #[mdp(rename = "COLOR_OF_MONEY")]
    Money = -1,
}

/// A number without a variant stays.
#[derive(MdpRecord, Clone, Copy, Debug, PartialEq, Eq)]
#[mdp(reserved(3, 7..=9, "LEVEL_OLD"))]
pub enum Level {
    #[mdp(0)]
    Low,
    #[mdp(2)]
    High,
    #[mdp(other)]
    Other(i32),
}

/// A record that holds itself, and others always.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Tree {
    #[mdp(1)]
    pub name: String,
    #[mdp(2)]
    pub left: Option<Box<Tree>>,
    #[mdp(3)]
    pub right: Option<Box<Tree>>,
    #[mdp(4)]
    pub more: Vec<Tree>,
    #[mdp(5)]
    pub here: Point,
    #[mdp(6)]
    pub there: Box<Point>,
    #[mdp(7)]
    pub level: Level,
    #[mdp(8)]
    pub levels: Vec<Level>,
}

/// A choice between fields.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub enum Contact {
    #[mdp(9)]
    Mail(String),
    #[mdp(2)]
    Phone(u64),
    #[mdp(5, sint32)]
    Extension(i32),
    #[mdp(6)]
    Meet(Point),
    #[mdp(7)]
    Favourite(Color),
    #[mdp(8, rename = "none")]
    Nobody(()),
    #[mdp(12)]
    Key(Bytes),
    #[mdp(13)]
    Further(Box<Choices>),
}

/// A second choice, that begins behind all other fields.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub enum Speed {
    #[mdp(20)]
    Slow(f32),
    #[mdp(21)]
    Fast(f64),
}

/// Fields between which a choice begins.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Choices {
    #[mdp(3)]
    pub after: u32,
    #[mdp(oneof)]
    pub contact: Option<Contact>,
    #[mdp(1)]
    pub before: u32,
    #[mdp(oneof)]
    pub speed: Option<Speed>,
    #[mdp(skip)]
    pub cached: u8,
}

/// What is absent is not zero.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Defaults {
    #[mdp(1, default = 30)]
    pub seconds: u32,
    #[mdp(2, default = -1)]
    pub offset: i32,
    #[mdp(3, default = "nobody")]
    pub name: String,
    #[mdp(4, default = Color::Red)]
    pub color: Color,
    #[mdp(5, default = true)]
    pub flag: bool,
    #[mdp(6, default = 0.5)]
    pub share: f64,
    #[mdp(7, default = b"\x00\xff")]
    pub key: Vec<u8>,
}

/// Types from elsewhere.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Known {
    #[mdp(1)]
    pub at: Option<prost_types::Timestamp>,
    #[mdp(2)]
    pub after: Option<prost_types::Duration>,
    #[mdp(3)]
    pub any: Vec<prost_types::Any>,
    #[mdp(4)]
    pub nothing: Option<()>,
    #[mdp(5)]
    pub mask: BTreeMap<String, prost_types::FieldMask>,
    #[mdp(6)]
    pub tree: Option<prost_types::Value>,
}

/// A word of the language, and numbers that nobody may have.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
#[mdp(reserved(2, 4..=6, "old"))]
pub struct Words {
    #[mdp(1)]
    pub r#type: String,
    #[mdp(3, rename = "self")]
    pub this: String,
    #[mdp(536870911)]
    pub last: u32,
    #[mdp(unknown)]
    pub rest: UnknownFields,
}

/// Nothing at all.
#[derive(MdpRecord, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nothing;

/// One of each.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Everything {
    #[mdp(1)]
    pub scalars: Option<Scalars>,
    #[mdp(2)]
    pub options: Option<Options>,
    #[mdp(3)]
    pub lists: Option<Lists>,
    #[mdp(4)]
    pub maps: Option<Maps>,
    #[mdp(5)]
    pub tree: Option<Tree>,
    #[mdp(6)]
    pub choices: Option<Choices>,
    #[mdp(7)]
    pub defaults: Option<Defaults>,
    #[mdp(8)]
    pub known: Option<Known>,
    #[mdp(9)]
    pub words: Option<Words>,
    #[mdp(10)]
    pub nothing: Option<Nothing>,
}
