//! All that a trait can say.

use ::core::result::Result;
use ::mdp_runtime::{CallContext, MdpRecord, Status, mdp_service};

/// A record of this crate.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Number {
    /// Any number.
    #[mdp(1, sint64)]
    pub value: i64,
}

/// Records that stand elsewhere.
pub mod records {
    pub use ::mdp_runtime::codegen::prost_types::{Duration, Timestamp};
}

use records::Timestamp;

/// Knows everything.
///
/// And says so in two paragraphs.
#[mdp_service(package = "everything.v1", name = "All", timeout_ms = 9_000)]
pub trait Everything {
    /// Nothing in, nothing out.
    async fn nothing(&self) -> Result<(), Status>;
    async fn only_context(&self, cx: &CallContext) -> Result<Timestamp, Status>;
    async fn only_request(&self, req: Timestamp) -> Result<(), Status>;
    async fn both(
        &self,
        cx: &::mdp_runtime::CallContext,
        at: Timestamp,
    ) -> ::core::result::Result<records::Duration, ::mdp_runtime::Status>;
    /// Under a condition that holds.
    #[cfg(unix)]
    async fn there(&self, _: ()) -> Result<(), Status>;
    /// Under one that does not; its type is nowhere.
    #[cfg(not(unix))]
    async fn gone(&self, req: NowhereAtAll) -> Result<(), Status>;
    #[mdp(rename = "Typ", timeout_ms = 5, no_side_effects)]
    async fn r#type(
        &self,
        req: crate::everything::records::Duration,
    ) -> Result<self::records::Duration, Status>;
    #[mdp(idempotent)]
    #[deprecated(note = "ask another")]
    async fn old(
        &self,
        req: super::everything::Timestamp,
    ) -> Result<::mdp_runtime::codegen::prost_types::Timestamp, Status>;
    #[mdp(deprecated = "ask nobody", idempotent)]
    async fn older(&self) -> Result<(), Status>;
    /// The next one.
    async fn next(&self, number: Number) -> Result<Number, Status>;
}
