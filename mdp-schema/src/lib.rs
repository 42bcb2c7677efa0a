//! Schemas of services as data.
//!
//! A [`Schema`] is a set of protobuf descriptors, `google.protobuf.FileDescriptorSet`, with the name of the
//! service it is about.

mod files;
mod schema;

pub use schema::Schema;
