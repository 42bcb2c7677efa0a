//! What all connections of one socket have in common.

use core::fmt;

use bytes::Bytes;

use crate::keys::{KeyPair, PublicKey};
use crate::limits::Limits;
use crate::socket_type::{SocketType, SocketTypes};
use crate::wire::metadata::is_identity;

/// The settings of a socket. All its connections share one value, in an `Arc`.
///
/// ```
/// use mdp_zmtp::SocketType::{Dealer, Router};
/// use mdp_zmtp::{Config, KeyPair, Limits, Mechanism, SocketTypes};
///
/// let keys = KeyPair::new(&[7; 32]); // a secret key, in a program
/// let broker = Config::new(Router)
///     .accept(SocketTypes::of(&[Dealer]))
///     .mechanism(Mechanism::CurveServer(keys))
///     .limits(Limits { frame_bytes: 1 << 20, ..Limits::default() });
/// # drop(broker);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Config {
    socket_type: SocketType,
    accepted: SocketTypes,
    identity: Bytes,
    mechanism: Mechanism,
    limits: Limits,
    heartbeat: Option<Heartbeat>,
}

impl Config {
    /// The settings of a socket of this type. Default: NULL, no identity, no heartbeats, all types that RFC 37 allows
    /// opposite.
    pub fn new(socket_type: SocketType) -> Self {
        Config {
            socket_type,
            accepted: socket_type.opposites(),
            identity: Bytes::new(),
            mechanism: Mechanism::Null,
            limits: Limits::default(),
            heartbeat: None,
        }
    }

    /// Takes peers of these types only. Types that RFC 37 does not allow opposite stay refused.
    pub fn accept(mut self, types: SocketTypes) -> Self {
        self.accepted = self.socket_type.opposites().and(types);
        self
    }

    /// Announces this identity. Only REQ, DEALER and ROUTER do so. Default: no identity.
    ///
    /// # Errors
    ///
    /// The identity has more than 255 octets, or begins with a zero.
    pub fn identity(mut self, identity: impl Into<Bytes>) -> Result<Self, InvalidIdentity> {
        self.identity = identity.into();
        if is_identity(&self.identity) { Ok(self) } else { Err(InvalidIdentity) }
    }

    /// The security mechanism. Default: NULL.
    pub fn mechanism(mut self, mechanism: Mechanism) -> Self {
        self.mechanism = mechanism;
        self
    }

    /// The limits of each connection. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Asks silent peers whether they are alive. Default: no PING is sent; those of peers are answered.
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    pub(crate) fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    pub(crate) fn accepts(&self, one: SocketType) -> bool {
        self.accepted.contains(one)
    }

    /// The identity to announce. `None`: this type announces none.
    pub(crate) fn announced(&self) -> Option<&Bytes> {
        self.socket_type.has_identity().then_some(&self.identity)
    }

    pub(crate) fn security(&self) -> &Mechanism {
        &self.mechanism
    }

    pub(crate) fn bounds(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn pings(&self) -> Option<Heartbeat> {
        self.heartbeat
    }
}

/// A security mechanism (RFC 37, "Authentication and Confidentiality").
#[derive(Clone, Debug)]
pub enum Mechanism {
    /// No encryption, no keys.
    Null,
    /// CURVE as the server: each client is asked about with [`Event::Admission`](crate::Event::Admission).
    CurveServer(KeyPair),
    /// CURVE as the client.
    CurveClient {
        /// This side's permanent keys.
        own: KeyPair,
        /// The public key of the server.
        server: PublicKey,
    },
}

impl Mechanism {
    /// The name on the wire.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Mechanism::Null => "NULL",
            Mechanism::CurveServer(_) | Mechanism::CurveClient { .. } => "CURVE",
        }
    }

    pub(crate) const fn is_server(&self) -> bool {
        matches!(self, Mechanism::CurveServer(_))
    }
}

/// When a silent peer is asked with PING, and when it counts as dead (RFC 37, "Connection Heartbeating"). A peer of ZMTP
/// 3.0 has no PING and is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Silence after which PING is sent. Default: 1,000 ms.
    pub interval_ms: u64,
    /// Silence after the PING that ends the connection. Default: 3,000 ms.
    pub timeout_ms: u64,
    /// The time after which the peer, too, may end the connection if it gets nothing more. It is sent in tenths of a
    /// second, and at most 65,500 ms: libzmq 4.3 counts the milliseconds in 16 bits. Default: 0, which says nothing.
    pub ttl_ms: u64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat { interval_ms: 1_000, timeout_ms: 3_000, ttl_ms: 0 }
    }
}

/// The identity has more than 255 octets, or begins with a zero, which RFC 37 reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidIdentity;

impl fmt::Display for InvalidIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an identity has at most 255 octets and does not begin with a zero; choose another one",
        )
    }
}

impl core::error::Error for InvalidIdentity {}
