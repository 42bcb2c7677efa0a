//! The schema of a service, or of records.

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::{HASH_LEN, ProtoFile, SchemaError, files, hash};

/// The descriptors of a service, or of records, and of all types that they use.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    service: Option<String>,
    set: FileDescriptorSet,
    /// The bytes that the schema was read from, if prost's descriptors have not all of them: options that are newer than
    /// prost, and custom ones.
    bytes: Option<Vec<u8>>,
}

impl Schema {
    /// Makes the schema of the service with this full name, for instance `auth.v1.Auth`. The files need not list their
    /// imports, and may be in any order.
    pub fn of_service(service: impl Into<String>, files: Vec<FileDescriptorProto>) -> Self {
        Self { service: Some(service.into()), set: files::in_order(files), bytes: None }
    }

    /// Makes a schema without a service. The files need not list their imports, and may be in any order.
    pub fn of_files(files: Vec<FileDescriptorProto>) -> Self {
        Self { service: None, set: files::in_order(files), bytes: None }
    }

    /// Decodes the bytes of [`to_bytes`](Self::to_bytes) as the schema of a service or of records.
    ///
    /// # Errors
    ///
    /// The bytes are not a set of descriptors.
    pub fn from_bytes(service: Option<&str>, bytes: &[u8]) -> Result<Self, SchemaError> {
        let set = FileDescriptorSet::decode(bytes).map_err(SchemaError::NotDescriptors)?;
        let bytes = (set.encoded_len() != bytes.len()).then(|| bytes.to_vec());
        Ok(Self { service: service.map(str::to_owned), set, bytes })
    }

    /// Returns the service's full name, for instance `auth.v1.Auth`. `None`: the schema has no service.
    pub fn service(&self) -> Option<&str> {
        self.service.as_deref()
    }

    /// Returns the descriptors. Each file comes after the files that it imports.
    pub fn descriptors(&self) -> &FileDescriptorSet {
        &self.set
    }

    /// Returns the encoded descriptors, as in a `.binpb` file. `mdp schema`, `protoc` and `buf` can read them.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone().unwrap_or_else(|| self.set.encode_to_vec())
    }

    /// Returns the descriptors as `.proto` text; see [`print`](crate::print). The options of a schema that was read from
    /// bytes are those of the bytes, custom ones included.
    ///
    /// # Errors
    ///
    /// A file uses an edition, files import each other in a circle, or a name is declared twice.
    pub fn to_proto(&self) -> Result<Vec<ProtoFile>, SchemaError> {
        crate::print::printed(&self.set, &self.to_bytes())
    }

    /// Returns the hash of the service's contract; see [`hash`]. `None`: the schema has no service.
    ///
    /// # Errors
    ///
    /// The descriptors do not have the service or a type, declare a name twice, or use an edition.
    pub fn hash(&self) -> Result<Option<[u8; HASH_LEN]>, SchemaError> {
        self.service().map(|service| hash::hash(&self.set, service)).transpose()
    }
}
