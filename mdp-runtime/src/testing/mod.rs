//! For tests of services and of those that call them.
//!
//! From the lightest to the whole:
//!
//! - [`Channel`](crate::Channel): a test double of your own behind a generated client, in one `impl`.
//! - [`InMemory`]: a client joined with a worker's service. Handlers run as a worker runs them; requests, replies,
//!   metadata and statuses are encoded and decoded as for the wire. No broker, no sockets.
//! - [`broker`]: a broker in the process that nobody else can reach, in one line, with workers and clients.
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

mod broker;
mod in_memory;

pub use broker::{TestBroker, broker};
pub use in_memory::InMemory;
