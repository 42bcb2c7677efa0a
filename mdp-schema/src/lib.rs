//! Schemas of services as data.
//!
//! A [`Schema`] is a set of protobuf descriptors, `google.protobuf.FileDescriptorSet`, with the name of its service.
//! [`hash`] is the identity of a service's contract. [`service`] extracts from a set the part that one service reaches,
//! and [`types`] the part that some messages reach. A [`Cutter`] extracts several parts of one set.

mod breaking;
mod diff;
mod error;
mod fields;
mod files;
mod hash;
mod index;
mod options;
mod pack;
mod print;
mod reach;
mod schema;
mod strings;

pub use breaking::{Breaking, Comparison, Level, Note, Rule, breaking, compare};
pub use diff::{Change, diff};
pub use error::SchemaError;
pub use hash::{HASH_LEN, contract, hash};
pub use pack::{pack, unpack};
pub use print::{ProtoFile, print};
pub use reach::{Cutter, Part, service, types};
pub use schema::Schema;
