//! Messages that `extern_path` takes from here, in place of generating them.

use mdp_runtime::codegen::prost;

/// A message with a nested one.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
#[prost(prost_path = "::mdp_runtime::codegen::prost")]
pub struct Away {
    /// The nested message.
    #[prost(message, optional, tag = "1")]
    pub nested: Option<away::Nested>,
}

/// The types inside of [`Away`].
pub mod away {
    use mdp_runtime::codegen::prost;

    /// A nested message.
    #[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
    #[prost(prost_path = "::mdp_runtime::codegen::prost")]
    pub struct Nested {
        /// Some text.
        #[prost(string, tag = "1")]
        pub nested: String,
    }
}
