//! The schema of a service, or of records.

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::{HASH_LEN, ProtoFile, SchemaError, files, hash};

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

    /// Reads what [`to_bytes`](Self::to_bytes) gave, as the schema of a service or of none.
    ///
    /// # Errors
    ///
    /// The bytes are no set of descriptors.
    pub fn from_bytes(service: Option<&str>, bytes: &[u8]) -> Result<Self, SchemaError> {
        let set = FileDescriptorSet::decode(bytes).map_err(SchemaError::NotDescriptors)?;
        Ok(Self { service: service.map(str::to_owned), set })
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

    /// The descriptors as `.proto` text, see [`print`](crate::print).
    ///
    /// # Errors
    ///
    /// Something is declared twice, or packages use each other in a circle.
    pub fn to_proto(&self) -> Result<Vec<ProtoFile>, SchemaError> {
        crate::print(&self.set)
    }

    /// The identity of the service's contract, see [`hash`]; `None` if the schema is about no service.
    ///
    /// # Errors
    ///
    /// The descriptors lack a type, or declare one twice.
    pub fn hash(&self) -> Result<Option<[u8; HASH_LEN]>, SchemaError> {
        self.service().map(|service| hash::hash(&self.set, service)).transpose()
    }
}
