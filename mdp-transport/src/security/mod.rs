//! Keys, CURVE, and the list of keys that a server accepts.
//!
//! CURVE (ZeroMQ's RFC 26) encrypts connections over tcp and ipc. Both sides have a key pair: a peer knows the broker's
//! public key and talks to no other broker, and the broker identifies each peer by its public key. `docs/security.md`
//! explains how to make keys, turn CURVE on and change keys, and what CURVE does and does not protect.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mdp_runtime::security::{CurveClient, CurveServer, KeyPair};
//! use mdp_runtime::{Broker, Client};
//!
//! let (broker_keys, ann) = (KeyPair::new()?, KeyPair::new()?); // or KeyPair::read("ann.key")?
//! let broker_key = *broker_keys.public();
//! let broker = Broker::builder()
//!     .bind("tcp://127.0.0.1:*")
//!     .curve(CurveServer::new(broker_keys).allow([*ann.public()]))
//!     .start()?;
//! let client = Client::builder()
//!     .connect(&broker.endpoints()[0])
//!     .curve(CurveClient::new(broker_key).key_pair(ann))
//!     .open()
//!     .await?;
//! # drop(client);
//! # Ok(())
//! # }
//! ```
//!
//! Over inproc there is no encryption and no key: both sides are in the same process.

mod allow;
pub(crate) mod curve;
pub(crate) mod handshake;
mod key_file;
mod keys;
pub(crate) mod trusted;

pub use allow::AllowList;
pub use curve::{CurveClient, CurveServer};
pub use handshake::HandshakeFault;
pub use key_file::KeyFileError;
pub use keys::{KeyPair, KeyTextError, PublicKey, SecretKey};
pub use trusted::{UntrustedFile, read_trusted};

/// The reason why CURVE cannot be used on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveUnavailable {
    /// The transport is libzmq, and libzmq was built without CURVE.
    #[error(
        "libzmq was built without CURVE; use the native transport, which is the default, or add to the Cargo.toml of \
         the workspace that is built: `[patch.crates-io]` and below it `zeromq-src = {{ path = \"mdp/zeromq-src\" }}` \
         (see docs/transport.md), then run `cargo update -p zeromq-src`"
    )]
    Libzmq,
    /// The operating system returned no random bytes for a new key.
    #[error("the operating system returned no random bytes for a key")]
    Random,
}
