//! What this side sends after the handshake.

use alloc::vec::Vec;

use super::{Connection, Link, State};
use crate::curve::session;
use crate::error::{Command, SendError};
use crate::message::Part;
use crate::output::{Output, SHARE_FROM};
use crate::wire::command::put_name;
use crate::wire::frame::{COMMAND, MAX_HEADER, MORE, put_header};

impl Connection {
    /// Writes a message of these frames.
    ///
    /// Without encryption a frame of at least [`SHARE_FROM`] bytes that is given as `Bytes` is not copied. With CURVE each
    /// frame is one box, so a caller that has many small things to say puts them into one frame.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use mdp_zmtp::{Connection, Output, SendError};
    /// # fn doc(connection: &mut Connection, out: &mut Output) -> Result<(), SendError> {
    /// let (head, body) = (b"head", Bytes::from(vec![0; 100_000]));
    /// connection.send([head.into(), (&body).into()] as [mdp_zmtp::Part; 2], out)?;
    /// connection.send([&body], out)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The handshake is not over, the connection has ended, there is no frame, or the nonces of CURVE are used up. After
    /// the last one a part of the message may be in `out`: close the connection.
    pub fn send<'a, I>(&mut self, frames: I, out: &mut Output) -> Result<(), SendError>
    where
        I: IntoIterator<Item: Into<Part<'a>>>,
    {
        let link = match &mut self.state {
            State::Ready(link) => link,
            State::Ended => return Err(SendError::Closed),
            _ => return Err(SendError::NotReady),
        };
        let mut frames = frames.into_iter();
        let mut next = frames.next();
        if next.is_none() {
            return Err(SendError::NoFrame);
        }
        while let Some(frame) = next {
            next = frames.next();
            let (frame, more) = (frame.into(), next.is_some());
            match link {
                Link::Null => put_frame(frame, more, out),
                Link::Curve(session) => {
                    let flags = if more { session::MORE } else { 0 };
                    out.write(|gathered| session.seal(flags, frame.bytes(), gathered))
                        .ok_or(SendError::NoncesUsedUp)?;
                }
            }
        }
        Ok(())
    }

    /// Asks a publisher for the messages that begin with this topic (RFC 37, SUBSCRIBE). A peer of ZMTP 3.0 gets a message
    /// instead.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn subscribe(&mut self, topic: &[u8], out: &mut Output) -> Result<(), SendError> {
        self.send_topic(Command::Subscribe, 1, topic, out)
    }

    /// Takes one subscription back (RFC 37, CANCEL). A peer of ZMTP 3.0 gets a message instead.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn cancel(&mut self, topic: &[u8], out: &mut Output) -> Result<(), SendError> {
        self.send_topic(Command::Cancel, 0, topic, out)
    }

    fn send_topic(
        &mut self,
        command: Command,
        octet: u8,
        topic: &[u8],
        out: &mut Output,
    ) -> Result<(), SendError> {
        if !self.is_ready() || self.minor == 0 {
            let message = [&[octet], topic].concat();
            return self.send([&message], out);
        }
        self.put_command(out, |body| {
            put_name(body, command);
            body.extend_from_slice(topic);
        })
        .ok_or(SendError::NoncesUsedUp)
    }

    /// Writes the command whose body `put` writes. `None`: the nonces are used up.
    pub(super) fn put_command(
        &mut self,
        out: &mut Output,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Option<()> {
        let State::Ready(link) = &mut self.state else { return Some(()) };
        let mut body = Vec::new();
        put(&mut body);
        out.write(|gathered| match link {
            Link::Null => {
                put_header(gathered, COMMAND, body.len());
                gathered.extend_from_slice(&body);
                Some(())
            }
            Link::Curve(session) => session.seal(session::COMMAND, &body, gathered),
        })
    }
}

#[inline]
fn put_frame(frame: Part<'_>, more: bool, out: &mut Output) {
    let flags = if more { MORE } else { 0 };
    let bytes = frame.bytes();
    match frame {
        Part::Shared(shared) if bytes.len() >= SHARE_FROM => {
            out.write(|gathered| put_header(gathered, flags, bytes.len()));
            out.share(shared.clone());
        }
        _ => out.write(|gathered| {
            gathered.reserve(MAX_HEADER + bytes.len());
            put_header(gathered, flags, bytes.len());
            gathered.extend_from_slice(bytes);
        }),
    }
}
