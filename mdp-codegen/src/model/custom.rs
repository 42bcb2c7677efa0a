//! Options that a user's own files declare.

/// An option of a file, service or method that has no meaning here, such as `option (acme.audit) = { level: HIGH };`.
///
/// The options with a meaning are fields of [`Service`](super::Service) and [`Method`](super::Method).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CustomOption {
    /// The full name of the extension that declares it: `acme.audit`.
    pub name: String,
    /// The number of that extension.
    pub number: u32,
    /// The value.
    pub value: Value,
}

impl CustomOption {
    /// An option with this value.
    pub fn new(name: impl Into<String>, number: u32, value: Value) -> Self {
        Self { name: name.into(), number, value }
    }
}

/// The value of a [`CustomOption`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A `bool`.
    Bool(bool),
    /// A signed number of 32 or 64 bits.
    Int(i64),
    /// An unsigned number of 32 or 64 bits.
    Uint(u64),
    /// A `float` or `double`.
    Float(f64),
    /// A `string`.
    String(String),
    /// A `bytes`.
    Bytes(Vec<u8>),
    /// The value of an enum.
    Enum {
        /// The name of the value: `HIGH`. `None`: the enum has no value of that number.
        name: Option<String>,
        /// Its number.
        number: i32,
    },
    /// A `repeated` field.
    List(Vec<Value>),
    /// A `map` field, in the order of its keys.
    Map(Vec<(Value, Value)>),
    /// A message: the fields that are set, by their names, in the order of their numbers.
    Message(Vec<(String, Value)>),
}
