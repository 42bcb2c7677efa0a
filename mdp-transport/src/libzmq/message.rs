//! Sends and receives whole messages without waiting.

use std::ffi::c_int;

use bytes::Bytes;

use super::frame::{self, Frame};
use crate::packet::{InPacket, OutPacket};

/// Frames with more bytes are given to libzmq without a copy. For smaller frames, a copy costs less and keeps no larger
/// buffer.
const MAX_COPIED: usize = 8 * 1024;
const MORE: c_int = zmq::DONTWAIT | zmq::SNDMORE;

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
pub(super) fn rest_into(
    socket: &zmq::Socket,
    first: zmq::Message,
    max_frames: usize,
    frames: &mut Vec<Frame>,
) -> zmq::Result<()> {
    let mut more = first.get_more();
    frames.push(Frame(first));
    while more {
        let next = receive_more(socket)?;
        more = next.get_more();
        if frames.len() <= max_frames {
            frames.push(Frame(next));
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
