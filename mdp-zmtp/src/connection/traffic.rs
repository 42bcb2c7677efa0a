//! Frames after the handshake.

use bytes::{Buf, Bytes, BytesMut};

use super::{Connection, Link, State, fitting};
use crate::curve::session;
use crate::error::{Command, Error, Excerpt};
use crate::event::Event;
use crate::message::Message;
use crate::output::Output;
use crate::time::Time;
use crate::wire::command::{check_pong, put_name, read_error, read_ping, split};
use crate::wire::frame::Header;

/// One frame, without what CURVE adds.
struct Frame {
    body: Bytes,
    more: bool,
    command: bool,
}

impl Connection {
    pub(super) fn traffic(
        &mut self,
        now: Time,
        input: &mut BytesMut,
        out: &mut Output,
    ) -> Result<Option<Event>, Error> {
        if self.large.is_some() {
            return Ok(None);
        }
        while let Some(frame) = self.next_frame(input)? {
            // What follows a PING in the same read counts as an answer to it.
            self.alive.heard(now);
            let event = match frame.command {
                true => self.command(now, frame.body, out)?,
                false => self.message(frame)?.map(Event::Message),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        self.unfinished.wait();
        Ok(None)
    }

    /// Gives the body of the frame at the beginning of `input` to the driver, if it has at least `least` bytes and not all
    /// of them are there: the header is removed, and all of `input` is the beginning of the body. Returns the bytes of the
    /// whole body. The driver reads them into a buffer of its own and hands them over with [`end_large`](Self::end_large).
    /// Until then [`receive`](Self::receive) returns nothing.
    ///
    /// Call it when [`receive`](Self::receive) has returned `None`. Under CURVE it returns `None`: a box is opened as a
    /// whole.
    pub fn begin_large(&mut self, input: &mut BytesMut, least: usize) -> Option<usize> {
        if !matches!(self.state, State::Ready(Link::Null)) || self.large.is_some() {
            return None;
        }
        let header = Header::read(input).ok().flatten()?;
        // Its limits were checked when it was received.
        let body = usize::try_from(header.body).ok()?;
        if header.command || body < least || input.len() >= header.header.saturating_add(body) {
            return None;
        }
        input.advance(header.header);
        (self.left, self.missing) = (input.len(), 0);
        self.large = Some(header.more);
        Some(body)
    }

    /// Hands over the body of the frame that [`begin_large`](Self::begin_large) gave to the driver: as many bytes as that
    /// returned.
    ///
    /// # Errors
    ///
    /// As of [`receive`](Self::receive).
    pub fn end_large(&mut self, now: Time, body: Bytes) -> Result<Option<Event>, Error> {
        let Some(more) = self.large.take() else { return Ok(None) };
        self.alive.heard(now);
        self.left = 0;
        let message = self.message(Frame { body, more, command: false });
        message.map(|message| message.map(Event::Message)).map_err(|error| self.end(error))
    }

    fn next_frame(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Error> {
        let Some(header) = Header::read(input)? else { return Ok(None) };
        let body = self.check_frame(header)?;
        let frame = header.header.saturating_add(body);
        if input.len() < frame {
            self.missing = frame - input.len();
            return Ok(None);
        }
        input.advance(header.header);
        let body = input.split_to(body);
        let State::Ready(link) = &mut self.state else { return Ok(None) };
        Ok(Some(match link {
            Link::Null => Frame { body: body.freeze(), more: header.more, command: header.command },
            Link::Curve(session) => {
                let (flags, body) = session.open(body)?;
                let more = flags & session::MORE != 0;
                Frame { body: body.freeze(), more, command: flags & session::COMMAND != 0 }
            }
        }))
    }

    /// Checks a header before anything is stored for it. Returns the length of the body on the wire.
    fn check_frame(&self, header: Header) -> Result<usize, Error> {
        let limits = self.config.bounds();
        let is_sealed = matches!(&self.state, State::Ready(Link::Curve(_)));
        // CURVE has all that counts in its box, so a MESSAGE has no flags of its own. The RFCs call it a command, libzmq
        // sends it without that mark: both are read.
        if is_sealed && header.more {
            return Err(Error::Flags { flags: crate::wire::frame::MORE });
        }
        if header.command && !is_sealed {
            return self.check_command(header.body);
        }
        let overhead = if is_sealed { session::OVERHEAD } else { 0 };
        let bytes = header.body.saturating_sub(overhead as u64);
        let limit = limits.frame_bytes;
        let Some(body) = fitting(bytes, limit) else {
            return Err(Error::FrameBytes { bytes, limit });
        };
        // A box may have a command, which can stand between the frames of a message.
        let may_be_command = is_sealed && body <= limits.command_bytes;
        if !may_be_command {
            self.check_message(body)?;
        }
        // At most `limit` and the overhead, so it fits.
        usize::try_from(header.body).map_err(|_| Error::FrameBytes { bytes, limit })
    }

    /// Checks the limits of a message that gets one more frame.
    fn check_message(&self, body: usize) -> Result<(), Error> {
        let limits = self.config.bounds();
        if self.unfinished.count() >= limits.message_frames {
            return Err(Error::MessageFrames { limit: limits.message_frames });
        }
        match self.unfinished.bytes().checked_add(body) {
            Some(bytes) if bytes <= limits.message_bytes => Ok(()),
            _ => Err(Error::MessageBytes { limit: limits.message_bytes }),
        }
    }

    fn message(&mut self, frame: Frame) -> Result<Option<Message>, Error> {
        self.check_message(frame.body.len())?;
        Ok(self.unfinished.push(frame.body, frame.more))
    }

    fn command(
        &mut self,
        now: Time,
        body: Bytes,
        out: &mut Output,
    ) -> Result<Option<Event>, Error> {
        let unknown = |name| Err(Error::UnknownCommand { name });
        self.check_command(body.len() as u64)?;
        let (name, data) = match split(&body) {
            Ok(known) => known,
            Err(name) => return unknown(name),
        };
        let has_subscribers = self.config.socket_type().has_subscribers();
        match name {
            Command::Ping => {
                let (ttl, context) = read_ping(data)?;
                self.alive.must_be_heard_within(now, u64::from(ttl) * 100);
                self.put_command(out, |body| {
                    put_name(body, Command::Pong);
                    body.extend_from_slice(context);
                })
                .ok_or(Error::NoncesUsedUp)?;
                Ok(None)
            }
            Command::Pong => check_pong(data).map(|()| None),
            Command::Subscribe if has_subscribers => {
                Ok(Some(Event::Subscribe(body.slice_ref(data))))
            }
            Command::Cancel if has_subscribers => Ok(Some(Event::Cancel(body.slice_ref(data)))),
            Command::Error => Err(Error::Refused { reason: read_error(data)? }),
            other => unknown(Excerpt::of(other.name().as_bytes())),
        }
    }
}
