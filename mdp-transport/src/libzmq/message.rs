//! Receives and sends whole messages without waiting: those of [`Dealer`] and [`Router`], and what their pieces share.

use std::ffi::c_int;

use bytes::Bytes;
use mdp_protocol::wire::SIGNATURE;
use mdp_protocol::{Identity, Limits};

use super::dealer::Dealer;
use super::error::{failed, unsent};
use super::frame::{self, Frame};
use super::router::Router;
use crate::arrival::{Content, Unproven};
use crate::error::{SocketError, Unsent};
use crate::packet::{InPacket, OutPacket};

/// Frames with more bytes are given to libzmq without a copy. For smaller frames, a copy costs less and keeps no larger
/// buffer.
const MAX_COPIED: usize = 8 * 1024;
const MORE: c_int = zmq::DONTWAIT | zmq::SNDMORE;

/// Frames with at least this many bytes are given to libzmq without a copy. For smaller frames, a copy costs less.
const SHARED_FROM: usize = 1_024;

/// A message of a router.
pub(crate) struct Arrived {
    /// The connection that it came over.
    pub(crate) from: Sender,
    /// The sender's identity, or the reason why the message belongs to no peer.
    pub(crate) identity: Result<Identity, Unproven>,
    /// The message came from a peer of this process.
    pub(crate) local: bool,
    pub(crate) content: Content,
}

/// The sender of a message.
pub(crate) struct Sender(zmq::Message);

impl Sender {
    pub(crate) fn route(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn address(&mut self) -> Option<&str> {
        self.0.gets("Peer-Address")
    }
}

impl Dealer {
    /// Receives the next message, if there is one. Frames beyond the limit are dropped.
    pub(crate) fn receive(&mut self, limits: &Limits) -> Result<Option<InPacket>, SocketError> {
        let socket = self.socket();
        match receive(socket).map_err(failed)? {
            Some(first) => rest(socket, first, limits.frames).map(Some).map_err(failed),
            None => Ok(None),
        }
    }

    /// Sends a packet. `false`: the socket is full, and the packet is unchanged.
    pub(crate) fn send(&mut self, packet: &mut OutPacket) -> Result<bool, SocketError> {
        match send(self.socket(), packet) {
            Ok(()) => Ok(true),
            Err(zmq::Error::EAGAIN) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// Sends a message of these frames. `false`: the socket has no room for it.
    pub(crate) fn send_frames(&mut self, frames: &[Bytes]) -> Result<bool, SocketError> {
        let socket = self.socket();
        for (number, frame) in frames.iter().enumerate() {
            let more = if number + 1 < frames.len() { zmq::SNDMORE } else { 0 };
            let flags = zmq::DONTWAIT | more;
            let sent = retry_interrupted(|| match frame.len() {
                SHARED_FROM.. => frame::send_shared(socket, frame.clone(), flags),
                _ => socket.send(&**frame, flags),
            });
            match sent {
                Ok(()) => {}
                // libzmq accepts all frames of a message if it accepted the first one.
                Err(zmq::Error::EAGAIN) if number == 0 => return Ok(false),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(true)
    }
}

impl Router {
    /// Receives the next message, if there is one. A message that is not a packet goes into `frames`, which must be
    /// empty. `guarded`: keys have rights of their own, so a peer with a key must not choose its routing id.
    pub(crate) fn receive<F: From<Frame>>(
        &mut self,
        guarded: bool,
        frames: &mut Vec<F>,
    ) -> Result<Option<Arrived>, SocketError> {
        self.next(guarded, frames).map_err(failed)
    }

    fn next<F: From<Frame>>(
        &mut self,
        guarded: bool,
        frames: &mut Vec<F>,
    ) -> zmq::Result<Option<Arrived>> {
        let Some((mut route, first)) = begin(self.socket())? else { return Ok(None) };
        let identity = self.identify(&mut route, guarded);
        let max = self.max_frames();
        let mut content = Content::Frames;
        if identity.is_err() {
            pass_over(self.socket(), first)?;
        } else if first.first() == Some(&SIGNATURE) {
            content = Content::Packet(rest(self.socket(), first, max)?);
        } else {
            rest_into(self.socket(), first, max, frames)?;
        }
        let local = self.is_local(&route);
        Ok(Some(Arrived { from: Sender(route), identity, local, content }))
    }

    /// Sends a packet to the peer with this routing id, without waiting. `with` is dropped after the packet is written
    /// or discarded, or on an error.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and the packet is still there.
    pub(crate) fn send<T: Send + 'static>(
        &mut self,
        route: &[u8],
        packet: &mut OutPacket,
        with: Option<T>,
    ) -> Result<(), Unsent> {
        let socket = self.socket();
        let sent = address(socket, route).and_then(|()| match with {
            Some(with) => send_with(socket, packet, with),
            None => send(socket, packet),
        });
        sent.map_err(unsent)
    }

    /// Sends a message of these frames to the peer with this routing id: `heads`, which are copied, then `body`.
    /// [`send`](Self::send) explains `with`.
    ///
    /// # Errors
    ///
    /// Nothing was sent.
    pub(crate) fn send_frames<'a, T: Send + 'static>(
        &mut self,
        route: &[u8],
        heads: impl DoubleEndedIterator<Item = &'a [u8]>,
        body: &[Bytes],
        with: T,
    ) -> Result<(), Unsent> {
        let socket = self.socket();
        let sent = address(socket, route);
        sent.and_then(|()| send_rest(socket, heads, body, with)).map_err(unsent)
    }
}

/// Repeats a call that a signal interrupted.
pub(super) fn retry_interrupted<T>(mut call: impl FnMut() -> zmq::Result<T>) -> zmq::Result<T> {
    loop {
        match call() {
            Err(zmq::Error::EINTR) => {}
            result => return result,
        }
    }
}

/// Receives the next frame, if there is one.
pub(super) fn receive(socket: &zmq::Socket) -> zmq::Result<Option<zmq::Message>> {
    match retry_interrupted(|| socket.recv_msg(zmq::DONTWAIT)) {
        Ok(frame) => Ok(Some(frame)),
        Err(zmq::Error::EAGAIN) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Receives the routing id and the first frame of the next message of a ROUTER, if there is one. The frame is empty if
/// the message has none.
pub(super) fn begin(socket: &zmq::Socket) -> zmq::Result<Option<(zmq::Message, zmq::Message)>> {
    let Some(route) = receive(socket)? else { return Ok(None) };
    let first = match route.get_more() {
        true => receive_more(socket)?,
        false => zmq::Message::new(),
    };
    Ok(Some((route, first)))
}

/// Receives the next frame of a started message.
pub(super) fn receive_more(socket: &zmq::Socket) -> zmq::Result<zmq::Message> {
    retry_interrupted(|| socket.recv_msg(zmq::DONTWAIT))
}

/// Reads the rest of a message. Frames beyond the limit are read and dropped one by one, so that they do not use
/// memory. The message is then invalid.
pub(super) fn rest(
    socket: &zmq::Socket,
    first: zmq::Message,
    max_frames: usize,
) -> zmq::Result<InPacket> {
    let mut more = first.get_more();
    let first = frame::bytes(first);
    let mut frames = Vec::new();
    while more {
        let next = receive_more(socket)?;
        more = next.get_more();
        if frames.len() < max_frames {
            frames.push(frame::bytes(next));
        }
    }
    Ok(InPacket { first, frames })
}

/// Reads the rest of a message into a list. One frame beyond the limit is kept: it shows that there were too many.
pub(super) fn rest_into<F: From<Frame>>(
    socket: &zmq::Socket,
    first: zmq::Message,
    max_frames: usize,
    frames: &mut Vec<F>,
) -> zmq::Result<()> {
    let mut more = first.get_more();
    frames.push(Frame(first).into());
    while more {
        let next = receive_more(socket)?;
        more = next.get_more();
        if frames.len() <= max_frames {
            frames.push(Frame(next).into());
        }
    }
    Ok(())
}

/// Reads and drops the rest of a message that is ignored.
pub(super) fn pass_over(socket: &zmq::Socket, mut frame: zmq::Message) -> zmq::Result<()> {
    while frame.get_more() {
        frame = receive_more(socket)?;
    }
    Ok(())
}

/// Sends a packet. On an error libzmq has not accepted the first frame, and the packet is unchanged.
pub(super) fn send(socket: &mut zmq::Socket, packet: &mut OutPacket) -> zmq::Result<()> {
    let flags = if packet.frames.is_empty() { zmq::DONTWAIT } else { MORE };
    retry_interrupted(|| socket.send(packet.first.as_slice(), flags))?;
    let last = packet.frames.len();
    for (number, payload) in packet.frames.drain(..).enumerate() {
        let flags = if number + 1 < last { MORE } else { zmq::DONTWAIT };
        // libzmq accepts all frames of a message if it accepted the first one.
        frame::send_shared(socket, payload, flags)?;
    }
    packet.clear();
    Ok(())
}

/// Sends a packet as [`send`] does. `with` is dropped after libzmq has written the last frame or discarded the message.
/// Small frames are copied, because they may be parts of a larger buffer.
pub(super) fn send_with<T: Send + 'static>(
    socket: &mut zmq::Socket,
    packet: &mut OutPacket,
    with: T,
) -> zmq::Result<()> {
    let first = packet.first.as_slice();
    match packet.frames.split_last() {
        None => send_last(socket, Bytes::copy_from_slice(first), with)?,
        Some((last, others)) => {
            retry_interrupted(|| socket.send(first, MORE))?;
            send_others(socket, others)?;
            send_last(socket, unshared(last), with)?;
        }
    }
    packet.clear();
    Ok(())
}

/// Sends the rest of a started message: `heads`, then `body`. `with` is dropped as in [`send_with`].
pub(super) fn send_rest<'a, T: Send + 'static>(
    socket: &mut zmq::Socket,
    heads: impl DoubleEndedIterator<Item = &'a [u8]>,
    body: &[Bytes],
    with: T,
) -> zmq::Result<()> {
    let mut heads = heads;
    let Some((last, others)) = body.split_last() else {
        let last = Bytes::copy_from_slice(heads.next_back().unwrap_or_default());
        heads.try_for_each(|head| retry_interrupted(|| socket.send(head, MORE)))?;
        return send_last(socket, last, with);
    };
    heads.try_for_each(|head| retry_interrupted(|| socket.send(head, MORE)))?;
    send_others(socket, others)?;
    send_last(socket, unshared(last), with)
}

/// A frame that keeps no larger buffer in memory.
fn unshared(frame: &Bytes) -> Bytes {
    if frame.len() > MAX_COPIED { frame.clone() } else { Bytes::copy_from_slice(frame) }
}

/// Sends frames before the last one of their message. Copies a frame if a copy costs less than sharing.
fn send_others(socket: &mut zmq::Socket, frames: &[Bytes]) -> zmq::Result<()> {
    frames.iter().try_for_each(|frame| match frame.len() > MAX_COPIED {
        true => frame::send_shared(socket, frame.clone(), MORE),
        false => retry_interrupted(|| socket.send(&**frame, MORE)),
    })
}

/// Sends the last frame of a message.
fn send_last<T: Send + 'static>(
    socket: &mut zmq::Socket,
    frame: Bytes,
    with: T,
) -> zmq::Result<()> {
    frame::send_shared(socket, frame::With(frame, with), zmq::DONTWAIT)
}

/// Starts a message to the peer with this routing id.
fn address(socket: &zmq::Socket, route: &[u8]) -> zmq::Result<()> {
    retry_interrupted(|| socket.send(route, zmq::DONTWAIT | zmq::SNDMORE))
}
