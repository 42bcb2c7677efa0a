//! The errors of a set of descriptors.

/// The reason why a set of descriptors cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The bytes are not a `google.protobuf.FileDescriptorSet`.
    #[error("these bytes are not a set of protobuf descriptors")]
    NotDescriptors(#[source] prost::DecodeError),
    /// The bytes are not what [`pack`](crate::pack) made.
    #[error("these bytes are not packed descriptors")]
    NotPacked,
    /// Two declarations have the same full name.
    ///
    /// In Rust: two records have the same name in one package. Set `#[mdp(package = "..")]` or `#[mdp(name = "..")]` on
    /// one of them.
    #[error("`{0}` is declared twice; give one of the two another name or package")]
    Twice(String),
    /// Two enums of one package have a value of the same name. All values of a package share one namespace.
    ///
    /// In Rust: the name of a value is the name of the enum and of the variant, in upper case. Set
    /// `#[mdp(rename = "..")]` on one of the variants.
    #[error(
        "the enums `{}` and `{}` both have a value `{value}`; `rename` one of them, since the values of a package share one \
         namespace", enums[0], enums[1]
    )]
    ValueTwice {
        /// The full name of the value.
        value: String,
        /// The full names of the enums.
        enums: [String; 2],
    },
    /// A field or a method names a type that the set lacks.
    #[error("`{user}` names the type `{name}`, which the descriptors lack")]
    MissingType {
        /// The field or method.
        user: String,
        /// The type.
        name: String,
    },
    /// A file uses an edition of protobuf. This crate does not support the features of editions.
    #[error("`{0}` is written in an edition; only proto2 and proto3 are understood")]
    Edition(String),
    /// Files import each other in a circle, so no compiler accepts them.
    ///
    /// In Rust: records of two packages use each other. A record without `package` belongs to the service's package.
    #[error(
        "`{0}` imports itself through other files; move records that use each other into one package"
    )]
    Circle(String),
    /// Neither of two compared schemas has the file.
    #[error("neither schema has the file `{0}`; write its name as `import` does")]
    NoFile(String),
    /// The set does not have the service.
    #[error("the descriptors have no service `{0}`")]
    NoService(String),
}
