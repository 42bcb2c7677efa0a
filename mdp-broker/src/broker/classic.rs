//! Classic MDP messages between the broker's socket and its state machine.

use bytes::Bytes;
use mdp_protocol::Limits;
use mdp_protocol::broker::{Content, FromClassic, Incoming, ToClassic};
use mdp_protocol::wire::classic::{self, ClassicError, Command, Form, Reader};
use mdp_protocol::wire::{Head, Record, tunnel};

use super::outbox::Failure;
use super::unread::{Account, cost};
use crate::listing;
use mdp_call::body::{Body, Packer};
use mdp_transport::{Frame, InPacket, Router};

/// A received message.
pub(super) struct Read {
    pub(super) form: Form,
    said: Said,
}

enum Said {
    Request { service: Frame, body: Vec<Bytes>, tunnel: Option<Tunnel> },
    Ready { service: Frame },
    Answer { address: Frame, last: bool, body: Vec<Bytes>, tunnel: Option<Tunnel> },
    Heartbeat,
    Disconnect,
}

/// The commands whose head has a name.
enum Kind {
    Request,
    Ready,
    Answer { last: bool },
}

/// A body that contains one record.
struct Tunnel {
    body: InPacket,
    head: Head,
}

impl Tunnel {
    fn read(body: &[Bytes], limits: &Limits) -> Option<Self> {
        let head = tunnel::read(body, limits)?;
        let (first, frames) = body.split_first()?;
        Some(Tunnel { body: InPacket { first: first.clone(), frames: frames.to_vec() }, head })
    }

    fn record(&self) -> Option<Record<&[u8], Body>> {
        let InPacket { first: packet, frames } = &self.body;
        Record::read(&self.head, packet, |head| Body::of(head, packet, frames)).ok()
    }
}

/// Reads a message, and takes its frames.
pub(super) fn read(frames: &mut Vec<Frame>, limits: &Limits) -> Result<Read, ClassicError> {
    let message = classic::read(Reader::Broker, frames, limits)?;
    let classic::Message { form, command, body, .. } = message;
    let kind = match command {
        Command::Request { .. } => Kind::Request,
        Command::Ready { .. } => Kind::Ready,
        Command::Answer { last, .. } => Kind::Answer { last },
        Command::Heartbeat => return Ok(Read { form, said: Said::Heartbeat }),
        Command::Disconnect => return Ok(Read { form, said: Said::Disconnect }),
        // `read` refuses these commands at a broker.
        Command::Reply { .. } | Command::Task { .. } => return Err(ClassicError::Signature),
    };
    let body: Vec<Bytes> = frames.drain(body..).map(Frame::into_bytes).collect();
    // A service's name is the last frame of the head; after an address comes an empty frame.
    let behind = usize::from(matches!(kind, Kind::Answer { .. }));
    let name = frames.drain(..).rev().nth(behind).ok_or(ClassicError::Signature)?;
    let said = match kind {
        Kind::Request => {
            let tunnel =
                Tunnel::read(&body, limits).filter(|found| tunnel::is_request(&found.head));
            Said::Request { service: name, body, tunnel }
        }
        Kind::Ready => Said::Ready { service: name },
        Kind::Answer { last } => {
            let tunnel =
                Tunnel::read(&body, limits).filter(|found| tunnel::is_reply(&found.head, last));
            Said::Answer { address: name, last, body, tunnel }
        }
    };
    Ok(Read { form, said })
}

impl Read {
    /// The message as the core's input.
    pub(super) fn said(&mut self) -> FromClassic<'_, Body> {
        match &mut self.said {
            Said::Request { service, body, tunnel } => FromClassic::Request {
                service: (*service).as_ref(),
                content: incoming((*service).as_ref(), std::mem::take(body), tunnel.as_ref()),
            },
            Said::Ready { service } => FromClassic::Ready { service: (*service).as_ref() },
            Said::Answer { address, last, body, tunnel } => FromClassic::Answer {
                address: (*address).as_ref(),
                last: *last,
                content: incoming(b"", std::mem::take(body), tunnel.as_ref()),
            },
            Said::Heartbeat => FromClassic::Heartbeat,
            Said::Disconnect => FromClassic::Disconnect,
        }
    }
}

fn incoming<'a>(
    service: &[u8],
    body: Vec<Bytes>,
    tunnel: Option<&'a Tunnel>,
) -> Incoming<'a, Body> {
    match tunnel.and_then(Tunnel::record) {
        Some(record) => Incoming::Call(Box::new(record)),
        None => Incoming::Raw(Body::of_frames(service, body)),
    }
}

/// A message that could not be sent.
pub(super) struct NotSent {
    pub(super) failure: Failure,
    /// The call and its body, if the message was a request.
    pub(super) request: Option<(u64, Body)>,
}

/// Sends messages, one after another, with reused buffers.
#[derive(Default)]
pub(super) struct Writer {
    heads: Vec<u8>,
    ends: Vec<usize>,
}

impl Writer {
    /// Sends a message to a routing id, and counts it in the connection's account.
    pub(super) fn send(
        &mut self,
        router: &mut Router,
        route: &[u8],
        form: Form,
        message: ToClassic<Body>,
        limits: &Limits,
        account: &mut Account,
    ) -> Result<(), NotSent> {
        self.heads.clear();
        self.ends.clear();
        message.heads(form, |frame| {
            self.heads.extend_from_slice(frame);
            self.ends.push(self.heads.len());
        });
        let call = match &message {
            ToClassic::Task { call, .. } => Some(*call),
            _ => None,
        };
        let content = message.into_content();
        let made;
        let body = match &content {
            None => &[],
            Some(content) => match as_frames(content) {
                Some(frames) => frames,
                None => {
                    made = frames(content);
                    made.as_slice()
                }
            },
        };
        let frames = self.ends.len() + body.len();
        let bytes = self.heads.len() + body.iter().map(Bytes::len).sum::<usize>();
        let bytes = cost(bytes, frames);
        let charged = account.charge(limits, bytes, call.is_some()).map_err(Failure::Unread);
        let sent = charged.and_then(|()| {
            let ticket = account.ticket(bytes);
            router.send_frames(route, self.heads(), body, ticket).map_err(Failure::Socket)
        });
        sent.map_err(|failure| NotSent { failure, request: call.zip(content.and_then(into_body)) })
    }

    /// The frames of the head.
    fn heads(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let head = move |number: usize| {
            let end = |number: usize| self.ends.get(number).copied();
            let start = number.checked_sub(1).and_then(end).unwrap_or(0);
            self.heads.get(start..end(number).unwrap_or(start)).unwrap_or_default()
        };
        (0..self.ends.len()).map(head)
    }
}

/// The frames of a body, if the body already consists of frames.
fn as_frames(content: &Content<Body>) -> Option<&[Bytes]> {
    match content {
        Content::Raw(body) => body.as_frames(),
        _ => None,
    }
}

/// Makes the frames of a body.
fn frames(content: &Content<Body>) -> Vec<Bytes> {
    match content {
        Content::Raw(body) => body.frames(),
        Content::Listing(listing) => listing::frames(listing),
        Content::Call(record) => {
            let mut packer = Packer::default();
            listing::put(&mut packer, &**record);
            packer.take().into_frames()
        }
    }
}

fn into_body(content: Content<Body>) -> Option<Body> {
    match content {
        Content::Raw(body) => Some(body),
        Content::Call(record) => match *record {
            Record::Request { body, .. } => Some(body),
            _ => None,
        },
        Content::Listing(_) => None,
    }
}
