//! One connection, from the first octet to the last.
//!
//! ```text
//!             64 octets        READY, or              admit
//! Greeting ──────────────▶ Handshake ──INITIATE──▶ Asking ──▶ Admitted ──▶ Ready
//!                              └───────────────READY─────────────────────────▲
//!     any state ──error, refuse──▶ Ended
//! ```

mod alive;
mod send;
mod traffic;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use bytes::{Buf, BytesMut};

use crate::config::Config;
use crate::curve::session::Session;
use crate::error::{Error, NotAsked, Refusal};
use crate::event::Event;
use crate::handshake::{Handshake, Step, put_error, put_ready};
use crate::keys::Seed;
use crate::message::Unfinished;
use crate::output::Output;
use crate::peer::Peer;
use crate::time::Time;
use crate::wire::frame::Header;
use crate::wire::greeting::{self, Greeting};
use alive::Alive;

/// The state of one connection. It does no I/O: the driver reads into a buffer and calls [`receive`](Self::receive),
/// writes what is in the [`Output`], and calls [`tick`](Self::tick) when [`next_deadline`](Self::next_deadline) has come.
///
/// A connection keeps no buffer. Octets of a frame that has not all come stay in the driver's buffer.
pub struct Connection {
    config: Arc<Config>,
    state: State,
    unfinished: Unfinished,
    alive: Alive,
    /// Bytes that the last call of `receive` left in the driver's buffer.
    left: usize,
    /// Bytes that the frame at the beginning of them lacks.
    missing: usize,
    /// Bytes that the handshake may still have.
    handshake_bytes: usize,
    minor: u8,
    /// The driver reads the body of a frame. Whether more frames of the message follow.
    large: Option<bool>,
    ended: Option<Box<Error>>,
}

enum State {
    Greeting(Seed),
    Handshake(Handshake),
    Asking(Box<Session>, Box<Peer>),
    Admitted(Box<Session>, Box<Peer>),
    Ready(Link),
    Ended,
}

/// How frames travel.
enum Link {
    Null,
    Curve(Box<Session>),
}

impl Connection {
    /// Begins a connection, and writes the greeting. `seed` is for this connection alone.
    pub fn new(config: &Arc<Config>, seed: Seed, now: Time, out: &mut Output) -> Self {
        let greeting = greeting_of(config).encode();
        out.write(|gathered| gathered.extend_from_slice(&greeting));
        Connection {
            alive: Alive::new(now),
            state: State::Greeting(seed),
            unfinished: Unfinished::default(),
            left: 0,
            missing: 0,
            handshake_bytes: config.bounds().handshake_bytes,
            minor: 0,
            large: None,
            ended: None,
            config: Arc::clone(config),
        }
    }

    /// Reads `input` up to the next event, and removes what it has read. Call it until it returns `None`, then read more
    /// octets behind those that are left. Answers of the protocol itself (commands of the handshake, PONG) go to `out`.
    ///
    /// `now` counts as the time at which new octets have come.
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit, or refused. The connection has ended then: write `out`, which may have a
    /// last command, and close. Each further call returns the same error.
    pub fn receive(
        &mut self,
        now: Time,
        input: &mut BytesMut,
        out: &mut Output,
    ) -> Result<Option<Event>, Error> {
        if input.len() > self.left {
            self.alive.heard(now);
        }
        self.missing = 0;
        let event = self.advance(now, input, out);
        self.left = input.len();
        event.map_err(|error| self.end(error))
    }

    /// Bytes that the frame at the beginning of the driver's buffer still lacks. The driver reserves so much and reads a
    /// large frame into one buffer, from which it is handed out without a copy. 0: not known.
    ///
    /// A driver that does not call [`receive`](Self::receive) after each read of such a frame calls
    /// [`touch`](Self::touch), so that the peer does not count as silent meanwhile.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Bytes of the frames that the connection keeps of a message whose last frame has not come. What is in the driver's
    /// buffer is not counted.
    pub fn incomplete_bytes(&self) -> usize {
        self.unfinished.bytes()
    }

    /// Admits the peer of [`Event::Admission`], and writes READY. The next call of [`receive`](Self::receive) returns
    /// [`Event::Ready`], also with an empty buffer.
    ///
    /// # Errors
    ///
    /// No peer waits for admission.
    pub fn admit(&mut self, out: &mut Output) -> Result<(), NotAsked> {
        match core::mem::replace(&mut self.state, State::Ended) {
            State::Asking(mut session, peer) => {
                put_ready(&self.config, &mut session, out);
                self.state = State::Admitted(session, peer);
                Ok(())
            }
            other => {
                self.state = other;
                Err(NotAsked)
            }
        }
    }

    /// Refuses the peer of [`Event::Admission`]. Except for [`Refusal::Temporary`] this writes an ERROR with the code,
    /// which libzmq's clients report as a failed authentication. The connection has ended then: write `out` and close.
    ///
    /// # Errors
    ///
    /// No peer waits for admission.
    pub fn refuse(&mut self, refusal: Refusal, out: &mut Output) -> Result<(), NotAsked> {
        if !matches!(self.state, State::Asking(..)) {
            return Err(NotAsked);
        }
        if refusal != Refusal::Temporary {
            put_error(refusal.code(), out);
        }
        self.end(Error::NotAdmitted(refusal));
        Ok(())
    }

    /// Whether messages can be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Why the connection has ended. `None`: it has not.
    pub fn close_reason(&self) -> Option<&Error> {
        self.ended.as_deref()
    }

    fn advance(
        &mut self,
        now: Time,
        input: &mut BytesMut,
        out: &mut Output,
    ) -> Result<Option<Event>, Error> {
        loop {
            if self.is_ready() {
                return self.traffic(now, input, out);
            }
            match core::mem::replace(&mut self.state, State::Ended) {
                State::Greeting(seed) => {
                    let Some(minor) = greeting_of(&self.config).check(input)? else {
                        self.state = State::Greeting(seed);
                        return Ok(None);
                    };
                    input.advance(greeting::LEN);
                    self.minor = minor;
                    self.state = State::Handshake(Handshake::begin(&self.config, seed, out)?);
                }
                State::Handshake(handshake) => {
                    let Some(body) = self.handshake_command(input)? else {
                        self.state = State::Handshake(handshake);
                        return Ok(None);
                    };
                    match handshake.handle(&self.config, self.minor, &body, out)? {
                        Step::Next(next) => self.state = State::Handshake(next),
                        Step::Ask(session, peer) => {
                            let event = Event::Admission((*peer).clone());
                            self.state = State::Asking(session, peer);
                            return Ok(Some(event));
                        }
                        Step::Done(session, peer) => return Ok(Some(self.ready(session, *peer))),
                    }
                }
                State::Asking(session, peer) => {
                    self.state = State::Asking(session, peer);
                    return self.check_handshake(input.len()).map(|()| None);
                }
                State::Admitted(session, peer) => {
                    return Ok(Some(self.ready(Some(session), *peer)));
                }
                State::Ready(link) => self.state = State::Ready(link),
                State::Ended => return self.ended.as_deref().cloned().map_or(Ok(None), Err),
            }
        }
    }

    fn ready(&mut self, session: Option<Box<Session>>, peer: Peer) -> Event {
        self.state = State::Ready(session.map_or(Link::Null, Link::Curve));
        Event::Ready(peer)
    }

    /// Takes the next command of the handshake, if all of it is there.
    fn handshake_command(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, Error> {
        let Some(header) = Header::read(input)? else { return Ok(None) };
        if !header.command {
            return Err(Error::EarlyMessage);
        }
        let body = self.check_command(header.body)?;
        let frame = header.header.saturating_add(body);
        self.check_handshake(frame)?;
        if input.len() < frame {
            self.missing = frame - input.len();
            return Ok(None);
        }
        self.handshake_bytes -= frame;
        input.advance(header.header);
        Ok(Some(input.split_to(body)))
    }

    fn check_command(&self, bytes: u64) -> Result<usize, Error> {
        let limit = self.config.bounds().command_bytes;
        fitting(bytes, limit).ok_or(Error::CommandBytes { bytes, limit })
    }

    fn check_handshake(&self, bytes: usize) -> Result<(), Error> {
        let limit = self.config.bounds().handshake_bytes;
        if bytes <= self.handshake_bytes { Ok(()) } else { Err(Error::HandshakeBytes { limit }) }
    }

    /// Ends the connection. The first reason stays.
    fn end(&mut self, error: Error) -> Error {
        self.state = State::Ended;
        self.unfinished = Unfinished::default();
        (**self.ended.get_or_insert_with(|| Box::new(error))).clone()
    }
}

/// The length as a number of bytes in memory, if it is within the limit.
fn fitting(bytes: u64, limit: usize) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= limit)
}

fn greeting_of(config: &Config) -> Greeting {
    let mechanism = config.security();
    Greeting { mechanism: mechanism.name(), as_server: mechanism.is_server() }
}

/// Shows the state, and no keys.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Greeting(_) => "Greeting",
            State::Handshake(_) => "Handshake",
            State::Asking(..) => "Asking",
            State::Admitted(..) => "Admitted",
            State::Ready(_) => "Ready",
            State::Ended => "Ended",
        };
        let mut shown = f.debug_struct("Connection");
        shown.field("state", &state).field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thousands of them are idle.
    #[test]
    fn a_connection_is_small() {
        let session = size_of::<Session>();
        assert!(size_of::<Connection>() <= 256, "{} bytes", size_of::<Connection>());
        assert!(size_of::<Connection>() + session <= 640, "{session} bytes of a session");
    }
}
