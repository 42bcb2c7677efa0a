//! What the broker says to plain peers: records as messages of plain MDP, as far as it has words for them
//! (`wire.md` R86 to R92).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Broker;
use super::calls::Call;
use super::io::{Action, Name, Outgoing};
use super::refusals::{handed_back, no_such_stream};
use super::refusing::final_of;
use super::requests::service_of;
use crate::names;
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::{Code, Refusal};
use crate::time::Time;
use crate::wire::listing::Listing;
use crate::wire::plain::{self, Dialect, Form, Side, put};
use crate::wire::{CallKind, Command, Direction, Part, Record, Reply};

/// A message to a plain peer.
#[derive(Debug)]
pub enum ToPlain<P> {
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

/// The body of a message to a plain peer.
#[derive(Debug)]
pub enum Content<P> {
    /// The frames of a raw call.
    Raw(P),
    /// A record in a tunnel (R86).
    Call(Box<Outgoing<P>>),
    /// The answer of one of the broker's own services.
    Listing(Box<Listing>),
}

impl<P> ToPlain<P> {
    /// Calls the function with the frames before the body, one after another.
    pub fn heads(&self, form: Form, frame: impl FnMut(&[u8])) {
        let address;
        let command = match self {
            ToPlain::Task { call, .. } => {
                address = call.to_be_bytes();
                plain::Command::Task { address: &address }
            }
            ToPlain::Reply { service, last, .. } => plain::Command::Reply { service, last: *last },
            ToPlain::Heartbeat => plain::Command::Heartbeat,
            ToPlain::Disconnect => plain::Command::Disconnect,
        };
        put(form, command, frame);
    }

    /// The body, if the message has one.
    pub fn into_content(self) -> Option<Content<P>> {
        match self {
            ToPlain::Task { content, .. } | ToPlain::Reply { content, .. } => Some(content),
            ToPlain::Heartbeat | ToPlain::Disconnect => None,
        }
    }
}

impl<P: Payload> Broker<P> {
    /// Sends a record to a plain peer as a message. Sends nothing if plain MDP has no counterpart.
    pub(super) fn send_plain(
        &mut self,
        now: Time,
        to: Key,
        record: Outgoing<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some((form, side)) = self.sessions.get(to).and_then(|session| session.plain()) else {
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
        out.push(Action::SendPlain { to, form, message });
    }

    fn for_client(&mut self, to: Key, record: Outgoing<P>) -> Option<ToPlain<P>> {
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
                Content::Call(Box::new(final_of(number, call.attempt(), handed_back(0))))
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
        Some(ToPlain::Reply { service, last, content })
    }

    /// Whether the reply to a raw call would be taken for a record of the broker's: a plain client reads tunnels, also
    /// in the replies to raw calls (R88).
    pub(super) fn hides_reply(&self, call: &Call<P>, body: &P) -> bool {
        let client = call.client().filter(|_| call.is_raw());
        let client = client.and_then(|client| self.sessions.get(client));
        client.is_some_and(|client| client.is_plain())
            && matches!(body.tunnel(&self.config.limits), Some(Command::Final | Command::Data))
    }

    /// Tells a plain client that its request is refused, as far as plain MDP has words for that.
    pub(super) fn refuse_plain(
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
        out.push(plain_final(from, form, service.as_bytes(), record));
    }

    /// Why a worker cannot have a call, if it cannot: a plain one has no streams but those that it can send
    /// (R87).
    pub(super) fn cannot_take(&self, call: Key, worker: Key) -> Option<Refusal> {
        let form = self.plain_form(worker)?;
        let call = self.calls.get(call)?;
        let kind = call.flow().kind();
        // The partial replies to a raw call are simply dropped where they do not fit (R88).
        let fits = match call.is_raw() {
            true => !kind.streams(Direction::Requests),
            false => streams_fit(form, kind),
        };
        (!fits).then(no_such_stream)
    }

    /// How a worker's messages look, if it is a plain one.
    pub(super) fn plain_form(&self, worker: Key) -> Option<Form> {
        self.sessions.get(self.services.session_of(worker)?)?.form()
    }
}

/// The end of a typed call that a plain client made of this service.
pub(super) fn plain_final<P>(
    to: Key,
    form: Form,
    service: &[u8],
    record: Outgoing<P>,
) -> Action<P> {
    let (service, content) = (Name::from(service), Content::Call(Box::new(record)));
    Action::SendPlain { to, form, message: ToPlain::Reply { service, last: true, content } }
}

/// The service in what a client called.
pub(super) fn called_service(path: &Name, raw: bool) -> Name {
    let typed = core::str::from_utf8(path).ok().filter(|_| !raw);
    match typed.and_then(|path| names::split(path).ok()) {
        Some((service, _)) => Name::from(service.as_bytes()),
        None => path.clone(),
    }
}

/// Whether a peer of plain MDP can have the streams of a call of this kind.
pub(super) fn streams_fit(form: Form, kind: CallKind) -> bool {
    !kind.streams(Direction::Requests)
        && (!kind.streams(Direction::Replies) || form.dialect == Dialect::V02)
}

fn for_worker<P: Payload>(record: Outgoing<P>) -> Option<ToPlain<P>> {
    Some(match record {
        Record::Request { call, body, .. } if body.is_raw() => {
            ToPlain::Task { call, content: Content::Raw(body) }
        }
        Record::Request { call, .. } => {
            ToPlain::Task { call, content: Content::Call(Box::new(record)) }
        }
        Record::Heartbeat => ToPlain::Heartbeat,
        Record::Disconnect(_) => ToPlain::Disconnect,
        _ => return None,
    })
}
