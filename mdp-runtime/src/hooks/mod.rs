//! The operator's own code in the broker: asked about each request and each reply, told who comes and goes.
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

use crate::DisconnectReason;

/// Code of the operator's that a broker runs ([`BrokerBuilder::hooks`](crate::BrokerBuilder::hooks)).
///
/// Hooks are plain functions on threads of their own, several at a time, so they may block and look things up. The
/// broker goes on with everything else meanwhile; only the call that is asked about waits. It ends with INTERNAL when
/// a hook panics or takes longer than [`hook_timeout`](crate::BrokerBuilder::hook_timeout), and with
/// RESOURCE_EXHAUSTED when too many calls wait for hooks. So a hook that fails lets nothing pass. A thread
/// that stays in a hook is replaced, up to a limit.
///
/// They are asked after the [policy](crate::Policy) and the quotas, once for each call: not again for another
/// attempt, nor where they have sent it themselves. Of a call with streams they see the request that opens it
/// and the reply that ends it; its items pass. The broker's own services (`mmi.`) are not asked about.
pub trait BrokerHooks: Send + Sync + 'static {
    /// A request, before a worker is chosen.
    fn request(&self, request: &Request) -> Verdict {
        let _ = request;
        Verdict::Forward(Forward::new())
    }

    /// A reply that ends a call, be it a message or an error, before its client gets it. The worker is free for other
    /// calls already. [`Forward::to_service`] and [`Forward::to_worker`] send it on as a request to another worker,
    /// whose reply is asked about in turn.
    fn reply(&self, reply: &Reply) -> Verdict {
        let _ = reply;
        Verdict::Forward(Forward::new())
    }

    /// Whether [`request`](Self::request) is to be asked; looked at once, when the broker starts. `true`. Without it no
    /// request waits for a hook.
    fn judges_requests(&self) -> bool {
        true
    }

    /// Whether [`reply`](Self::reply) is to be asked; looked at once, when the broker starts. `true`. Without it no
    /// reply waits for a hook.
    fn judges_replies(&self) -> bool {
        true
    }

    /// A worker offers a service, `capacity` calls at a time.
    ///
    /// This and the other events come one after another, in their order, on a thread of their own.
    fn worker_joined(&self, worker: &Peer, service: &str, capacity: u32) {
        let _ = (worker, service, capacity);
    }

    /// A worker has left, whatever the cause, and with it these services of it.
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
    /// Out of the id, and the principal behind a space (wire.md R98).
    pub(crate) fn of(who: &[u8]) -> Self {
        let who = String::from_utf8_lossy(who);
        match who.split_once(' ') {
            Some((id, principal)) => {
                Peer { id: id.to_owned(), principal: Some(principal.to_owned()) }
            }
            None => Peer { id: who.into_owned(), principal: None },
        }
    }

    /// The id that the peer gave itself, or was given. It is a claim.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who it is, as the broker has proven it: the principal's name in the policy, else the key of its connection in
    /// Z85; `None` if the connection has no key.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }
}

/// Why a worker left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveCause {
    /// It said so.
    Said(DisconnectReason),
    /// It was told to go.
    Expelled(DisconnectReason),
    /// It gave no sign of life for the agreed time.
    Silence,
    /// Its connection is gone, or takes nothing more.
    Unreachable,
}

impl LeaveCause {
    pub(crate) fn of(cause: Cause) -> Self {
        match cause {
            Cause::Said(reason) => LeaveCause::Said(reason),
            Cause::Expelled(reason) => LeaveCause::Expelled(reason),
            // A plain client's; workers have heartbeats.
            Cause::Silence | Cause::Idle => LeaveCause::Silence,
            Cause::Unreachable | Cause::Unread(_) => LeaveCause::Unreachable,
        }
    }
}
