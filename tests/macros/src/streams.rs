//! Methods of all four kinds, with all that can be written about a stream.

use ::core::result::Result;
// Each of these names is used by the traits alone, and nobody is told that it is not needed.
use ::mdp_runtime::{CallContext, Status, Stream, Streaming, mdp_service};

use crate::everything::Number;

/// Records with the names of streams.
pub mod records {
    use ::mdp_runtime::MdpRecord;

    /// No stream, for it has no argument.
    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub struct Streaming {
        /// Any number.
        #[mdp(1)]
        pub number: u32,
    }
}

/// Counts in all ways.
#[mdp_service(package = "streams.v1")]
pub trait Counting {
    /// One more.
    async fn next(&self, number: Number) -> Result<Number, Status>;
    /// From zero up to it.
    #[mdp(no_side_effects)]
    async fn count(
        &self,
        cx: &CallContext,
        to: Number,
    ) -> Result<impl Stream<Item = Result<Number, Status>>, Status>;
    /// Nothing in, much out.
    async fn ticks(
        &self,
    ) -> Result<
        impl ::mdp_runtime::Stream<Item = ::core::result::Result<(), ::mdp_runtime::Status>>
        + ::core::marker::Send,
        Status,
    >;
    #[mdp(timeout_ms = 7_000)]
    async fn sum(&self, numbers: Streaming<Number>) -> Result<Number, Status>;
    async fn running_sum(
        &self,
        cx: &CallContext,
        numbers: ::mdp_runtime::codegen::Streaming<crate::everything::Number>,
    ) -> Result<impl Stream<Item = Result<self::Number, Status>>, Status>;
    #[cfg(not(unix))]
    async fn gone(
        &self,
        numbers: Streaming<NowhereAtAll>,
    ) -> Result<impl NowhereAtAll::Stream<Item = Result<NowhereAtAll, Status>>, Status>;
    #[deprecated]
    async fn unpack(
        &self,
        requests: Streaming<records::Streaming>,
    ) -> Result<records::Streaming, Status>;
    async fn repeat(
        &self,
        request: records::Streaming,
    ) -> Result<impl Stream<Item = Result<records::Streaming, Status>>, Status>;
}
