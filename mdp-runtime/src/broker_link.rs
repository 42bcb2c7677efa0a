//! The link to a broker, over MDP/RPC or classic MDP.

use std::future::poll_fn;

use mdp_protocol::wire::Record;
use mdp_protocol::{ConnectionState, SessionAction, Time};

use crate::classic::Side;
use crate::peer::{Broken, ConnectOptions};
use crate::rpc_link::RpcLink;
use mdp_call::body::Body;
use mdp_transport::Closing;
use mdp_transport::clock::Clock;

/// The link between the state machine of a worker or a client and its broker.
#[allow(clippy::large_enum_variant)] // There is one for each peer, and calls go through it.
pub(crate) enum BrokerLink {
    /// A socket for MDP/RPC.
    Rpc(RpcLink),
    /// Sockets for classic MDP, and the translation between the protocols.
    Classic(Side),
}

impl BrokerLink {
    pub(crate) fn perform(
        &mut self,
        clock: &Clock,
        options: &ConnectOptions,
        action: SessionAction<Body>,
    ) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.perform(options, action),
            BrokerLink::Classic(side) => side.perform(clock.now(), options, action),
        }
    }

    /// The state to report when the state machine reports this one. `None`: the link reports the state itself.
    pub(crate) fn explained(&mut self, state: ConnectionState) -> Option<ConnectionState> {
        match self {
            BrokerLink::Rpc(rpc) => Some(rpc.explained(state)),
            BrokerLink::Classic(side) => side.state().is_none().then_some(state),
        }
    }

    /// The state, if the link reports it itself.
    pub(crate) fn state(&self) -> Option<&ConnectionState> {
        match self {
            BrokerLink::Rpc(_) => None,
            BrokerLink::Classic(side) => side.state(),
        }
    }

    /// The endpoint of the only connection. `None`: there are several connections, and the state machine names the
    /// endpoint.
    pub(crate) fn endpoint(&self) -> Option<usize> {
        match self {
            BrokerLink::Rpc(rpc) => Some(rpc.endpoint()),
            BrokerLink::Classic(_) => None,
        }
    }

    /// Moves the link to the tokio runtime of the caller.
    pub(crate) fn moved(&mut self) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.moved(),
            BrokerLink::Classic(side) => side.moved(),
        }
    }

    /// Passes the records of the next message to `take`, and returns their weight.
    pub(crate) fn receive_one(
        &mut self,
        now: Time,
        options: &ConnectOptions,
        take: impl FnMut(Record<&[u8], Body>),
    ) -> Result<Option<usize>, Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.receive_one(options, take),
            BrokerLink::Classic(side) => side.receive_one(now, take),
        }
    }

    /// Whether the connection was made since the last call. The link may not be able to detect this.
    pub(crate) fn take_made(&mut self) -> bool {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_made(),
            BrokerLink::Classic(_) => false,
        }
    }

    /// Takes the calls whose REQUESTs no socket has accepted, in order.
    pub(crate) fn take_unsent(&mut self) -> Vec<u64> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_unsent(),
            BrokerLink::Classic(_) => Vec::new(),
        }
    }

    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.flush(),
            BrokerLink::Classic(side) => side.flush(),
        }
    }

    /// Whether the next receive returns a message or an error.
    pub(crate) fn is_readable(&mut self) -> bool {
        match self {
            BrokerLink::Rpc(rpc) => rpc.is_readable(),
            BrokerLink::Classic(side) => side.is_readable(),
        }
    }

    /// The latest moment of the next receive, even if no message arrives.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        match self {
            BrokerLink::Rpc(_) => None,
            BrokerLink::Classic(side) => side.next_deadline(),
        }
    }

    /// Waits for a message, for the loss of a connection, or for room for a waiting message.
    pub(crate) async fn ready(&mut self) {
        match self {
            BrokerLink::Rpc(rpc) => rpc.ready().await,
            BrokerLink::Classic(side) => poll_fn(|cx| side.poll_ready(cx)).await,
        }
    }

    /// Takes the sockets, to close them after all messages are written.
    pub(crate) fn take_sockets(&mut self) -> Vec<Closing> {
        match self {
            BrokerLink::Rpc(rpc) => rpc.take_socket().into_iter().collect(),
            BrokerLink::Classic(side) => side.take_sockets(),
        }
    }
}
