//! Peers of plain MDP: MDP/0.1 (RFC 7) and MDP/0.2 (RFC 18), through any broker that follows these.
//!
//! Typed calls are those of MDP/RPC. The machines of its client and worker run as they are, and what they say goes into
//! tunnels (wire.md R86): [`calls`] stands for the broker towards a client's machine, [`serving`] towards a worker's.
//! Raw requests have machines of their own: [`raw`].

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
use mdp_protocol::wire::plain::Form;
use mdp_protocol::{ConnectionState, Limits, SessionAction, Time};

use crate::body::Body;
use crate::error::ServeError;
use crate::peer::{Broken, Way};
use crate::transport::Closing;
use calls::Calls;
use serving::Serving;

/// What a client or a worker speaks with its broker.
///
/// Any of the three reaches a broker of this project, which lets clients of each call workers of each. The two of plain MDP
/// reach every broker that follows RFC 7 or RFC 18. Over them
///
/// - a call has one request and one reply or, over MDP/0.2, a stream of replies; other calls end with UNIMPLEMENTED at once;
/// - metadata, statuses with their details, compression and deadlines are as over MDP/RPC;
/// - a call that its client gives up goes on at the worker until its own deadline: plain MDP has no word for that;
/// - a stream of replies has no flow control: of one whose reader does not keep up 4 MiB are kept beyond its window,
///   64 MiB of all streams of a client, then the call ends with RESOURCE_EXHAUSTED. A handler's stream goes as fast as the connection takes it;
/// - items of a stream have no numbers: what a broker drops, because somebody behind it is slow, is missed by nobody. Ours ends
///   the call then;
/// - a broker that is not of this project knows no deadlines, no wanted worker and no status: a call for a service that
///   has no worker ends with DEADLINE_EXCEEDED, and the time in the broker's queue is not taken off what the worker sees;
/// - such a broker passes on what a client has written: what a worker behind it hears of the caller
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
    /// MDP/RPC, which is made for typed calls.
    #[default]
    Rpc,
    /// MDP/0.1, RFC 7: one reply to each request.
    Mdp01,
    /// MDP/0.2, RFC 18: any number of partial replies, then a final one.
    Mdp02,
}

impl Dialect {
    /// How the messages of plain MDP look; `None` of MDP/RPC.
    pub(crate) fn form(self) -> Option<Form> {
        match self {
            Dialect::Rpc => None,
            Dialect::Mdp01 => Some(Form::V01),
            Dialect::Mdp02 => Some(Form::V02),
        }
    }
}

/// The most sockets of one worker.
const SOCKETS_MOST: u32 = 256;

/// Checks how many requests at once a worker takes for its services.
pub(crate) fn check_sockets(services: &[(Arc<[u8]>, u32)]) -> Result<(), ServeError> {
    if let Some((_, capacity)) = services.iter().find(|(_, capacity)| *capacity == 0) {
        return Err(ServeError::Capacity(*capacity));
    }
    let wanted = services.iter().fold(0, |sum: u32, (_, capacity)| sum.saturating_add(*capacity));
    if wanted > SOCKETS_MOST {
        return Err(ServeError::Sockets { wanted, most: SOCKETS_MOST });
    }
    Ok(())
}

/// Frames in the body of a raw message: so many travel in each dialect and direction.
pub(crate) const MOST_FRAMES: usize = 27;

/// What is taken from a broker. What it sends is bounded by what others sent it; see `peer`.
fn limits() -> Limits {
    Limits { frame_bytes: 64 << 20, frames: 1_024, ..Limits::default() }
}

/// A way to a broker of plain MDP, and what translates: see [`BrokerLink`](crate::broker_link::BrokerLink).
pub(crate) enum Side {
    Client(Box<Calls>),
    Worker(Box<Serving>),
}

impl Side {
    pub(crate) fn perform(
        &mut self,
        now: Time,
        way: &Way,
        action: SessionAction<Body>,
    ) -> Result<(), Broken> {
        match self {
            Side::Client(calls) => calls.perform(way, action),
            Side::Worker(serving) => {
                serving.perform(now, action);
                Ok(())
            }
        }
    }

    /// Whose word the state is: `None` says that of the machine itself.
    pub(crate) fn state(&self) -> Option<&ConnectionState> {
        match self {
            Side::Client(_) => None,
            Side::Worker(serving) => Some(serving.state()),
        }
    }

    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        match self {
            // A client's task stays where it is.
            Side::Client(_) => Ok(()),
            Side::Worker(serving) => {
                serving.moved();
                Ok(())
            }
        }
    }

    /// Hands the next record to `take`, and gives its weight.
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

    /// The sockets, to be closed when all is written.
    pub(crate) fn take_sockets(&mut self) -> Vec<Closing> {
        match self {
            Side::Client(calls) => calls.take_sockets(),
            Side::Worker(serving) => serving.take_sockets(),
        }
    }
}
