//! The front end for `.proto` files: protox reads them, and their descriptors become the plain model.
//!
//! What becomes of the model in Rust is in `emit/prost`.

mod custom;
pub(crate) mod descriptors;
pub(crate) mod lower;
mod matcher;
mod options;
pub(crate) mod outputs;
mod settings;
mod sources;

pub(crate) use descriptors::Loaded;
pub(crate) use matcher::matches;
pub(crate) use options::leave_out;
pub(crate) use settings::{AtPath, Settings};
pub(crate) use sources::parts;
