//! Connects keys with libzmq: checks for CURVE, and sets keys on sockets.

use super::frame;
use crate::security::{KeyPair, PublicKey};

/// Whether libzmq was built with CURVE.
pub(crate) fn has_curve() -> bool {
    zmq::has("curve") == Some(true)
}

/// Sets the keys of a socket that connects to this server.
pub(super) fn set_up_client(
    socket: &zmq::Socket,
    own: &KeyPair,
    server: &PublicKey,
) -> zmq::Result<()> {
    socket.set_curve_serverkey(server.as_bytes())?;
    socket.set_curve_publickey(own.public().as_bytes())?;
    socket.set_curve_secretkey(own.secret().expose())
}

/// Makes a socket a CURVE server that asks the ZAP handler under this domain. Without a handler the socket accepts no
/// peer.
pub(super) fn set_up_server(
    socket: &mut zmq::Socket,
    keys: &KeyPair,
    domain: &str,
) -> zmq::Result<()> {
    socket.set_curve_server(true)?;
    socket.set_curve_publickey(keys.public().as_bytes())?;
    socket.set_curve_secretkey(keys.secret().expose())?;
    socket.set_zap_domain(domain)?;
    frame::set_zap_enforce_domain(socket)
}
