//! The front end for `.proto` files: protox reads them, and their descriptors become the plain model.
//!
//! What becomes of the model in Rust is in `emit/prost`.

mod builder;
mod custom;
mod descriptors;
mod lower;
mod matcher;
mod options;
mod outputs;
mod settings;
mod sources;

pub use builder::Builder;

pub(crate) use descriptors::Loaded;
pub(crate) use matcher::matches;
pub(crate) use options::leave_out;
pub(crate) use settings::{AtPath, Settings};
pub(crate) use sources::parts;

use std::path::Path;

use crate::Error;

/// Starts a [`Builder`] with the defaults: clients and worker traits, written to `OUT_DIR`.
///
/// ```no_run
/// # fn main() -> Result<(), mdp_codegen::Error> {
/// mdp_codegen::configure()
///     .build_client(false)
///     .compile_protos(&["proto/auth.proto"], &["proto"])
/// # }
/// ```
pub fn configure() -> Builder {
    Builder::default()
}

/// Generates messages, clients and worker traits with the defaults; for build scripts.
///
/// `protos` are the files to compile. `includes` are the folders with these files and their imports.
///
/// # Errors
///
/// The errors of [`Builder::compile_protos`].
///
/// ```no_run
/// # fn main() -> Result<(), mdp_codegen::Error> {
/// mdp_codegen::compile_protos(&["proto/auth.proto"], &["proto"])
/// # }
/// ```
pub fn compile_protos(
    protos: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> Result<(), Error> {
    configure().compile_protos(protos, includes)
}
