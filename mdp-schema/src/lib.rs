//! Schemas of services as data.
//!
//! A [`Schema`] is a set of protobuf descriptors, `google.protobuf.FileDescriptorSet`, with the name of the
//! service it is about. [`hash`] is the identity of a service's contract; [`service`] takes out of a set
//! what one service reaches, and [`types`] what some messages do.

mod breaking;
mod error;
mod fields;
mod files;
mod hash;
mod index;
mod print;
mod reach;
mod schema;

pub use breaking::{Breaking, Level, Rule, breaking};
pub use error::SchemaError;
pub use hash::{HASH_LEN, contract, hash};
pub use print::{ProtoFile, print};
pub use reach::{service, types};
pub use schema::Schema;
