//! Hooks: the operator's code in the broker. They decide on each request and each reply, and are notified when peers
//! connect and leave.
//!
//! ```
//! # use mdp_runtime::{MdpRecord, Status, mdp_service};
//! # #[derive(MdpRecord, Clone, Debug, PartialEq)]
//! # pub struct Greeting { #[mdp(1)] pub text: String }
//! # #[mdp_service(package = "greet.v1")]
//! # pub trait Greeter { async fn greet(&self, req: Greeting) -> Result<Greeting, Status>; }
//! # struct Polite;
//! # impl Greeter for Polite {
//! #     async fn greet(&self, req: Greeting) -> Result<Greeting, Status> { Ok(req) }
//! # }
//! use mdp_runtime::hooks::{BrokerHooks, Forward, Request, Verdict};
//! use mdp_runtime::{Broker, Client, Code, Worker};
//!
//! /// Nobody calls without saying for whom, and what was version 1 goes to version 2.
//! struct Front;
//!
//! impl BrokerHooks for Front {
//!     fn request(&self, request: &Request) -> Verdict {
//!         if request.metadata().get_str("tenant").is_none() {
//!             return Status::unauthenticated("say for which tenant").into();
//!         }
//!         match request.service() {
//!             "greet.v0.Greeter" => Forward::new().to_service("greet.v1.Greeter").into(),
//!             _ => Verdict::Forward(Forward::new()),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Broker::builder().bind("tcp://127.0.0.1:*").hooks(Front).start()?;
//! let endpoint = &broker.endpoints()[0];
//! let worker = Worker::builder().connect(endpoint).serve(GreeterWorker::new(Polite)).start()?;
//! let greeter = GreeterClient::new(Client::connect(endpoint).await?);
//!
//! let hello = Greeting { text: "hello".into() };
//! let refused = greeter.greet(hello.clone()).await.unwrap_err();
//! assert_eq!(refused.code(), Code::Unauthenticated);
//! assert_eq!(greeter.greet(hello.clone()).metadata("tenant", "acme").await?, hello);
//! # worker.shutdown(std::time::Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```

pub(crate) mod subject;
pub(crate) mod verdict;

use mdp_protocol::broker::Cause;

pub use subject::{Reply, Request};
pub use verdict::{Answer, Forward, Verdict};

use mdp_protocol::wire::DisconnectReason;

/// The operator's code that a broker runs ([`BrokerBuilder::hooks`](crate::BrokerBuilder::hooks)).
///
/// Hooks are plain functions on separate threads, several at a time, so they may block, for instance to look things up.
/// The broker continues with all other work; only the call in question waits. The call ends with INTERNAL when a hook
/// panics or takes longer than [`hook_timeout`](crate::BrokerBuilder::hook_timeout), and with RESOURCE_EXHAUSTED when
/// too many calls wait for hooks. So a failing hook lets no call pass. A thread that hangs in a hook is replaced, up to
/// a limit.
///
/// Hooks run after the [policy](crate::Policy) and the quotas, once for each call: they do not run again for another
/// attempt, or for a request that a hook has forwarded itself. For a call with streams they see the request that opens
/// the call and the reply that ends it; streamed messages pass by. Calls of the broker's own services (`mmi.`) do not
/// reach the hooks.
pub trait BrokerHooks: Send + Sync + 'static {
    /// Decides on a request, before a worker is chosen. Default: forwards the request unchanged.
    fn request(&self, request: &Request) -> Verdict {
        let _ = request;
        Verdict::Forward(Forward::new())
    }

    /// Decides on a reply that ends a call, a message or an error, before the client gets it. The worker is already
    /// free for other calls. [`Forward::to_service`] and [`Forward::to_worker`] forward the reply as a request to
    /// another worker, whose reply goes through this hook too. Default: forwards the reply unchanged.
    fn reply(&self, reply: &Reply) -> Verdict {
        let _ = reply;
        Verdict::Forward(Forward::new())
    }

    /// Whether the broker calls [`request`](Self::request). Read once, when the broker starts. If `false`, no request
    /// waits for a hook. Default: `true`.
    fn judges_requests(&self) -> bool {
        true
    }

    /// Whether the broker calls [`reply`](Self::reply). Read once, when the broker starts. If `false`, no reply waits
    /// for a hook. Default: `true`.
    fn judges_replies(&self) -> bool {
        true
    }

    /// A worker now offers a service, with `capacity` concurrent calls.
    ///
    /// This event and the following ones arrive in order, one at a time, on a separate thread.
    fn worker_joined(&self, worker: &Peer, service: &str, capacity: u32) {
        let _ = (worker, service, capacity);
    }

    /// A worker has left, for any cause, and no longer offers these services.
    fn worker_left(&self, worker: &Peer, services: &[&str], cause: &LeaveCause) {
        let _ = (worker, services, cause);
    }

    /// A peer has made its first call.
    fn client_seen(&self, client: &Peer) {
        let _ = client;
    }
}

/// A client or a worker, as the broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    id: String,
    principal: Option<String>,
}

impl Peer {
    /// Reads the id and, after a space, the principal (wire.md R98).
    pub(crate) fn of(who: &[u8]) -> Self {
        let who = String::from_utf8_lossy(who);
        match who.split_once(' ') {
            Some((id, principal)) => {
                Peer { id: id.to_owned(), principal: Some(principal.to_owned()) }
            }
            None => Peer { id: who.into_owned(), principal: None },
        }
    }

    /// Returns the id that the peer chose or the broker assigned. The id is a claim, not a proof of identity.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the peer's identity as the broker has verified it: the principal's name in the policy, or else the
    /// connection's public key in Z85. `None` if the connection has no key.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }
}

/// The cause of a worker's departure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveCause {
    /// The worker sent a DISCONNECT.
    Said(DisconnectReason),
    /// The broker disconnected the worker.
    Expelled(DisconnectReason),
    /// The worker sent no heartbeat for the agreed time.
    Silence,
    /// The worker's connection is closed, or accepts no more messages.
    Unreachable,
}

impl LeaveCause {
    pub(crate) fn of(cause: Cause) -> Self {
        match cause {
            Cause::Said(reason) => LeaveCause::Said(reason),
            Cause::Expelled(reason) => LeaveCause::Expelled(reason),
            // Only classic clients become idle; workers have heartbeats.
            Cause::Silence | Cause::Idle => LeaveCause::Silence,
            Cause::Unreachable | Cause::Unread(_) => LeaveCause::Unreachable,
        }
    }
}
