//! What all peers on bare sockets do alike.

use anyhow::{Result, bail};
use zmq::{Context, Socket, SocketType};

/// Beyond any window, so that nothing is ever dropped.
pub(crate) const HIGH_WATER: i32 = 1_000_000;
/// How long an answer may take.
pub(crate) const REPLY_MS: i32 = 10_000;

/// A socket with this high-water mark in both directions.
pub(crate) fn socket(context: &Context, kind: SocketType, high_water: i32) -> Result<Socket> {
    let socket = context.socket(kind)?;
    socket.set_sndhwm(high_water)?;
    socket.set_rcvhwm(high_water)?;
    socket.set_linger(0)?;
    Ok(socket)
}

/// Binds any free port, and gives its endpoint.
pub(crate) fn bind(socket: &Socket) -> Result<String> {
    socket.bind("tcp://127.0.0.1:*")?;
    match socket.get_last_endpoint()? {
        Ok(endpoint) => Ok(endpoint),
        Err(_) => bail!("the endpoint is not a text"),
    }
}
