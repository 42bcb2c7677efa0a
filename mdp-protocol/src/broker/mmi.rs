//! The broker's own services (RFC 8): lists of workers and services, and the broker's state.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::io::{Action, Name};
use super::refusals::{denied, typed_management};
use super::services::Registration;
use super::to_classic::{Content, ToClassic};
use super::{Broker, drain, schemas};
use crate::payload::Payload;
use crate::slab::Key;
use crate::status::Code;
use crate::time::{Span, Time};
use crate::wire::listing::{BrokerLine, Listing, ServiceLine, WorkerLine};
use crate::wire::{DisconnectReason, Record, Reply};

/// The most entries of a list.
const MAX_LIST: usize = 10_000;

/// Lists that a principal is given in a second, or a peer without one; each costs a look at all that it lists.
const LISTS_A_SECOND: u32 = 50;

/// Those that all peers without a principal are given in a second.
const OPEN_LISTS_A_SECOND: u32 = 4 * LISTS_A_SECOND;

const OK: u16 = 200;
pub(super) const NOT_FOUND: u16 = 404;
pub(super) const NOT_IMPLEMENTED: u16 = 501;
pub(super) const TRY_LATER: u16 = 503;
pub(super) const TIMED_OUT: u16 = 504;

/// The number of lists that a peer got in the second that began at this time.
#[derive(Debug, Default)]
pub(super) struct Lists {
    since: Time,
    made: u32,
}

impl Lists {
    /// Takes one of the `max` lists of a second. `false`: all are taken.
    fn take(&mut self, now: Time, max: u32) -> bool {
        if now - self.since >= Span::from_secs(1) {
            *self = Lists { since: now, made: 0 };
        }
        let room = self.made < max;
        self.made += u32::from(room);
        room
    }
}

impl<P: Payload> Broker<P> {
    /// Answers a request for a service of the broker's own (RFC 8 M1).
    pub(super) fn manage(
        &mut self,
        now: Time,
        from: Key,
        call: u64,
        body: &P,
        out: &mut Vec<Action<P>>,
    ) {
        if !body.is_raw() {
            return self.refuse_request(now, from, call, body, typed_management(), out);
        }
        let about = body.last_frame();
        if !self.may_manage(from, body.path(), about) {
            self.stats.denied += 1;
            let refusal = denied(body.path());
            return self.refuse_request(now, from, call, body, refusal, out);
        }
        if self.schemas.is_asked(from, call) {
            self.stats.invalid += 1;
            return self.disconnect(now, from, DisconnectReason::Unexpected, out); // wire.md R16
        }
        let listing = match body.path() {
            _ if !self.count_question(now, from) => Listing::Status(TRY_LATER),
            schemas::SERVICE => match self.look_up_schema(now, from, call, about, out) {
                Some(listing) => listing,
                None => return,
            },
            service if service.starts_with(drain::SERVICES) => {
                self.asked_to_drain(now, from, service, about, out)
            }
            service => self.listing(now, from, service, about),
        };
        let ends = body.path() == drain::BROKER && listing.status() == OK;
        match self.sessions.get(from).and_then(|session| session.form()) {
            Some(form) => {
                let message = classic_reply(body.path(), listing);
                out.push(Action::SendClassic { to: from, form, message });
            }
            None => self.answer_management(now, from, call, listing, out),
        }
        if ends {
            self.shut_down(now, self.config.drain.grace, out);
        }
    }

    /// Answers a client of MDP/RPC.
    pub(super) fn answer_management(
        &mut self,
        now: Time,
        to: Key,
        call: u64,
        listing: Listing,
        out: &mut Vec<Action<P>>,
    ) {
        let reply = Reply::Listing(Box::new(listing));
        let peer = Name::from([]);
        let (code, not_started) = (Code::Ok, false);
        let record = Record::Final { call, code, not_started, attempt: 0, peer, reply };
        self.send(now, to, record, out);
    }

    fn listing(&mut self, now: Time, from: Key, service: &[u8], about: &[u8]) -> Listing {
        let lists = matches!(service, b"mmi.services" | b"mmi.workers" | b"mmi.methods");
        if lists && !self.may_list(now, from) {
            return Listing::Status(TRY_LATER);
        }
        match service {
            b"mmi.service" => {
                let found = self.services.named(about);
                let served = found.is_some_and(|service| self.services.is_served(service))
                    && self.may_know(from, about);
                Listing::Status(if served { OK } else { NOT_FOUND }) // RFC 8 M3
            }
            b"mmi.services" => Listing::Services(self.service_lines()),
            b"mmi.workers" if about.is_empty() => Listing::Workers(self.worker_lines(None)),
            b"mmi.workers" => match self.services.named(about) {
                Some(service) => Listing::Workers(self.worker_lines(Some(service))),
                None => Listing::Status(NOT_FOUND),
            },
            b"mmi.methods" => self.list_methods(about),
            b"mmi.counters" => Listing::Counters(Box::new(self.stats())),
            b"mmi.broker" => Listing::Broker(Box::new(self.broker_line())),
            _ => Listing::Status(NOT_IMPLEMENTED), // RFC 8 M4
        }
    }

    /// Those of a service, or of all where none is named.
    fn list_methods(&self, about: &[u8]) -> Listing {
        let mut lines = self.method_lines(Some(about).filter(|about| !about.is_empty()));
        if lines.is_empty() && !about.is_empty() {
            return Listing::Status(NOT_FOUND);
        }
        lines.truncate(MAX_LIST);
        Listing::Methods(lines)
    }

    /// Whether a peer may have another list now.
    pub(super) fn may_list(&mut self, now: Time, from: Key) -> bool {
        let own = self.lists_of(from).is_some_and(|lists| lists.take(now, LISTS_A_SECOND));
        // A session costs nothing, so those without a principal have a budget together, besides.
        own && (self.has_principal(from) || self.open_lists.take(now, OPEN_LISTS_A_SECOND))
    }

    fn broker_line(&self) -> BrokerLine {
        BrokerLine {
            heartbeat: self.config.heartbeat,
            liveness: self.config.liveness,
            draining: self.closing.is_some(),
            guarded: self.is_guarded(),
            limits: self.config.limits.clone(),
        }
    }

    pub(super) fn service_lines(&self) -> Vec<ServiceLine> {
        let mut lines: Vec<ServiceLine> = Vec::new();
        let mut places = self.services.new_map();
        for (key, service) in self.services.iter().take(MAX_LIST) {
            places.insert(key, lines.len());
            lines.push(ServiceLine {
                service: service.name().clone(),
                workers: service.workers(),
                capacity: 0,
                running: 0,
                queued: service.queued(),
                draining: 0,
                schemas: service.schemas().keys().copied().collect(),
            });
        }
        for (_, worker) in self.services.workers() {
            let place = places.get(&worker.service());
            if let Some(line) = place.and_then(|place| lines.get_mut(*place)) {
                line.capacity += u64::from(worker.capacity());
                line.running += u64::from(worker.running());
                line.draining += usize::from(worker.is_retired());
            }
        }
        lines.sort_unstable_by(|a, b| a.service.cmp(&b.service));
        lines
    }

    fn worker_lines(&self, service: Option<Key>) -> Vec<WorkerLine> {
        let wanted = |worker: Key| service.is_none_or(|service| service == worker);
        let workers = self.services.workers().filter(|(_, worker)| wanted(worker.service()));
        workers.filter_map(|(_, worker)| self.worker_line(worker)).take(MAX_LIST).collect()
    }

    pub(super) fn worker_line(&self, worker: &Registration) -> Option<WorkerLine> {
        let session = self.sessions.get(worker.session())?;
        Some(WorkerLine {
            id: session.id().clone(),
            service: self.services.get(worker.service())?.name().clone(),
            dialect: session.form().map(|form| form.dialect),
            capacity: worker.capacity(),
            running: worker.running(),
            draining: worker.is_retired(),
            schema: worker.schema(),
            call_stats: *worker.call_stats(),
            since_error: worker.call_stats().last_error.map(|(_, at)| self.last - at),
        })
    }
}

/// An answer to a classic client.
pub(super) fn classic_reply<P>(service: &[u8], listing: Listing) -> ToClassic<P> {
    let (service, content) = (Name::from(service), Content::Listing(Box::new(listing)));
    ToClassic::Reply { service, last: true, content }
}
