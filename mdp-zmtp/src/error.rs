//! What ends a connection: what was wrong, where, and what to do about it.

use alloc::boxed::Box;
use core::fmt;

use crate::socket_type::SocketType;

/// Why a connection ended. Each text says what was wrong and, where it is known, what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The signature is not that of ZMTP 2.0 or later.
    #[error(
        "octet {at} of the greeting is {octet:#04x}, which is not ZMTP 2.0 or later; check the port, and that a \
         ZeroMQ peer connects to it"
    )]
    NotZmtp {
        /// The position in the greeting, from 0.
        at: usize,
        /// The octet that came.
        octet: u8,
    },
    /// The peer speaks a version before 3.0.
    #[error(
        "the peer speaks ZMTP {}, and 3.0 is the oldest version that is served; give the peer a newer ZeroMQ library \
         (libzmq 4.0 or later)",
        old_version(*.revision)
    )]
    OldVersion {
        /// The version as the peer encodes it: 0 is 1.0, 1 is 2.0.
        revision: u8,
    },
    /// The two sides have different security mechanisms.
    #[error(
        "the peer's mechanism is `{theirs}`, and this side has {ours}; set up both sides with CURVE, or both without"
    )]
    Mechanism {
        /// The mechanism of this side.
        ours: &'static str,
        /// The octets of the peer's mechanism that have come.
        theirs: Excerpt,
    },
    /// The greeting has an octet that its version does not allow.
    #[error(
        "octet {at} of the greeting is {octet:#04x}, which ZMTP 3.0 and 3.1 do not allow there"
    )]
    Greeting {
        /// The position in the greeting, from 0.
        at: usize,
        /// The octet that came.
        octet: u8,
    },
    /// Both sides are the server of CURVE.
    #[error(
        "both sides are CURVE servers; set up the side that connects as a client, with the server's public key"
    )]
    BothServers,
    /// The first octet of a frame is invalid.
    #[error(
        "a frame has the flags {flags:#04x}, which ZMTP 3.1 does not define; the stream is damaged"
    )]
    Flags {
        /// The octet that came.
        flags: u8,
    },
    /// A frame of a message came before the handshake was over.
    #[error("the peer sent a message before the handshake was over")]
    EarlyMessage,
    /// A command came that is not the next one.
    #[error("the peer sent the command `{name}`, and {expected} was expected")]
    Unexpected {
        /// The name of the command.
        name: Excerpt,
        /// What was expected in its place.
        expected: &'static str,
    },
    /// A command cannot be read.
    #[error("the peer's {command} is malformed: {fault}")]
    Malformed {
        /// The command.
        command: Command,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A box of CURVE does not open.
    #[error("the peer's {command} does not open: {}", advice(*.command))]
    Box {
        /// The command with the box.
        command: Command,
    },
    /// A short nonce of CURVE does not rise.
    #[error(
        "the peer's {command} has the nonce {nonce} after {last}: it was replayed, or the peer is broken"
    )]
    Nonce {
        /// The command.
        command: Command,
        /// The nonce that came.
        nonce: u64,
        /// The last one before.
        last: u64,
    },
    /// All nonces of one direction are used up. A new connection has new ones.
    #[error("all nonces of the connection are used up; connect again")]
    NoncesUsedUp,
    /// The socket types may not be connected.
    #[error(
        "a {ours} does not take a peer of the type `{theirs}`; change the type of one side, or the endpoint"
    )]
    SocketType {
        /// The type of this side.
        ours: SocketType,
        /// The peer's type.
        theirs: Excerpt,
    },
    /// The peer refused the connection with an ERROR command.
    #[error("the peer refused the connection: {reason}{}", refusal(.reason))]
    Refused {
        /// The peer's reason: text, or one of ZAP's codes. See [`Error::refusal`].
        reason: Excerpt,
    },
    /// This side refused the peer: [`Connection::refuse`](crate::Connection::refuse).
    #[error("the peer was refused with {0}")]
    NotAdmitted(Refusal),
    /// The handshake took too long.
    #[error(
        "the handshake was not over after {ms} ms; the peer may have another mechanism, or be no ZeroMQ peer"
    )]
    HandshakeTime {
        /// [`Limits::handshake_ms`](crate::Limits::handshake_ms).
        ms: u64,
    },
    /// The handshake has too many bytes.
    #[error(
        "the handshake has more than {limit} bytes; raise `handshake_bytes` if the peer is to be served"
    )]
    HandshakeBytes {
        /// [`Limits::handshake_bytes`](crate::Limits::handshake_bytes).
        limit: usize,
    },
    /// A command is too long.
    #[error(
        "a command of {bytes} bytes exceeds the limit of {limit}; raise `command_bytes` if it is to be read"
    )]
    CommandBytes {
        /// The announced length.
        bytes: u64,
        /// [`Limits::command_bytes`](crate::Limits::command_bytes).
        limit: usize,
    },
    /// A frame is too long.
    #[error(
        "a frame of {bytes} bytes exceeds the limit of {limit}; send less, or raise `frame_bytes`"
    )]
    FrameBytes {
        /// The announced length.
        bytes: u64,
        /// [`Limits::frame_bytes`](crate::Limits::frame_bytes).
        limit: usize,
    },
    /// A message has too many frames.
    #[error("a message has more than {limit} frames; send fewer, or raise `message_frames`")]
    MessageFrames {
        /// [`Limits::message_frames`](crate::Limits::message_frames).
        limit: usize,
    },
    /// The frames of a message are too long together.
    #[error("a message has more than {limit} bytes; send less, or raise `message_bytes`")]
    MessageBytes {
        /// [`Limits::message_bytes`](crate::Limits::message_bytes).
        limit: usize,
    },
    /// A command came that ZMTP 3.1 does not have, or not for this socket type.
    #[error("the peer sent the command `{name}`, which is unknown here")]
    UnknownCommand {
        /// The name of the command.
        name: Excerpt,
    },
    /// The peer sent nothing, although it was asked with PING.
    #[error("the peer sent nothing for {ms} ms after a PING; it hangs, or the network is down")]
    Silent {
        /// [`Heartbeat::timeout_ms`](crate::Heartbeat::timeout_ms).
        ms: u64,
    },
    /// The peer sent nothing within the time that its own PING promised.
    #[error(
        "the peer sent nothing within the {ms} ms that its PING announced; it hangs, or the network is down"
    )]
    Expired {
        /// The peer's TTL.
        ms: u64,
    },
}

impl Error {
    /// The refusal of the peer, if the connection ended with an ERROR command that has one of ZAP's codes.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Error::Refused { reason } => Refusal::from_code(reason.as_bytes()),
            _ => None,
        }
    }

    pub(crate) fn malformed(command: Command, fault: Fault) -> Self {
        Error::Malformed { command, fault }
    }
}

fn old_version(revision: u8) -> &'static str {
    match revision {
        0 => "1.0",
        1 => "2.0",
        _ => "2.1",
    }
}

/// What a box that does not open means most often.
fn advice(command: Command) -> &'static str {
    match command {
        Command::Hello => "the peer uses another public key of this server; give it the right one",
        Command::Welcome => {
            "this side has another public key than the server's; give it the right one"
        }
        _ => "it was changed on its way, or the peer is broken",
    }
}

fn refusal(reason: &Excerpt) -> &'static str {
    match Refusal::from_code(reason.as_bytes()) {
        Some(Refusal::Temporary) => " (a temporary failure; try again later)",
        Some(Refusal::Denied) => {
            " (the server does not admit this key; add it to the server's list)"
        }
        Some(Refusal::Failed) => " (the server could not decide; look into its log)",
        None => "",
    }
}

/// A command of ZMTP or CurveZMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// READY: the last command of the handshake.
    Ready,
    /// ERROR: the peer refuses.
    Error,
    /// HELLO: a CURVE client's first command.
    Hello,
    /// WELCOME: a CURVE server's answer to HELLO.
    Welcome,
    /// INITIATE: a CURVE client says which key it has.
    Initiate,
    /// MESSAGE: one frame in a box of CURVE.
    Message,
    /// PING: a question whether the peer is alive.
    Ping,
    /// PONG: the answer to PING.
    Pong,
    /// SUBSCRIBE: a subscriber wants a topic.
    Subscribe,
    /// CANCEL: a subscriber wants a topic no longer.
    Cancel,
}

impl Command {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Command::Ready => "READY",
            Command::Error => "ERROR",
            Command::Hello => "HELLO",
            Command::Welcome => "WELCOME",
            Command::Initiate => "INITIATE",
            Command::Message => "MESSAGE",
            Command::Ping => "PING",
            Command::Pong => "PONG",
            Command::Subscribe => "SUBSCRIBE",
            Command::Cancel => "CANCEL",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It has another length than it must have.
    Length,
    /// Its CurveZMQ version is not 1.0.
    Version,
    /// Its padding has an octet that is not zero.
    Padding,
    /// A property has an invalid name.
    PropertyName,
    /// A property's value is longer than the command.
    PropertyValue,
    /// It has the same property twice.
    Twice,
    /// It has no Socket-Type.
    NoSocketType,
    /// Its identity is longer than 255 octets, or begins with a zero.
    Identity,
    /// Its vouch is for another connection or another server.
    Vouch,
    /// It has the flags of a frame that do not exist.
    Flags,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Length => "its length is wrong",
            Fault::Version => "its CurveZMQ version is not 1.0",
            Fault::Padding => "its padding is not zero",
            Fault::PropertyName => "a property has an invalid name",
            Fault::PropertyValue => "a property's value does not end within the command",
            Fault::Twice => "it has a property twice",
            Fault::NoSocketType => "it has no Socket-Type",
            Fault::Identity => "its Identity has more than 255 octets, or begins with a zero",
            Fault::Vouch => "its vouch is for another connection or another server",
            Fault::Flags => "its flags are unknown",
        })
    }
}

/// Why a server refuses a peer: a code of ZAP (RFC 27), as it travels in ERROR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 300: a temporary failure. The peer may try again. No ERROR is sent for it: the connection is closed, as libzmq
    /// does, since libzmq's clients take every ERROR for final.
    Temporary,
    /// 400: the peer is not admitted.
    Denied,
    /// 500: the server could not decide.
    Failed,
}

impl Refusal {
    /// The three digits on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Refusal::Temporary => "300",
            Refusal::Denied => "400",
            Refusal::Failed => "500",
        }
    }

    fn from_code(code: &[u8]) -> Option<Refusal> {
        let all = [Refusal::Temporary, Refusal::Denied, Refusal::Failed];
        all.into_iter().find(|refusal| refusal.code().as_bytes() == code)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Up to 255 octets that a peer sent. `Display` escapes what is not printable ASCII, so that a peer cannot write a log
/// line of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt(Box<[u8]>);

const MAX_EXCERPT: usize = 255;

impl Excerpt {
    pub(crate) fn of(octets: &[u8]) -> Self {
        Excerpt(octets.get(..MAX_EXCERPT).unwrap_or(octets).into())
    }

    /// The octets as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The handshake is not over.
    #[error("the connection is not ready; send after the event `Ready`")]
    NotReady,
    /// A message has at least one frame.
    #[error("a message without a frame cannot be sent; send one empty frame")]
    NoFrame,
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
    /// All nonces are used up.
    #[error("all nonces of the connection are used up; connect again")]
    NoncesUsedUp,
}

/// The error of [`Connection::admit`](crate::Connection::admit) and [`Connection::refuse`](crate::Connection::refuse) on
/// a connection that waits for no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no peer waits for admission on this connection")]
pub struct NotAsked;

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn texts_escape_what_the_peer_sent_and_say_what_to_do() {
        let refused = Error::Refused { reason: Excerpt::of(b"400") };
        assert_eq!(refused.refusal(), Some(Refusal::Denied));
        assert_eq!(
            refused.to_string(),
            "the peer refused the connection: 400 (the server does not admit this key; add it to the server's list)"
        );
        let text = Error::Refused { reason: Excerpt::of(b"no\n\x1b[31m") };
        assert_eq!(text.to_string(), "the peer refused the connection: no\\n\\x1b[31m");
        assert_eq!(text.refusal(), None);
        assert_eq!(Excerpt::of(&[b'a'; 300]).as_bytes().len(), 255);
        assert!(Error::OldVersion { revision: 1 }.to_string().contains("ZMTP 2.0"));
    }
}
