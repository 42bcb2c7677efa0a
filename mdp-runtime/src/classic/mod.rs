//! Clients and workers of classic MDP: MDP/0.1 (RFC 7) and MDP/0.2 (RFC 18), with any broker that follows these RFCs.
//!
//! Typed calls are those of MDP/RPC. The state machines of the client and the worker run unchanged, and their records
//! travel in tunnels (wire.md R86): [`calls`] plays the broker for a client's state machine, [`serving`] for a
//! worker's. Raw requests have their own state machines: [`raw`].

pub(crate) mod calls;
mod inbound;
pub(crate) mod raw;
pub(crate) mod serving;
mod slots;
mod socket;
mod tunnel;

use std::sync::Arc;
use std::task::{Context, Poll};

use mdp_protocol::wire::Record;
use mdp_protocol::wire::classic::Form;
use mdp_protocol::{ConnectionState, Limits, SessionAction, Time};

use crate::error::ServeError;
use crate::peer::{Broken, ConnectOptions};
use calls::Calls;
use mdp_call::body::Body;
use mdp_transport::Closing;
use serving::Serving;

/// The protocol between a client or a worker and its broker.
///
/// All three protocols reach a broker of this project, and clients of each can call workers of each. The two classic
/// protocols reach every broker that follows RFC 7 or RFC 18. These differences apply to classic MDP:
///
/// - A call has one request and one reply or, over MDP/0.2, a stream of replies. Other calls end with UNIMPLEMENTED at
///   once.
/// - Metadata, statuses with their details, compression and deadlines work as over MDP/RPC.
/// - A call that its client cancels continues at the worker until the call's deadline, because classic MDP has no
///   message for a cancellation.
/// - A stream of replies has no flow control. For a slow reader, the client keeps 4 MiB of each stream beyond its
///   window, and 64 MiB of all streams together; after that the call ends with RESOURCE_EXHAUSTED. A handler's stream
///   runs as fast as the connection accepts it.
/// - Messages of a stream have no numbers, so a message that a broker drops for a slow peer is not noticed. A broker of
///   this project ends the call in that case.
/// - A broker of another project supports no deadlines, no selection of a worker and no statuses. A call for a service
///   without a worker ends with DEADLINE_EXCEEDED, and the worker's deadline does not account for the time in the
///   broker's queue.
/// - Such a broker forwards the client's own bytes: the caller's identity at a worker
///   ([`CallContext::principal`](crate::CallContext::principal)) is the client's own claim.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::{Client, Dialect};
///
/// let client = Client::builder().dialect(Dialect::Mdp02).connect("tcp://127.0.0.1:5555").open().await?;
/// // let auth = AuthClient::new(client);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MDP/RPC, the protocol for typed calls.
    #[default]
    Rpc,
    /// MDP/0.1, RFC 7: one reply to each request.
    Mdp01,
    /// MDP/0.2, RFC 18: any number of partial replies, then a final one.
    Mdp02,
}

impl Dialect {
    /// The form of classic MDP messages; `None` for MDP/RPC.
    pub(crate) fn form(self) -> Option<Form> {
        match self {
            Dialect::Rpc => None,
            Dialect::Mdp01 => Some(Form::V01),
            Dialect::Mdp02 => Some(Form::V02),
        }
    }
}

/// The maximum number of sockets of one worker.
const MAX_SOCKETS: u32 = 256;

/// Checks how many concurrent requests a worker's services allow.
pub(crate) fn check_sockets(services: &[(Arc<[u8]>, u32)]) -> Result<(), ServeError> {
    if let Some((_, capacity)) = services.iter().find(|(_, capacity)| *capacity == 0) {
        return Err(ServeError::Capacity(*capacity));
    }
    let wanted = services.iter().fold(0, |sum: u32, (_, capacity)| sum.saturating_add(*capacity));
    if wanted > MAX_SOCKETS {
        return Err(ServeError::Sockets { wanted, max: MAX_SOCKETS });
    }
    Ok(())
}

/// The maximum number of frames in the body of a raw message: this many fit in each dialect and direction.
pub(crate) const MAX_FRAMES: usize = 27;

/// The limits for messages from a broker, which forwards messages of other peers; see `peer`.
fn limits() -> Limits {
    Limits { frame_bytes: 64 << 20, frames: 1_024, ..Limits::default() }
}

/// The connection to a broker of classic MDP with its translation; see [`BrokerLink`](crate::peer::BrokerLink).
pub(crate) enum Side {
    Client(Box<Calls>),
    Worker(Box<Serving>),
}

impl Side {
    pub(crate) fn perform(
        &mut self,
        now: Time,
        options: &ConnectOptions,
        action: SessionAction<Body>,
    ) -> Result<(), Broken> {
        match self {
            Side::Client(calls) => calls.perform(options, action),
            Side::Worker(serving) => {
                serving.perform(now, action);
                Ok(())
            }
        }
    }

    /// The connection's state as this side reports it; `None`: the state machine itself reports it.
    pub(crate) fn state(&self) -> Option<&ConnectionState> {
        match self {
            Side::Client(_) => None,
            Side::Worker(serving) => Some(serving.state()),
        }
    }

    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        match self {
            // A client's task stays on its tokio runtime.
            Side::Client(_) => Ok(()),
            Side::Worker(serving) => {
                serving.moved();
                Ok(())
            }
        }
    }

    /// Passes the next record to `take`, and returns its weight.
    pub(crate) fn receive_one(
        &mut self,
        now: Time,
        take: impl FnOnce(Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        let inbound = match self {
            Side::Client(calls) => calls.receive()?,
            Side::Worker(serving) => serving.receive(now),
        };
        Ok(inbound.and_then(|inbound| inbound.give(take)))
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        match self {
            Side::Client(calls) => calls.flush(),
            Side::Worker(serving) => {
                serving.flush();
                Ok(())
            }
        }
    }

    pub(crate) fn is_readable(&mut self) -> bool {
        match self {
            Side::Client(calls) => calls.is_readable(),
            Side::Worker(serving) => serving.is_readable(),
        }
    }

    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Side::Client(calls) => calls.poll_ready(cx),
            Side::Worker(serving) => serving.poll_ready(cx),
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self {
            Side::Client(_) => None,
            Side::Worker(serving) => serving.next_deadline(),
        }
    }

    /// Takes the sockets, to close them after all messages are written.
    pub(crate) fn take_sockets(&mut self) -> Vec<Closing> {
        match self {
            Side::Client(calls) => calls.take_sockets(),
            Side::Worker(serving) => serving.take_sockets(),
        }
    }
}
