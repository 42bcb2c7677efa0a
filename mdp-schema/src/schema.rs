//! The schema of a service, or of records.

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::files;

/// The descriptors of a service, or of records, and of all that they use.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    service: Option<String>,
    set: FileDescriptorSet,
}

impl Schema {
    /// The schema of the service with this full name, such as `auth.v1.Auth`. The files need not
    /// name their imports, nor be in order.
    pub fn of_service(service: impl Into<String>, files: Vec<FileDescriptorProto>) -> Self {
        Self { service: Some(service.into()), set: files::in_order(files) }
    }

    /// A schema that is about no service. The files need not name their imports, nor be in order.
    pub fn of_files(files: Vec<FileDescriptorProto>) -> Self {
        Self { service: None, set: files::in_order(files) }
    }

    /// The service's full name, such as `auth.v1.Auth`.
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// The descriptors; a file stands behind those that it imports.
    pub fn descriptors(&self) -> &FileDescriptorSet {
        &self.set
    }

    /// The descriptors as others read them, such as `mdp schema`, `protoc` and `buf`: what a `.binpb` holds.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.set.encode_to_vec()
    }
}
