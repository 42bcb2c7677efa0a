//! The front end for `.proto` files: they are read, and their descriptors become the plain model.
//!
//! What becomes of the model in Rust is in `emit/prost`.

mod custom;
mod descriptors;
mod editions;
pub(crate) mod lower;
mod matcher;
mod options;
pub(crate) mod outputs;
mod parser;
pub(crate) mod read;
mod settings;
mod sources;
mod verify;

pub(crate) use descriptors::Loaded;
pub(crate) use matcher::matches;
pub(crate) use options::leave_out;
pub(crate) use parser::caught;
pub(crate) use settings::{AtPath, Settings};
pub(crate) use sources::{Sources, parts};
