//! Connects keys with libzmq: checks for CURVE, makes keys, and sets keys on sockets.

use zeroize::Zeroize;

use super::frame;
use crate::security::{KeyPair, PublicKey, SecretKey};

/// Whether libzmq was built with CURVE.
pub(crate) fn has_curve() -> bool {
    zmq::has("curve") == Some(true)
}

/// Makes a key pair: writes the secret key to `secret` and returns the public key. `None`: libzmq has no CURVE.
pub(crate) fn make_keys(secret: &mut [u8; 32]) -> Option<[u8; 32]> {
    let mut made = zmq::CurveKeyPair::new().ok()?;
    secret.copy_from_slice(&made.secret_key);
    made.secret_key.zeroize();
    Some(made.public_key)
}

/// The public key that belongs to a secret key. `None`: libzmq has no CURVE.
pub(crate) fn public_key_of(secret: &SecretKey) -> Option<PublicKey> {
    frame::curve_public(&secret.expose_text())?.parse().ok()
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
