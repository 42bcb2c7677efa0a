//! Services as plain data, for a generator of any language.
//!
//! Both front ends produce it: a `.proto` file and a Rust trait that declare the same service become the same
//! [`Service`]. Names are those of protobuf (`auth.v1.Auth`, `Login`, `auth.v1.LoginRequest`), options and comments are
//! plain values, and nothing here names a type of Rust's syntax. What Rust needs besides is in
//! [`emit`](crate::emit), beside the service.
//!
//! | type | holds |
//! |---|---|
//! | [`Files`] | all `.proto` files that were read, imports first, and their descriptors |
//! | [`File`] | one file: its package, imports, services, and the names of its messages and enums |
//! | [`Service`], [`Method`] | a service, its methods, and all that their options and comments say |
//! | [`CustomOption`] | an option that the user's files declare, with its value |
//! | [`Place`] | file, line and column of a declaration |
//!
//! Fields of messages are not in the model. Each language has a protobuf compiler for its messages; a generator of
//! services refers to them by name. [`Files::descriptors`] has the rest.
//!
//! The order of services, methods and files is that of their declaration. A method's place in [`Service::methods`] is
//! its number.
//!
//! New fields may come, so the types are `#[non_exhaustive]`: [`Service::new`] and the other functions of that name
//! make one with defaults, and its fields are public.

mod comments;
mod custom;
mod file;
mod service;

use std::fmt;

pub use comments::Comments;
pub use custom::{CustomOption, Value};
pub use file::{Declaration, File, Files};
pub use service::{Deprecated, Idempotency, Method, OnCancel, Service, Shape};

/// The longest service name and method path, in bytes: a name's length is one byte on the wire.
pub const MAX_NAME_BYTES: usize = 255;

/// The place of a declaration in a `.proto` file: the file, the line and the column. [`Problem`](crate::Problem)s
/// and the comments of generated code name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Place {
    /// The file's name in `import`, such as `auth/v1/auth.proto`.
    pub file: String,
    /// The line, from 1. `None`: the descriptors have no source positions.
    pub line: Option<usize>,
    /// The column, from 1. `None`: not known.
    pub column: Option<usize>,
}

impl Place {
    /// A place in a file, without a line.
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: None }
    }
}

/// `auth.proto:12`, or `auth.proto` if the line is not known.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A name with its package, without a leading dot.
pub(crate) fn full_name(package: &str, name: &str) -> String {
    if package.is_empty() { name.to_owned() } else { format!("{package}.{name}") }
}
