//! The attribute front end: services and records declared in Rust, without a `.proto` file.
//!
//! `mdp-runtime` gives these macros out under its own name, behind its feature `macros`, which is on by
//! default; nobody needs to depend on this crate. What stands here is how they are called; what they make
//! is told in the runtime's documentation.

mod service;

use proc_macro::TokenStream;

/// Makes a client and a worker of a trait, the same that `mdp-codegen` makes of a service in a `.proto` file.
///
/// ```ignore
/// use mdp_runtime::{CallContext, MdpRecord, Status, mdp_service};
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// pub struct GreetRequest {
///     #[mdp(1)]
///     pub name: String,
/// }
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// pub struct GreetReply {
///     #[mdp(1)]
///     pub greeting: String,
/// }
///
/// /// Knows how to greet.
/// #[mdp_service(package = "greet.v1")]
/// pub trait Greeter {
///     /// Greets one person.
///     #[mdp(no_side_effects, timeout_ms = 500)]
///     async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status>;
///
///     /// Whom it has greeted last; it asks who wants to know.
///     async fn last(&self, cx: &CallContext) -> Result<GreetRequest, Status>;
/// }
///
/// struct Polite;
///
/// impl Greeter for Polite {
///     async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status> {
///         Ok(GreetReply { greeting: format!("Good day, {}.", req.name) })
///     }
///
///     async fn last(&self, _: &CallContext) -> Result<GreetRequest, Status> {
///         Err(Status::not_found("nobody yet"))
///     }
/// }
/// # fn main() {}
/// ```
///
/// # What it makes
///
/// Three modules beside the trait, here `greeter_client`, `greeter_worker` and `greeter_service`, and the
/// names `GreeterClient`, `Greeter` and `GreeterWorker` out of them. `Greeter` is the trait to implement,
/// with plain `async fn`s whose futures are `Send`; `GreeterWorker::new(..)` is what a worker serves;
/// `GreeterClient` has one method a call. All of it is as visible as the trait. The trait stands in a
/// module, not in the body of a function.
///
/// # Methods
///
/// `async fn name(&self, cx: &CallContext, req: Record) -> Result<Record, Status>`. Context and request may
/// be left out; without a request an empty message travels. A record is a type that derives `MdpRecord`, or
/// `()`. A method is called in upper camel case on the wire: `WhoAmI` for `who_am_i`.
///
/// Documentation, `#[cfg(..)]` and `#[deprecated]` on the trait and on its methods go where they belong.
///
/// # Arguments
///
/// On the trait, `#[mdp_service(..)]`:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `package = "greet.v1"` | the package in front of the service's name | none |
/// | `name = "Greeter"` | the service's name on the wire | the trait's |
/// | `timeout_ms = 500` | `timeout_ms` of all methods that have none themselves | none |
/// | `deprecated` | as `#[deprecated]` | no |
/// | `crate = some::path` | where the runtime is, if it is not called `mdp_runtime` | `::mdp_runtime` |
///
/// On a method, `#[mdp(..)]`:
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `rename = "WhoIs"` | the method's name on the wire | its own in upper camel case |
/// | `no_side_effects` | it only reads, so a call may be made again if its worker is lost | no |
/// | `idempotent` | a second run changes nothing more, so a call may be made again | no |
/// | `timeout_ms = 500` | how many milliseconds a caller waits unless it says otherwise | the client's |
/// | `deprecated` | as `#[deprecated]` | no |
///
/// # Errors
///
/// All mistakes of a trait are shown at once, each where it was made.
#[proc_macro_attribute]
pub fn mdp_service(args: TokenStream, item: TokenStream) -> TokenStream {
    service::expand(args.into(), item.into()).into()
}
