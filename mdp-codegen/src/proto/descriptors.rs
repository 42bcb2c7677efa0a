//! What was read: descriptors, from texts or from a set.

use std::path::PathBuf;

use prost_types::FileDescriptorSet;
use protox::prost_reflect::DescriptorPool;

/// The files that were read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The files and all their imports, imports first. Files of an edition are proto2 or proto3 here.
    pub(crate) set: FileDescriptorSet,
    /// The same set in encoded form, which includes the extension options.
    pub(crate) encoded: Vec<u8>,
    /// The paths of all files that were opened.
    pub(crate) opened: Vec<PathBuf>,
    /// The names of the files that are only imported.
    pub(crate) imported: Vec<String>,
    /// The same as `set`, with the declarations of custom options.
    pub(crate) pool: DescriptorPool,
}
