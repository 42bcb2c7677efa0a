//! The way to a broker, whatever is spoken with it.

use std::future::poll_fn;

use mdp_protocol::wire::Record;
use mdp_protocol::{ConnectionState, SessionAction, Time};

use crate::peer::{Broken, Way};
use crate::plain::Side;
use crate::rpc_link::RpcLink;
use mdp_call::body::Body;
use mdp_transport::Closing;
use mdp_transport::clock::Clock;

/// What stands between the machine of a worker or a client and its broker.
#[allow(clippy::large_enum_variant)] // There is one for each peer, and calls go through it.
pub(crate) enum BrokerLink {
    /// A socket over which MDP/RPC is spoken.
    Rpc(RpcLink),
    /// Sockets of plain MDP, and what translates.
    Plain(Side),
}

impl BrokerLink {
    pub(crate) fn perform(
        &mut self,
        clock: &Clock,
        way: &Way,
        action: SessionAction<Body>,
    ) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.perform(way, action),
            BrokerLink::Plain(side) => side.perform(clock.now(), way, action),
        }
    }

    /// What is to be told where the machine says this state; `None`: nothing, for the state is the link's to say.
    pub(crate) fn explained(&mut self, state: ConnectionState) -> Option<ConnectionState> {
        match self {
            BrokerLink::Rpc(rpc) => Some(rpc.explained(state)),
            BrokerLink::Plain(side) => side.state().is_none().then_some(state),
        }
    }

    /// The state, if it is the link's to say and not the machine's.
    pub(crate) fn state(&self) -> Option<&ConnectionState> {
        match self {
            BrokerLink::Rpc(_) => None,
            BrokerLink::Plain(side) => side.state(),
        }
    }

    /// The endpoint of the only connection. `None`: of several connections the machine knows which one it is about.
    pub(crate) fn endpoint(&self) -> Option<usize> {
        match self {
            BrokerLink::Rpc(rpc) => Some(rpc.endpoint()),
            BrokerLink::Plain(_) => None,
        }
    }

    /// Goes on on the tokio runtime that this is called on.
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.moved(),
            BrokerLink::Plain(side) => side.moved(),
        }
    }

    /// Hands the records of the next message to `take`, and gives their weight.
    pub(crate) fn receive_one(
        &mut self,
        now: Time,
        way: &Way,
        take: impl FnMut(Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.receive_one(way, take),
            BrokerLink::Plain(side) => side.receive_one(now, take),
        }
    }

    /// Whether the connection was made since this was asked last, as far as the link finds out.
    pub(crate) fn take_made(&mut self) -> bool {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_made(),
            BrokerLink::Plain(_) => false,
        }
    }

    /// The calls whose REQUESTs were given to no socket, in order. They are forgotten here.
    pub(crate) fn take_unsent(&mut self) -> Vec<u64> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_unsent(),
            BrokerLink::Plain(_) => Vec::new(),
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.flush(),
            BrokerLink::Plain(side) => side.flush(),
        }
    }

    /// Whether there is something to receive. A broken socket says yes, and shows at the next receive.
    pub(crate) fn is_readable(&mut self) -> bool {
        match self {
            BrokerLink::Rpc(rpc) => rpc.is_readable(),
            BrokerLink::Plain(side) => side.is_readable(),
        }
    }

    /// When there is something to receive at the latest, though nothing comes.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self {
            BrokerLink::Rpc(_) => None,
            BrokerLink::Plain(side) => side.next_deadline(),
        }
    }

    /// Waits until there is something to receive, a connection is lost, or there is room for what waits to be sent.
    pub(crate) async fn ready(&mut self) {
        match self {
            BrokerLink::Rpc(rpc) => rpc.ready().await,
            BrokerLink::Plain(side) => poll_fn(|cx| side.poll_ready(cx)).await,
        }
    }

    /// The sockets, to be closed when all is written.
    pub(crate) fn take_sockets(&mut self) -> Vec<Closing> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_socket().into_iter().collect(),
            BrokerLink::Plain(side) => side.take_sockets(),
        }
    }
}
