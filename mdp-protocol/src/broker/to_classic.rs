//! What the broker says to classic peers: records as messages of classic MDP, as far as it has words for them
//! (`wire.md` R86 to R92).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Broker;
use super::calls::BrokerCall;
use super::io::{Action, Name, Outgoing};
use super::refusals::{no_such_stream, sent_back};
use super::refusing::final_of;
use super::routing::service_of;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::{Code, Refusal};
use crate::time::Time;
use crate::wire::classic::{self, Dialect, Form, Side, put};
use crate::wire::listing::Listing;
use crate::wire::{CallKind, Command, Direction, Part, Record, Reply};

/// A message to a classic peer.
#[derive(Debug)]
pub enum ToClassic<P> {
    /// A request, to a worker.
    Task {
        /// The broker's handle of the call, which is the address in the message.
        call: u64,
        /// The body.
        content: Content<P>,
    },
    /// A reply, to a client.
    Reply {
        /// The service that the client called.
        service: Name,
        /// Whether this is the last reply.
        last: bool,
        /// The body.
        content: Content<P>,
    },
    /// The broker is alive.
    Heartbeat,
    /// The session is over.
    Disconnect,
}

/// The body of a message to a classic peer.
#[derive(Debug)]
pub enum Content<P> {
    /// The frames of a raw call.
    Raw(P),
    /// A record in a tunnel (R86).
    Call(Box<Outgoing<P>>),
    /// The answer of one of the broker's own services.
    Listing(Box<Listing>),
}

impl<P> ToClassic<P> {
    /// Calls the function with the frames before the body, one after another.
    pub fn heads(&self, form: Form, frame: impl FnMut(&[u8])) {
        let address;
        let command = match self {
            ToClassic::Task { call, .. } => {
                address = call.to_be_bytes();
                classic::Command::Task { address: &address }
            }
            ToClassic::Reply { service, last, .. } => {
                classic::Command::Reply { service, last: *last }
            }
            ToClassic::Heartbeat => classic::Command::Heartbeat,
            ToClassic::Disconnect => classic::Command::Disconnect,
        };
        put(form, command, frame);
    }

    /// The body, if the message has one.
    pub fn into_content(self) -> Option<Content<P>> {
        match self {
            ToClassic::Task { content, .. } | ToClassic::Reply { content, .. } => Some(content),
            ToClassic::Heartbeat | ToClassic::Disconnect => None,
        }
    }
}

impl<P: Payload> Broker<P> {
    /// Sends a record to a classic peer as a message. Sends nothing if classic MDP has no counterpart.
    pub(super) fn send_classic(
        &mut self,
        now: Time,
        to: Key,
        record: Outgoing<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some((form, side)) = self.sessions.get(to).and_then(|session| session.classic()) else {
            return;
        };
        let message = match side {
            Side::Worker => for_worker(record),
            Side::Client => self.for_client(to, record),
        };
        let Some(message) = message else { return };
        if let Some(session) = self.sessions.get_mut(to) {
            session.sent(now);
        }
        out.push(Action::SendClassic { to, form, message });
    }

    fn for_client(&mut self, to: Key, record: Outgoing<P>) -> Option<ToClassic<P>> {
        let (number, last) = match &record {
            Record::Final { call, .. } | Record::Cancel { call } => (*call, true),
            Record::Data { call, of: Direction::Replies, .. } => (*call, false),
            _ => return None,
        };
        let call = self.calls.numbered(to, number).and_then(|key| self.calls.get(key))?;
        let service = match call.path() {
            // RFC 7 and RFC 18 F1, F6: the service that was asked, wherever the hooks have sent the call.
            Some(path) => called_service(path, call.is_raw()),
            None => self.services.get(call.service())?.name().clone(),
        };
        let content = match record {
            Record::Cancel { call: number } if !call.is_raw() => {
                Content::Call(Box::new(final_of(number, call.attempt(), sent_back(0))))
            }
            Record::Final { code: Code::Ok, reply: Reply::Body(body), .. } if call.is_raw() => {
                Content::Raw(body)
            }
            Record::Data { part: Part::Item(body), .. } if call.is_raw() => Content::Raw(body),
            Record::Data { .. } if call.is_raw() => return None,
            Record::Cancel { .. } | Record::Final { reply: Reply::Refused(_), .. }
                if call.is_raw() =>
            {
                self.stats.unanswered += 1;
                return None;
            }
            record => Content::Call(Box::new(record)),
        };
        Some(ToClassic::Reply { service, last, content })
    }

    /// Whether the reply to a raw call would be taken for a record of the broker's: a classic client reads tunnels,
    /// also in the replies to raw calls (R88).
    pub(super) fn hides_reply(&self, call: &BrokerCall<P>, body: &P) -> bool {
        let client = call.client().filter(|_| call.is_raw());
        let client = client.and_then(|client| self.sessions.get(client));
        client.is_some_and(|client| client.is_classic())
            && matches!(body.tunnel(&self.config.limits), Some(Command::Final | Command::Data))
    }

    /// Tells a classic client that its request is refused, as far as classic MDP has words for that.
    pub(super) fn refuse_classic(
        &mut self,
        from: Key,
        form: Form,
        body: &P,
        record: Outgoing<P>,
        out: &mut Vec<Action<P>>,
    ) {
        if body.is_raw() {
            self.stats.unanswered += 1;
            return;
        }
        let Ok(service) = service_of(body) else { return };
        out.push(classic_final(from, form, service.as_bytes(), record));
    }

    /// Why a worker cannot have a call, if it cannot: a classic one has no streams but those that it can send
    /// (R87).
    pub(super) fn cannot_take(&self, call: Key, worker: Key) -> Option<Refusal> {
        let form = self.classic_form(worker)?;
        let call = self.calls.get(call)?;
        let kind = call.flow().kind();
        // The partial replies to a raw call are simply dropped where they do not fit (R88).
        let fits = match call.is_raw() {
            true => !kind.streams(Direction::Requests),
            false => streams_fit(form, kind),
        };
        (!fits).then(no_such_stream)
    }

    /// How a worker's messages look, if it is a classic one.
    pub(super) fn classic_form(&self, worker: Key) -> Option<Form> {
        self.sessions.get(self.services.session_of(worker)?)?.form()
    }
}

/// The end of a typed call that a classic client made of this service.
pub(super) fn classic_final<P>(
    to: Key,
    form: Form,
    service: &[u8],
    record: Outgoing<P>,
) -> Action<P> {
    let (service, content) = (Name::from(service), Content::Call(Box::new(record)));
    Action::SendClassic { to, form, message: ToClassic::Reply { service, last: true, content } }
}

/// The service in what a client called.
pub(super) fn called_service(path: &Name, raw: bool) -> Name {
    let typed = core::str::from_utf8(path).ok().filter(|_| !raw);
    match typed.and_then(|path| names::split(path).ok()) {
        Some((service, _)) => Name::from(service.as_bytes()),
        None => path.clone(),
    }
}

/// Whether a peer of classic MDP can have the streams of a call of this kind.
pub(super) fn streams_fit(form: Form, kind: CallKind) -> bool {
    !kind.streams(Direction::Requests)
        && (!kind.streams(Direction::Replies) || form.dialect == Dialect::V02)
}

fn for_worker<P: Payload>(record: Outgoing<P>) -> Option<ToClassic<P>> {
    Some(match record {
        Record::Request { call, body, .. } if body.is_raw() => {
            ToClassic::Task { call, content: Content::Raw(body) }
        }
        Record::Request { call, .. } => {
            ToClassic::Task { call, content: Content::Call(Box::new(record)) }
        }
        Record::Heartbeat => ToClassic::Heartbeat,
        Record::Disconnect(_) => ToClassic::Disconnect,
        _ => return None,
    })
}
