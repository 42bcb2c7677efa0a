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
    /// Files import each other in a circle, so no compiler takes them.
    ///
    /// In Rust: a record of one package uses a record of another one and the other way round, as a record
    /// without `package` does that falls into the service's package.
    #[error(
        "`{0}` imports itself by way of others; move records that use each other into one package"
    )]
    Circle(String),
    /// There is no such service.
    #[error("the descriptors have no service `{0}`")]
    NoService(String),
}
