//! `.proto` files, and what they declare.

use super::{Comments, CustomOption, Place, Service};

/// All `.proto` files that were read: those to compile, and all that they import.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Files {
    files: Vec<File>,
    descriptors: Vec<u8>,
}

impl Files {
    /// These files, imports first, with their encoded descriptors.
    pub fn new(files: Vec<File>, descriptors: Vec<u8>) -> Self {
        Self { files, descriptors }
    }

    /// The files, each behind the files that it imports.
    pub fn iter(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// The file with this name, as `import` writes it.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.iter().find(|file| file.name == name)
    }

    /// The file that declares the message, enum or service with this full name, such as `auth.v1.LoginRequest`.
    pub fn declaring(&self, full_name: &str) -> Option<&File> {
        self.iter().find(|file| file.declares(full_name))
    }

    /// All files as an encoded `google.protobuf.FileDescriptorSet`, with source positions and custom options.
    ///
    /// The bytes are for a generator that needs the fields of messages. Any protobuf library reads them, whatever its
    /// version; `prost_types` drops custom options.
    pub fn descriptors(&self) -> &[u8] {
        &self.descriptors
    }
}

/// One `.proto` file.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct File {
    /// The name in `import`: `auth/v1/auth.proto`.
    pub name: String,
    /// The package: `auth.v1`. Empty: none.
    pub package: String,
    /// Whether the file is among those to compile. `false`: another file imports it.
    pub requested: bool,
    /// The names of the files that it imports.
    pub imports: Vec<String>,
    /// Custom options of the file.
    pub options: Vec<CustomOption>,
    /// The services.
    pub services: Vec<Service>,
    /// The messages, nested ones behind their outer ones. The hidden messages of `map` fields are not among them.
    pub messages: Vec<Declaration>,
    /// The enums: those of the file, then those in messages.
    pub enums: Vec<Declaration>,
}

impl File {
    /// A file that is to be compiled, without content.
    pub fn new(name: impl Into<String>, package: impl Into<String>) -> Self {
        Self { name: name.into(), package: package.into(), requested: true, ..Self::default() }
    }

    /// Whether the message, enum or service with this full name is declared in the file.
    pub fn declares(&self, full_name: &str) -> bool {
        let mut types = self.messages.iter().chain(&self.enums);
        types.any(|declared| declared.full_name == full_name)
            || self.services.iter().any(|service| service.full_name() == full_name)
    }
}

/// A message or an enum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declaration {
    /// The name within the package: `Session`, or `Session.Device` for a nested one.
    pub name: String,
    /// The name with its package: `auth.v1.Session.Device`.
    pub full_name: String,
    /// The comments.
    pub comments: Comments,
    /// The place of the declaration. `None`: not known.
    pub place: Option<Place>,
}

impl Declaration {
    /// A message or an enum of a package, without comments and place.
    pub fn new(package: &str, name: impl Into<String>) -> Self {
        let name = name.into();
        let full_name = super::full_name(package, &name);
        Self { name, full_name, ..Self::default() }
    }
}
