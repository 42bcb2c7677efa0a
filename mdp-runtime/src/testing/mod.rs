//! Tools for tests of services and of their clients.
//!
//! From the simplest to the most complete:
//!
//! - [`Channel`](crate::Channel): your own test double behind a generated client, in one `impl`.
//! - [`InMemory`]: a client connected directly to a worker's service, without a broker and without sockets. Handlers
//!   run as in a worker; requests, replies, metadata and statuses are encoded and decoded as for the wire.
//! - [`broker`]: a private broker within the process, in one line, with workers and clients.
//!
//! ```
//! # mod example {
//! use mdp_runtime::{Code, MdpRecord, Status, mdp_service};
//!
//! #[derive(MdpRecord, Clone, Debug, PartialEq)]
//! pub struct LoginRequest {
//!     #[mdp(1)]
//!     pub user: String,
//! }
//!
//! #[mdp_service(package = "auth.v1")]
//! pub trait Auth {
//!     async fn login(&self, req: LoginRequest) -> Result<(), Status>;
//! }
//!
//! struct Nobody;
//!
//! impl Auth for Nobody {
//!     async fn login(&self, req: LoginRequest) -> Result<(), Status> {
//!         Err(Status::unauthenticated(format!("{} is not known", req.user)))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn run() {
//! let auth = AuthClient::in_memory(AuthWorker::new(Nobody));
//! let status = auth.login(LoginRequest { user: "ann".into() }).await.unwrap_err();
//! assert_eq!(status.code(), Code::Unauthenticated);
//! # }
//! # }
//! # example::run();
//! ```

#[cfg(feature = "broker")]
mod broker;
mod in_memory;

#[cfg(feature = "broker")]
pub use broker::{TestBroker, broker};
pub use in_memory::InMemory;
