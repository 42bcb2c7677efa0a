//! The worker: registration, the calls that it holds, and how it leaves.

mod io;
mod leaving;
mod paths;
mod shared;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub use io::{AbortCause, Action, Input};
use leaving::Refused;
use paths::{Called, Paths};
pub use shared::{Grant, MAX_BROKERS, SharedSlots, TakenSlot};

use crate::limits::Limit;
use crate::payload::Payload;
use crate::session::{Heard, LossCause, PeerSession, SessionConfig, Ticked};
use crate::slab::{Key, Slab};
use crate::status::{Code, Reason, Refusal};
use crate::stream::{DEFAULT_WINDOW, Ends};
use crate::time::{Span, Time};
use crate::wheel::Wheel;
use crate::wire::{
    CallKind, Direction, DisconnectReason, Part, Record, Reply, SchemaHash, check_metadata,
};

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the worker reaches a broker.
    pub session: SessionConfig,
    /// The services that the worker offers.
    pub services: Vec<Offer>,
    /// The methods that the driver has handlers for. A call of another path of an offered service is started, too: its
    /// driver answers it by itself.
    pub methods: Vec<Method>,
    /// Units of credit for each stream of requests; see [`units`](crate::wire::units). Default: 4,096.
    pub window: u32,
    /// The time after which the worker closes if brokers only [refuse](LossCause::is_refusal) it. `None`: never.
    pub give_up_after: Option<Span>,
    /// The worker has its slots for several brokers, see [`SharedSlots`]: a broker may use those that [`Input::Grant`]
    /// names. Default: `false`, the broker may use them all.
    pub shares_slots: bool,
    /// Whether calls with streams end, with UNAVAILABLE and [`Reason::Draining`], as soon as the worker or its broker
    /// is about to leave. Otherwise they continue until their own end, or the end of the grace period. Default:
    /// `false`.
    pub end_streams_on_drain: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            session: SessionConfig::default(),
            services: Vec::new(),
            methods: Vec::new(),
            window: DEFAULT_WINDOW,
            give_up_after: None,
            shares_slots: false,
            end_streams_on_drain: false,
        }
    }
}

/// A service that a worker offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The service's name, `package.Service`.
    pub service: Arc<[u8]>,
    /// The number of its calls that the worker takes at once, at least 1.
    pub capacity: u32,
    /// The identity of the service's contract, if known.
    pub schema: Option<SchemaHash>,
}

/// A method of an offered service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// The method's path, `package.Service/Method`.
    pub path: Arc<[u8]>,
    /// The index of its service in [`Config::services`].
    pub service: usize,
}

/// The worker's state machine. The [crate's guide](crate) shows how to drive it.
#[derive(Debug)]
pub struct Worker {
    config: Config,
    session: PeerSession,
    slots: Slab<Slot>,
    /// The slots by the broker's handle.
    by_handle: HashMap<u64, Key, FixedState>,
    timer: Wheel,
    /// Calls held, by the place of the service in the configuration.
    held: Vec<u32>,
    leaving: Option<Leaving>,
    /// The worker, or the broker of this session, is about to leave.
    draining: bool,
    refused: Option<Refused>,
    gave_up: Option<LossCause>,
    paths: Paths,
    /// The empty id, shared: an `Arc` of its own would be an allocation for each reply.
    nobody: Arc<[u8]>,
    closed: bool,
    /// It has said HELLO before.
    has_tried: bool,
    /// READY was sent, to the broker that HELLO was sent to last.
    registered: bool,
    /// The millisecond whose timers have been handled.
    timers_done: Option<Time>,
}

#[derive(Debug)]
struct Slot {
    /// The broker's handle.
    call: u64,
    service: usize,
    ends: Ends,
}

#[derive(Debug)]
struct Leaving {
    until: Time,
    /// The broker sends no more calls.
    drained: bool,
}

impl Worker {
    /// Makes a worker that connects at the first input.
    pub fn new(config: Config) -> Self {
        Worker {
            session: PeerSession::new(config.session.clone()),
            slots: Slab::new(),
            by_handle: HashMap::with_hasher(FixedState::with_seed(config.session.seed)),
            timer: Wheel::new(),
            held: alloc::vec![0; config.services.len()],
            leaving: None,
            draining: false,
            refused: None,
            gave_up: None,
            paths: Paths::new(&config.methods),
            nobody: Arc::from([]),
            closed: false,
            has_tried: false,
            registered: false,
            timers_done: None,
            config,
        }
    }

    /// Handles an input and appends the actions for the driver, in order.
    pub fn handle<P: Payload>(&mut self, now: Time, input: Input<'_, P>, out: &mut Vec<Action<P>>) {
        if self.closed {
            return;
        }
        let now = self.session.at(now);
        // As in the broker: once in a millisecond is enough.
        let timers_due = self.timers_done != Some(now) || matches!(input, Input::Tick);
        match input {
            Input::Record(record) => match self.session.record(now, record, out) {
                Heard::Nothing => {}
                Heard::Opened => {
                    if !self.registered {
                        self.register(now, out);
                    }
                    if self.config.shares_slots {
                        out.push(Action::Offered);
                    }
                }
                Heard::Lost(cause) => self.lost(now, cause, out),
                Heard::Record(record) => self.record(now, record, out),
            },
            Input::Made => self.session.made(now),
            Input::Alive => self.session.alive(now),
            Input::Invalid => self.lost(now, LossCause::Invalid, out),
            // The broken socket has already been given up.
            Input::Broken if self.session.is_waiting() => {}
            Input::Broken => self.lost(now, LossCause::Broken, out),
            Input::Refused => self.lost(now, LossCause::Handshake, out),
            Input::Stalled => {
                self.session.pause(now, out);
                self.drop_all(out);
            }
            Input::Moves => self.session.resume(now),
            Input::Done { call, code, reply } => self.done(now, call, code, reply, out),
            Input::NotStarted { call, message } => {
                if let Some(slot) = self.free(call) {
                    let refusal = refusal(Code::Unavailable, Reason::NotDispatched, message);
                    self.refuse(now, slot.call, refusal, out);
                }
            }
            Input::Part { call, part } => self.send_part(now, call, part, out),
            Input::Taken { call, units } => self.taken(now, call, units, out),
            Input::Grant { service, slots, number } => {
                if let Some(offer) = self.config.services.get(service)
                    && self.session.is_open()
                    && self.registered
                {
                    let service = offer.service.clone();
                    self.session.send(now, Record::Grant { service, slots, number }, out);
                }
            }
            Input::Tick => {}
            Input::Drain { grace } => self.drain(now, grace, out),
        }
        if timers_due {
            self.timers_done = Some(now);
            self.timers(now, out);
        }
        self.maybe_close(now, out);
    }

    /// The latest time for the driver to call `handle` with [`Input::Tick`].
    pub fn next_deadline(&self) -> Option<Time> {
        if self.closed {
            return None;
        }
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        [self.session.next_deadline(), self.timer.next(), leaving].into_iter().flatten().min()
    }

    /// Whether the worker, or the broker of this session, is about to leave.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// The time of the next attempt to connect, if the worker waits for one.
    pub fn next_attempt(&self) -> Option<Time> {
        self.session.next_attempt()
    }

    /// Why the worker has closed by itself: brokers refused it for [`give_up_after`](Config::give_up_after). `None`: it
    /// has not.
    pub fn gave_up(&self) -> Option<LossCause> {
        self.gave_up
    }

    /// The largest frame that the broker takes, in bytes. `None` without a session.
    pub fn frame_bytes(&self) -> Option<u64> {
        self.session.frame_bytes()
    }

    /// The number of calls that handlers work on.
    pub fn running(&self) -> usize {
        self.slots.len()
    }

    fn register<P>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        self.registered = true;
        for offer in &self.config.services {
            let record = Record::Ready {
                service: offer.service.clone(),
                capacity: offer.capacity,
                shared: self.config.shares_slots,
                schema: offer.schema,
            };
            self.session.send(now, record, out);
        }
        if self.leaving.is_some() {
            self.session.send(now, Record::Drain, out);
        }
    }

    fn record<P: Payload>(
        &mut self,
        now: Time,
        record: Record<&[u8], P>,
        out: &mut Vec<Action<P>>,
    ) {
        match record {
            // A handle is never used twice while the call that it named is open.
            Record::Request { call, .. } if self.by_handle.contains_key(&call) => {
                self.lost(now, LossCause::Invalid, out);
            }
            Record::Request { call, timeout, idempotent: _, attempt, peer: _, kind, body } => {
                match self.admit(&body, kind) {
                    Ok(Called { service, method }) => {
                        let slot =
                            Slot { call, service, ends: Ends::new(kind, Direction::Replies) };
                        self.start(now, slot, method, timeout, attempt, body, out);
                    }
                    Err(refusal) => self.refuse(now, call, refusal, out),
                }
            }
            Record::Data { call, of, part } => self.heard_part(now, call, of, part, out),
            Record::Credit { call, of, units } => self.heard_credit(now, call, of, units, out),
            // One that has crossed with FINAL finds nothing.
            Record::Cancel { call } => {
                if let Some(key) = self.by_handle.get(&call).copied() {
                    let message = "the client gave the call up".into();
                    let refusal = started(refusal(Code::Cancelled, Reason::Cancelled, message));
                    self.abort(now, key, AbortCause::Cancelled, refusal, out);
                }
            }
            Record::Grant { service, slots: _, number } => {
                if let Some(service) = self.place_of(service) {
                    out.push(Action::Granted { service, number });
                }
            }
            Record::Demand { service, calls } => {
                if let Some(service) = self.place_of(service) {
                    out.push(Action::Demand { service, calls });
                }
            }
            Record::Drain => match &mut self.leaving {
                Some(leaving) => leaving.drained = true,
                // The broker leaves, or an operator drains this worker.
                None => self.begin_draining(now, out),
            },
            // The broker says nothing else to a worker.
            _ => self.lost(now, LossCause::Invalid, out),
        }
    }

    /// The index of a service in the settings.
    fn place_of(&self, service: &[u8]) -> Option<usize> {
        self.config.services.iter().position(|offer| *offer.service == *service)
    }

    fn admit<P: Payload>(&mut self, body: &P, kind: CallKind) -> Result<Called, Refusal> {
        if let Some(refusal) = self.refuse_drained(kind) {
            return Err(refusal);
        }
        let called = self.paths.resolve(body, &self.config.services)?;
        check_metadata(body.metadata()).map_err(|error| {
            let message = format!("the REQUEST cannot be taken: {error}");
            refusal(Code::InvalidArgument, Reason::BadRequest, message)
        })?;
        let place = called.service;
        let offer = self.config.services.get(place).zip(self.held.get(place));
        if let Some((offer, held)) = offer.filter(|(offer, held)| **held >= offer.capacity) {
            let service = String::from_utf8_lossy(&offer.service);
            let message = format!("this worker holds {held} calls of {service} already");
            return Err(refusal(Code::Unavailable, Reason::NotDispatched, message));
        }
        Ok(called)
    }

    #[allow(clippy::too_many_arguments)] // The fields of a REQUEST.
    fn start<P>(
        &mut self,
        now: Time,
        slot: Slot,
        method: Option<usize>,
        timeout: Span,
        attempt: u8,
        body: P,
        out: &mut Vec<Action<P>>,
    ) {
        let deadline = now + timeout;
        let (handle, service, kind) = (slot.call, slot.service, slot.ends.kind());
        let call = self.slots.insert(slot);
        self.by_handle.insert(handle, call);
        if let Some(held) = self.held.get_mut(service) {
            *held += 1;
        }
        self.timer.set(call.index(), deadline);
        if kind.is_stream() {
            self.taken(now, call, self.config.window, out);
        }
        out.push(Action::Start { call, service, method, deadline, attempt, kind, body });
    }

    fn heard_part<P: Payload>(
        &mut self,
        now: Time,
        call: u64,
        of: Direction,
        part: Part<P>,
        out: &mut Vec<Action<P>>,
    ) {
        // A call that has ended here may still get what was on its way.
        let Some(call) = self.by_handle.get(&call).copied() else { return };
        let Some(slot) = self.slots.get_mut(call) else { return };
        if !slot.ends.heard(of, &part) {
            return self.lost(now, LossCause::Invalid, out);
        }
        out.push(Action::Part { call, part });
    }

    fn heard_credit<P>(
        &mut self,
        now: Time,
        call: u64,
        of: Direction,
        units: u32,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(call) = self.by_handle.get(&call).copied() else { return };
        let Some(slot) = self.slots.get_mut(call) else { return };
        if !slot.ends.heard_credit(of, units) {
            return self.lost(now, LossCause::Invalid, out);
        }
        out.push(Action::Credit { call, units });
    }

    /// The handler sends a part of its stream.
    fn send_part<P: Payload>(
        &mut self,
        now: Time,
        call: Key,
        part: Part<P>,
        out: &mut Vec<Action<P>>,
    ) {
        let Some(slot) = self.slots.get_mut(call) else { return };
        let handle = slot.call;
        if !slot.ends.send(&part) {
            let message = match part {
                Part::Item(_) => "the handler sent an item without credit",
                Part::Open(_) => "the handler opened its replies twice, or where there are none",
                Part::End => "the handler ended a stream of requests",
            };
            let message = message.into();
            let refusal = started(refusal(Code::Internal, Reason::MaybeExecuted, message));
            return self.abort(now, call, AbortCause::BadItem, refusal, out);
        }
        let too_large = match &part {
            Part::Item(body) | Part::Open(body) => self.too_large(body),
            Part::End => None,
        };
        if let Some(refusal) = too_large {
            return self.abort(now, call, AbortCause::BadItem, refusal, out);
        }
        let of = Direction::Replies;
        self.session.send(now, Record::Data { call: handle, of, part }, out);
    }

    /// The handler has room for more requests.
    fn taken<P>(&mut self, now: Time, call: Key, units: u32, out: &mut Vec<Action<P>>) {
        let Some(slot) = self.slots.get_mut(call) else { return };
        let call = slot.call;
        if units > 0 && slot.ends.grant(units) {
            let of = Direction::Requests;
            self.session.send(now, Record::Credit { call, of, units }, out);
        }
    }

    fn done<P: Payload>(
        &mut self,
        now: Time,
        call: Key,
        code: Code,
        reply: P,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(slot) = self.free(call) {
            if let Some(refusal) = self.too_large(&reply) {
                return self.refuse(now, slot.call, refusal, out);
            }
            let record = Record::Final {
                call: slot.call,
                code,
                not_started: false,
                attempt: 0,
                peer: self.nobody.clone(),
                reply: Reply::Body(reply),
            };
            self.session.send(now, record, out);
        }
    }

    /// A frame above the broker's limit would end the connection, so it is never sent.
    fn too_large<P: Payload>(&self, reply: &P) -> Option<Refusal> {
        let max = self.session.frame_bytes()?;
        (reply.largest_frame() as u64 > max).then(|| {
            let size = reply.largest_frame();
            let limit = Limit::FrameBytes;
            let message =
                format!("the reply has {size} bytes and the broker's limit {limit} is {max}");
            started(refusal(Code::ResourceExhausted, Reason::LimitReached, message))
        })
    }

    fn refuse<P>(&mut self, now: Time, call: u64, refusal: Refusal, out: &mut Vec<Action<P>>) {
        let record = Record::Final {
            call,
            code: refusal.code,
            not_started: refusal.not_started,
            attempt: 0,
            peer: self.nobody.clone(),
            reply: Reply::Refused(Box::new(refusal)),
        };
        self.session.send(now, record, out);
    }

    fn free(&mut self, call: Key) -> Option<Slot> {
        let slot = self.slots.remove(call)?;
        self.by_handle.remove(&slot.call);
        self.timer.clear(call.index());
        if let Some(held) = self.held.get_mut(slot.service) {
            *held = held.saturating_sub(1);
        }
        Some(slot)
    }

    fn lost<P>(&mut self, now: Time, cause: LossCause, out: &mut Vec<Action<P>>) {
        if self.session.lose(now, cause, out) {
            self.refused = None;
        }
        self.drop_all(out);
        // wire.md R101: it is not to come back.
        if cause == LossCause::Said(DisconnectReason::Drained) {
            return self.become_closed(now, out);
        }
        if cause.is_refusal() && self.refused_for_too_long(now) {
            self.gave_up = Some(cause);
            self.become_closed(now, out);
        }
    }

    /// The broker has moved or ended all calls, or will; their handles mean nothing any more.
    fn drop_all<P>(&mut self, out: &mut Vec<Action<P>>) {
        self.draining = self.leaving.is_some();
        let held: Vec<Key> = self.slots.iter().map(|(key, _)| key).collect();
        for call in held {
            self.free(call);
            out.push(Action::Abort { call, cause: AbortCause::SessionLost });
        }
    }

    fn become_closed<P>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        self.session.close(now, out);
        self.closed = true;
        out.push(Action::Closed);
    }

    fn timers<P: Payload>(&mut self, now: Time, out: &mut Vec<Action<P>>) {
        while let Some(index) = self.timer.pop(now) {
            let Some(call) = self.slots.key_at(index) else { continue };
            let message = "the deadline passed while the handler ran".into();
            let refusal =
                started(refusal(Code::DeadlineExceeded, Reason::DeadlineExceeded, message));
            self.abort(now, call, AbortCause::Deadline, refusal, out);
        }
        match self.session.tick(now, out) {
            Ticked::Nothing => {}
            // The first time in one packet with HELLO, so that WELCOME finds the worker registered. Later not: a broker that is
            // too busy to answer in time would give its calls to a worker that has left.
            Ticked::SaidHello if !core::mem::replace(&mut self.has_tried, true) => {
                self.register(now, out);
            }
            Ticked::SaidHello => self.registered = false,
            Ticked::Lost(cause) => self.lost(now, cause, out),
        }
    }

    fn abort<P>(
        &mut self,
        now: Time,
        call: Key,
        cause: AbortCause,
        refusal: Refusal,
        out: &mut Vec<Action<P>>,
    ) {
        if let Some(slot) = self.free(call) {
            out.push(Action::Abort { call, cause });
            self.refuse(now, slot.call, refusal, out);
        }
    }
}

fn refusal(code: Code, reason: Reason, message: alloc::string::String) -> Refusal {
    Refusal { code, reason, message, not_started: true, retry_after: None }
}

/// The refusal of a call whose handler was started.
fn started(refusal: Refusal) -> Refusal {
    Refusal { not_started: false, ..refusal }
}
