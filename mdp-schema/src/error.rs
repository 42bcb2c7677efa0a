//! Why a set of descriptors cannot be used.

/// Why a set of descriptors cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The bytes are no `google.protobuf.FileDescriptorSet`.
    #[error("these bytes are no set of protobuf descriptors")]
    NotDescriptors(#[source] prost::DecodeError),
    /// Two declarations have the same full name.
    ///
    /// In Rust: two records fall into one package under one name. `#[mdp(package = "..")]` or
    /// `#[mdp(name = "..")]` on one of them tells them apart.
    #[error("`{0}` is declared twice; give one of the two another name or package")]
    Twice(String),
    /// A field or a method names a type that is not there.
    #[error("`{user}` names the type `{name}`, which the descriptors lack")]
    MissingType {
        /// The field or method.
        user: String,
        /// The type.
        name: String,
    },
    /// A file is written in an edition of protobuf, whose features are not understood here.
    #[error("`{0}` is written in an edition; only proto2 and proto3 are understood")]
    Edition(String),
    /// There is no such service.
    #[error("the descriptors have no service `{0}`")]
    NoService(String),
}
