//! The handshake after the greeting: which command comes next, and what it leads to.
//!
//! ```text
//! NULL            Null ──READY──▶ done
//! CURVE server    Hello ──HELLO──▶ Initiate ──INITIATE──▶ asks for admission ──▶ done
//! CURVE client    Welcome ──WELCOME──▶ Ready ──READY──▶ done
//! ```
//!
//! Any other command is an error, a second HELLO or INITIATE too.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::config::{Config, Mechanism};
use crate::curve::client::{self, Greeted, Introduced};
use crate::curve::server::{self, Welcomed};
use crate::curve::session::Session;
use crate::error::{Command, Error, Excerpt};
use crate::keys::Seed;
use crate::output::Output;
use crate::peer::Peer;
use crate::wire::frame::{COMMAND, put_header};
use crate::wire::{command, metadata};

/// The next command that must come.
pub(crate) enum Handshake {
    Null,
    Hello(Seed),
    Initiate(Welcomed),
    Welcome(Greeted),
    Ready(Introduced),
}

/// What a command leads to.
pub(crate) enum Step {
    Next(Handshake),
    /// The peer waits for admission.
    Ask(Box<Session>, Box<Peer>),
    /// The connection is ready. With CURVE it has a session.
    Done(Option<Box<Session>>, Box<Peer>),
}

/// What the peer reads about a socket type that does not fit.
const WRONG_TYPE: &str = "socket-type-does-not-fit";

impl Handshake {
    /// Begins when the greeting is over, and writes the first command of this side.
    pub(crate) fn begin(config: &Config, seed: Seed, out: &mut Output) -> Result<Self, Error> {
        match config.security() {
            Mechanism::Null => {
                put_command(out, |body| {
                    command::put_name(body, Command::Ready);
                    put_metadata(config, body);
                });
                Ok(Handshake::Null)
            }
            Mechanism::CurveServer(_) => Ok(Handshake::Hello(seed)),
            Mechanism::CurveClient { server, .. } => {
                put_command(out, |body| client::hello(server, seed, body)).map(Handshake::Welcome)
            }
        }
    }

    /// Handles the body of the next command.
    pub(crate) fn handle(
        self,
        config: &Config,
        minor: u8,
        body: &[u8],
        out: &mut Output,
    ) -> Result<Step, Error> {
        let (name, data) = match command::split(body) {
            Ok(known) => known,
            Err(name) => return Err(Error::Unexpected { name, expected: self.expected() }),
        };
        match (self, name, config.security()) {
            (Handshake::Null, Command::Ready, _) => {
                let peer = Peer::read(config, name, data, None, minor);
                let peer = peer.inspect_err(|error| refuse_type(error, out))?;
                Ok(Step::Done(None, Box::new(peer)))
            }
            (Handshake::Hello(seed), Command::Hello, Mechanism::CurveServer(own)) => {
                put_command(out, |body| server::welcome(own, seed, data, body))
                    .map(|welcomed| Step::Next(Handshake::Initiate(welcomed)))
            }
            (Handshake::Initiate(server), Command::Initiate, Mechanism::CurveServer(own)) => {
                let client = server.initiate(own, data)?;
                let peer = Peer::read(config, name, &client.metadata, Some(client.key), minor);
                let peer = peer.inspect_err(|error| refuse_type(error, out))?;
                Ok(Step::Ask(client.session, Box::new(peer)))
            }
            (
                Handshake::Welcome(client),
                Command::Welcome,
                Mechanism::CurveClient { own, server },
            ) => {
                let mut properties = Vec::new();
                put_metadata(config, &mut properties);
                put_command(out, |body| client.initiate(own, server, data, &properties, body))
                    .map(|introduced| Step::Next(Handshake::Ready(introduced)))
            }
            (Handshake::Ready(client), Command::Ready, Mechanism::CurveClient { server, .. }) => {
                let (session, properties) = client.ready(data)?;
                let peer = Peer::read(config, name, &properties, Some(*server), minor)?;
                Ok(Step::Done(Some(session), Box::new(peer)))
            }
            // RFC 26: a client does not send ERROR to a server.
            (Handshake::Null | Handshake::Welcome(_) | Handshake::Ready(_), Command::Error, _) => {
                Err(Error::Refused { reason: command::read_error(data)? })
            }
            (handshake, name, _) => {
                let name = Excerpt::of(name.name().as_bytes());
                Err(Error::Unexpected { name, expected: handshake.expected() })
            }
        }
    }

    fn expected(&self) -> &'static str {
        match self {
            Handshake::Null | Handshake::Ready(_) => Command::Ready.name(),
            Handshake::Hello(_) => Command::Hello.name(),
            Handshake::Initiate(_) => Command::Initiate.name(),
            Handshake::Welcome(_) => Command::Welcome.name(),
        }
    }
}

/// Writes the READY of a server that has admitted its peer.
pub(crate) fn put_ready(config: &Config, session: &mut Session, out: &mut Output) {
    let mut properties = Vec::new();
    put_metadata(config, &mut properties);
    put_command(out, |body| session.put_ready(&mut properties, body));
}

/// Writes an ERROR.
pub(crate) fn put_error(reason: &str, out: &mut Output) {
    put_command(out, |body| command::put_error(body, reason));
}

/// Tells a peer that its socket type does not fit (RFC 37, "The Socket-Type Property").
fn refuse_type(error: &Error, out: &mut Output) {
    if matches!(error, Error::SocketType { .. }) {
        put_error(WRONG_TYPE, out);
    }
}

fn put_metadata(config: &Config, out: &mut Vec<u8>) {
    metadata::put(out, config.socket_type().name(), config.announced());
}

/// Writes the frame of a command whose body `put` writes.
fn put_command<R>(out: &mut Output, put: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut body = Vec::new();
    let result = put(&mut body);
    if !body.is_empty() {
        out.write(|gathered| {
            put_header(gathered, COMMAND, body.len());
            gathered.extend_from_slice(&body);
        });
    }
    result
}
