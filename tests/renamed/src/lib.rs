//! A service of a crate that has neither a prelude nor a dependency called `mdp_runtime`.

#![no_implicit_prelude]
#![deny(warnings)]
#![deny(rustdoc::all)]

/// The runtime as this crate gives it on, under yet another name.
pub mod parts {
    pub use ::majordomo as runtime;
}

/// By the name of the dependency.
pub mod by_name {
    use ::core::result::Result;
    use ::majordomo::{CallContext, MdpRecord, Status, mdp_service};
    use ::std::string::String;

    /// What is said.
    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    #[mdp(crate = ::majordomo)]
    pub struct Words {
        /// In any language.
        #[mdp(1)]
        pub text: String,
    }

    /// Says what it hears.
    #[mdp_service(package = "renamed.v1", crate = majordomo)]
    pub trait Echo {
        /// The same again.
        async fn echo(&self, cx: &CallContext, req: Words) -> Result<Words, Status>;
    }
}

/// By a path in this crate.
pub mod by_path {
    use ::core::result::Result;

    use crate::parts::runtime::{Status, Stream, Streaming, mdp_service};

    /// Says what it hears.
    #[mdp_service(package = "renamed.v1", crate = crate::parts::runtime)]
    pub trait Path {
        /// Nothing that could be heard.
        async fn echo(&self) -> Result<(), Status>;
        /// Over and over.
        async fn echoes(
            &self,
            calls: Streaming<()>,
        ) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
    }
}
