//! Classic MDP: the frames of MDP/0.1 (RFC 7) and MDP/0.2 (RFC 18).
//!
//! The writer follows the RFCs strictly. The reader accepts one deviation: an empty frame before a message of MDP/0.2,
//! which many programs send. [`Form`] records it, so a peer gets answers in its own form.

use crate::limits::{Limit, Limits};

/// The two dialects of classic MDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MDP/0.1, RFC 7: one reply to a request.
    V01,
    /// MDP/0.2, RFC 18: any number of partial replies, then a final one.
    V02,
}

/// The form of a peer's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// The dialect.
    pub dialect: Dialect,
    /// Each message begins with an empty frame: always in MDP/0.1, and in MDP/0.2 if the peer sends it.
    pub delimiter: bool,
}

impl Form {
    /// The form of RFC 7.
    pub const V01: Form = Form { dialect: Dialect::V01, delimiter: true };
    /// The form of RFC 18.
    pub const V02: Form = Form { dialect: Dialect::V02, delimiter: false };
}

/// The kind of peer in a conversation with the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// A client, `MDPC01` or `MDPC02`.
    Client,
    /// A worker, `MDPW01` or `MDPW02`.
    Worker,
}

/// A command of classic MDP, without the body that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A client's request to the broker.
    Request {
        /// The service that the client calls.
        service: &'a [u8],
    },
    /// A reply to a client.
    Reply {
        /// The service that the client called.
        service: &'a [u8],
        /// Whether this is the last reply; always true in MDP/0.1.
        last: bool,
    },
    /// A worker offers a service.
    Ready {
        /// The service.
        service: &'a [u8],
    },
    /// A request to a worker.
    Task {
        /// The address that the worker has to send back with each answer. It has no meaning to the worker.
        address: &'a [u8],
    },
    /// A worker's reply.
    Answer {
        /// The address of the request.
        address: &'a [u8],
        /// Whether this is the last reply; always true in MDP/0.1.
        last: bool,
    },
    /// The sender is alive.
    Heartbeat,
    /// The session is over.
    Disconnect,
}

impl Command<'_> {
    /// Whether the broker receives this command. Otherwise only the broker sends it. HEARTBEAT and DISCONNECT go both
    /// ways.
    pub const fn is_for_broker(&self) -> bool {
        !matches!(self, Command::Reply { .. } | Command::Task { .. })
    }
}

/// A received message of classic MDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The form of the message.
    pub form: Form,
    /// The side of the conversation, client or worker.
    pub side: Side,
    /// The command.
    pub command: Command<'a>,
    /// The number of the frame at which the body begins. The message may have no body.
    pub body: usize,
}

/// The reader of a message. In MDP/0.1 a client's request and the reply to it look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The broker.
    Broker,
    /// A client or a worker.
    Peer,
}

/// Why a message is not valid classic MDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassicError {
    /// Its first frames are not those of MDP/0.1 or MDP/0.2.
    #[error(
        "the message begins neither with MDPC01, MDPW01 (behind an empty frame), MDPC02 nor MDPW02"
    )]
    Signature,
    /// The message belongs to this side and is invalid.
    #[error("the message of {form:?} is wrong: {fault}")]
    Wrong {
        /// The form of the message.
        form: Form,
        /// The side of the conversation, client or worker.
        side: Side,
        /// The fault of the message.
        fault: Fault,
    },
}

/// A fault of a message of classic MDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A frame is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The frame of the command is not one byte long.
    #[error("the frame of the command has {0} bytes, not 1")]
    CommandLength(usize),
    /// The command's number is unknown.
    #[error("{0:#04x} is no command")]
    UnknownCommand(u8),
    /// The reader does not accept this command.
    #[error("command {0:#04x} goes the other way")]
    WrongWay(u8),
    /// An address is not followed by an empty frame.
    #[error("the client's address is not followed by an empty frame")]
    Delimiter,
    /// A command without a body is followed by frames.
    #[error("{0} frames follow a command that has none")]
    SpareFrames(usize),
    /// The message is beyond a limit.
    #[error("the message is beyond the limit {0}")]
    TooMuch(Limit),
}

/// Whether a message with these first frames may be classic MDP.
pub fn is_classic(first: &[u8], second: Option<&[u8]>) -> bool {
    let signature = if first.is_empty() { second.unwrap_or_default() } else { first };
    side_of(signature).is_some()
}

/// Reads the frames of a message. Bodies are not read.
///
/// ```
/// use mdp_protocol::Limits;
/// use mdp_protocol::wire::classic::{Command, Form, Reader, read};
/// let frames: [&[u8]; 4] = [b"MDPC02", b"\x01", b"echo", b"hi"];
/// let message = read(Reader::Broker, &frames, &Limits::default()).unwrap();
/// assert_eq!(message.form, Form::V02);
/// assert_eq!(message.command, Command::Request { service: b"echo" });
/// assert_eq!(message.body, 3);
/// ```
///
/// # Errors
///
/// The fault of the message and, where it is known, its form and its side.
pub fn read<'a, F: AsRef<[u8]>>(
    reader: Reader,
    frames: &'a [F],
    limits: &Limits,
) -> Result<Message<'a>, ClassicError> {
    let mut frames = Frames { frames, at: 0 };
    let mut signature = frames.next().unwrap_or_default();
    let delimiter = signature.is_empty();
    if delimiter {
        signature = frames.next().unwrap_or_default();
    }
    let (side, dialect) = side_of(signature).ok_or(ClassicError::Signature)?;
    if dialect == Dialect::V01 && !delimiter {
        // RFC 7 K2: a DEALER adds the empty frame that a REQ would.
        return Err(ClassicError::Signature);
    }
    let form = Form { dialect, delimiter };
    let command = check_size(&frames, limits)
        .and_then(|()| read_command(reader, side, dialect, &mut frames))
        .map_err(|fault| ClassicError::Wrong { form, side, fault })?;
    if frames.frames.len() - frames.at > limits.body_frames() {
        return Err(ClassicError::Wrong { form, side, fault: Fault::TooMuch(Limit::Frames) });
    }
    // As the body would travel in a record (wire.md R85): it may have to.
    let body = frames.frames.get(frames.at..).unwrap_or_default();
    let bytes =
        body.iter().fold(0_usize, |sum, frame| sum.saturating_add(4 + frame.as_ref().len()));
    if bytes > limits.frame_bytes {
        return Err(ClassicError::Wrong { form, side, fault: Fault::TooMuch(Limit::FrameBytes) });
    }
    Ok(Message { form, side, command, body: frames.at })
}

/// Calls the function with the frames of a command, one after another. The caller has to append the body.
pub fn put(form: Form, command: Command<'_>, mut frame: impl FnMut(&[u8])) {
    if form.delimiter {
        frame(b"");
    }
    let (side, number) = number_of(form.dialect, command);
    frame(signature(side, form.dialect));
    if let Some(number) = number {
        frame(&[number]);
    }
    match command {
        Command::Request { service }
        | Command::Reply { service, .. }
        | Command::Ready { service } => {
            frame(service);
        }
        Command::Task { address } | Command::Answer { address, .. } => {
            frame(address);
            frame(b"");
        }
        Command::Heartbeat | Command::Disconnect => {}
    }
}

struct Frames<'a, F> {
    frames: &'a [F],
    at: usize,
}

impl<'a, F: AsRef<[u8]>> Frames<'a, F> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let frame = self.frames.get(self.at)?;
        self.at += 1;
        Some(frame.as_ref())
    }

    fn need(&mut self, what: &'static str) -> Result<&'a [u8], Fault> {
        self.next().ok_or(Fault::Missing(what))
    }
}

fn check_size<F: AsRef<[u8]>>(frames: &Frames<'_, F>, limits: &Limits) -> Result<(), Fault> {
    if frames.frames.len() > limits.frames {
        return Err(Fault::TooMuch(Limit::Frames));
    }
    if frames.frames.iter().any(|frame| frame.as_ref().len() > limits.frame_bytes) {
        return Err(Fault::TooMuch(Limit::FrameBytes));
    }
    Ok(())
}

fn side_of(signature: &[u8]) -> Option<(Side, Dialect)> {
    match signature {
        b"MDPC01" => Some((Side::Client, Dialect::V01)),
        b"MDPC02" => Some((Side::Client, Dialect::V02)),
        b"MDPW01" => Some((Side::Worker, Dialect::V01)),
        b"MDPW02" => Some((Side::Worker, Dialect::V02)),
        _ => None,
    }
}

fn signature(side: Side, dialect: Dialect) -> &'static [u8] {
    match (side, dialect) {
        (Side::Client, Dialect::V01) => b"MDPC01",
        (Side::Client, Dialect::V02) => b"MDPC02",
        (Side::Worker, Dialect::V01) => b"MDPW01",
        (Side::Worker, Dialect::V02) => b"MDPW02",
    }
}

fn read_command<'a, F: AsRef<[u8]>>(
    reader: Reader,
    side: Side,
    dialect: Dialect,
    frames: &mut Frames<'a, F>,
) -> Result<Command<'a>, Fault> {
    if let (Side::Client, Dialect::V01) = (side, dialect) {
        // RFC 7 F1: no frame for the command; the way tells which it is.
        let service = frames.need("the service")?;
        return Ok(match reader {
            Reader::Broker => Command::Request { service },
            Reader::Peer => Command::Reply { service, last: true },
        });
    }
    let number = match frames.need("the command")? {
        [number] => *number,
        other => return Err(Fault::CommandLength(other.len())),
    };
    let command = match (side, dialect, number) {
        (Side::Client, _, 1) => Command::Request { service: frames.need("the service")? },
        (Side::Client, _, 2 | 3) => {
            Command::Reply { service: frames.need("the service")?, last: number == 3 }
        }
        (Side::Worker, _, 1) => Command::Ready { service: frames.need("the service")? },
        (Side::Worker, _, 2) => Command::Task { address: address(frames)? },
        (Side::Worker, Dialect::V01, 3) | (Side::Worker, Dialect::V02, 4) => {
            Command::Answer { address: address(frames)?, last: true }
        }
        (Side::Worker, Dialect::V02, 3) => {
            Command::Answer { address: address(frames)?, last: false }
        }
        (Side::Worker, Dialect::V01, 4) | (Side::Worker, Dialect::V02, 5) => Command::Heartbeat,
        (Side::Worker, Dialect::V01, 5) | (Side::Worker, Dialect::V02, 6) => Command::Disconnect,
        _ => return Err(Fault::UnknownCommand(number)),
    };
    let spare = frames.frames.len() - frames.at;
    let bare = matches!(command, Command::Ready { .. } | Command::Heartbeat | Command::Disconnect);
    if bare && spare > 0 {
        return Err(Fault::SpareFrames(spare)); // RFC 7 F2, F4, F5
    }
    let either = matches!(command, Command::Heartbeat | Command::Disconnect);
    if !either && command.is_for_broker() != (reader == Reader::Broker) {
        return Err(Fault::WrongWay(number));
    }
    Ok(command)
}

/// RFC 7 and RFC 18 F8: one address, then an empty frame.
fn address<'a, F: AsRef<[u8]>>(frames: &mut Frames<'a, F>) -> Result<&'a [u8], Fault> {
    let address = frames.need("the client's address")?;
    match frames.need("the empty frame behind the address")? {
        [] => Ok(address),
        _ => Err(Fault::Delimiter),
    }
}

fn number_of(dialect: Dialect, command: Command<'_>) -> (Side, Option<u8>) {
    let second = dialect == Dialect::V02;
    match command {
        Command::Request { .. } => (Side::Client, second.then_some(1)),
        Command::Reply { last, .. } => (Side::Client, second.then_some(if last { 3 } else { 2 })),
        Command::Ready { .. } => (Side::Worker, Some(1)),
        Command::Task { .. } => (Side::Worker, Some(2)),
        Command::Answer { last, .. } => (Side::Worker, Some(if second && last { 4 } else { 3 })),
        Command::Heartbeat => (Side::Worker, Some(if second { 5 } else { 4 })),
        Command::Disconnect => (Side::Worker, Some(if second { 6 } else { 5 })),
    }
}
