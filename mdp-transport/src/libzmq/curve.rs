//! Keys and libzmq: whether it has CURVE, new keys, and keys in sockets.

use zeroize::Zeroize;

use super::frame;
use crate::security::{KeyPair, PublicKey, SecretKey};

/// Whether libzmq was built with CURVE.
pub(crate) fn has_curve() -> bool {
    zmq::has("curve") == Some(true)
}

/// Makes a key pair: writes the secret key there, and gives the public one. `None`: libzmq has no CURVE.
pub(crate) fn make_keys(secret: &mut [u8; 32]) -> Option<[u8; 32]> {
    let mut made = zmq::CurveKeyPair::new().ok()?;
    secret.copy_from_slice(&made.secret_key);
    made.secret_key.zeroize();
    Some(made.public_key)
}

/// The public key of a secret one. `None`: libzmq has no CURVE.
pub(crate) fn public_key_of(secret: &SecretKey) -> Option<PublicKey> {
    frame::curve_public(&secret.expose_text())?.parse().ok()
}

/// Puts the keys into a socket that is to connect to this server.
pub(super) fn set_up_client(
    socket: &zmq::Socket,
    own: &KeyPair,
    server: &PublicKey,
) -> zmq::Result<()> {
    socket.set_curve_serverkey(server.as_bytes())?;
    socket.set_curve_publickey(own.public().as_bytes())?;
    socket.set_curve_secretkey(own.secret().expose())
}

/// Makes a socket a server that asks the handler of ZAP under this domain, and that takes nobody when there is no
/// handler.
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
