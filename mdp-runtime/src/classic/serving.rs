//! A worker's calls in tunnels. It plays the broker for the worker's state machine.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mdp_protocol::wire::classic::{Dialect, Form};
use mdp_protocol::wire::{Direction, DisconnectReason, Flags, Part, Record, Reply, units};
use mdp_protocol::{
    Code, ConnectionState, Limits, Payload, Reason, Refusal, SessionAction, SessionConfig, Span,
    Time,
};

use super::inbound::Inbound;
use super::raw::Handlers;
use super::slots::{Event, Slots};
use super::tunnel::{self, Tunnel};
use crate::peer::ConnectOptions;
use mdp_call::body::Body;
use mdp_transport::Closing;
use mdp_transport::clock::Clock;

/// How much of a stream a handler may send before the socket accepts it, in units of 256 bytes.
const WINDOW: u32 = 1_024;
/// Longer than any grace period: the worker's state machine ends the calls itself.
const LONG: Span = Span::from_secs(100 * 365 * 24 * 3_600);

pub(crate) struct Serving {
    slots: Slots,
    form: Form,
    limits: Limits,
    clock: Clock,
    inbound: VecDeque<Inbound>,
    /// Calls, by the number that the worker's state machine uses.
    calls: HashMap<u64, Held>,
    last_call: u64,
    /// The work of each slot.
    works: Vec<Option<Work>>,
    raw: Handlers,
    /// The state machine has sent DRAIN and has no answer yet.
    draining: bool,
}

#[derive(Clone, Copy)]
enum Work {
    Call(u64),
    Raw,
}

/// A call with a running handler.
struct Held {
    slot: usize,
    task: u64,
    /// The sender's number of the call.
    number: u64,
    /// The units of items that the socket has not accepted yet.
    owed: u32,
}

impl Serving {
    pub(crate) fn new(
        options: ConnectOptions,
        form: Form,
        session: &SessionConfig,
        services: &[(Arc<[u8]>, u32)],
        raw: Handlers,
        clock: Clock,
    ) -> Self {
        let slots = Slots::new(options, form, session, services);
        Serving {
            works: vec![None; slots.len()],
            slots,
            form,
            limits: super::limits(),
            clock,
            inbound: VecDeque::new(),
            calls: HashMap::new(),
            last_call: 0,
            raw,
            draining: false,
        }
    }

    pub(super) fn state(&self) -> &ConnectionState {
        self.slots.state()
    }

    pub(super) fn perform(&mut self, now: Time, action: SessionAction<Body>) {
        match action {
            // The state machine does not see the connections: it always has this side as its broker.
            SessionAction::Connect { .. } => {
                self.inbound.push_back(Inbound::Welcome { id: Arc::from([]) });
                self.slots.resume(now);
                self.slots.tick(now);
            }
            SessionAction::Send(record) => self.say(now, record),
            SessionAction::State(_) => {}
        }
    }

    /// Handles a record from the worker's state machine.
    fn say(&mut self, now: Time, record: Record<Arc<[u8]>, Body>) {
        match record {
            Record::Heartbeat => self.inbound.push_back(Inbound::Heartbeat),
            Record::Final { call, code, not_started, attempt, peer, reply } => {
                let Some(held) = self.calls.remove(&call) else { return };
                self.idle(held.slot);
                let call = held.number;
                let record = Record::Final { call, code, not_started, attempt, peer, reply };
                self.slots.answer(now, held.slot, held.task, true, tunnel::write(&record));
            }
            Record::Data { call, of: of @ Direction::Replies, part } => {
                let Some(held) = self.calls.get_mut(&call) else { return };
                if let Part::Item(body) = &part {
                    held.owed = held.owed.saturating_add(units(body.size()));
                }
                let (slot, task) = (held.slot, held.task);
                let record: Record<Arc<[u8]>, Body> = Record::Data { call: held.number, of, part };
                self.slots.answer(now, slot, task, false, tunnel::write(&record));
            }
            Record::Drain => {
                self.draining = true;
                self.slots.stop(now, LONG);
            }
            Record::Disconnect(DisconnectReason::Stalled) => {
                // Records for the state machine are not needed any more.
                self.inbound.clear();
                self.calls.clear();
                self.works.fill(None);
                self.slots.pause(now);
            }
            Record::Disconnect(_) => self.slots.stop(now, Span::ZERO),
            _ => {}
        }
    }

    /// Returns the next record for the worker's state machine.
    pub(super) fn receive(&mut self, now: Time) -> Option<Inbound> {
        if self.inbound.is_empty() {
            self.raw.take_told(now, &mut self.slots);
            self.slots.tick(now);
            while let Some(event) = self.slots.next_event() {
                match event {
                    Event::Start { slot, task, body } => self.start(now, slot, task, body),
                    Event::Abort { slot } => self.abort(slot),
                }
            }
            if self.draining && !self.raw.is_busy() {
                // The state machine waits for its own calls itself.
                self.draining = false;
                self.inbound.push_back(Inbound::Drain);
            }
        }
        self.inbound.pop_front()
    }

    fn start(&mut self, now: Time, slot: usize, task: u64, body: Vec<Bytes>) {
        let Some(mut tunnel) = self.call_in(slot, &body) else {
            return self.start_raw(now, slot, task, body);
        };
        let (number, flags) = (tunnel.head.call, tunnel.head.flags);
        let replies = flags.has(Flags::REPLIES);
        if !flags.has(Flags::END) || (replies && self.form.dialect == Dialect::V01) {
            let message = match self.form.dialect {
                Dialect::V01 => "MDP/0.1 has no streams",
                Dialect::V02 => "MDP/0.2 has no streams of requests",
            };
            return self.refuse(now, slot, task, number, message);
        }
        self.last_call += 1;
        let call = self.last_call;
        self.calls.insert(call, Held { slot, task, number, owed: 0 });
        self.work(slot, Some(Work::Call(call)));
        tunnel.head.call = call;
        // A broker of another project does not count attempts.
        tunnel.head.count = tunnel.head.count.max(1);
        self.inbound.push_back(Inbound::Tunnel(tunnel));
        if replies {
            self.inbound.push_back(Inbound::Credit { call, units: WINDOW });
        }
    }

    /// Returns the typed call in a request, if the request contains one.
    fn call_in(&self, slot: usize, body: &[Bytes]) -> Option<Tunnel> {
        let tunnel = Tunnel::read(body, &self.limits);
        tunnel.filter(|tunnel| tunnel.asks_for(self.slots.service(slot)))
    }

    fn start_raw(&mut self, now: Time, slot: usize, task: u64, body: Vec<Bytes>) {
        if self.raw.start(self.slots.service(slot), slot, task, body) {
            self.work(slot, Some(Work::Raw));
        } else {
            self.refuse(now, slot, task, 0, "this worker accepts typed calls only");
        }
    }

    fn refuse(&mut self, now: Time, slot: usize, task: u64, call: u64, message: &str) {
        let refusal = Refusal {
            code: Code::Unimplemented,
            reason: Reason::NotDispatched,
            message: message.to_owned(),
            not_started: true,
            retry_after: None,
        };
        let record: Record<&[u8], Body> = Record::Final {
            call,
            code: refusal.code,
            not_started: true,
            attempt: 1,
            peer: b"",
            reply: Reply::Refused(Box::new(refusal)),
        };
        self.slots.answer(now, slot, task, true, tunnel::write(&record));
    }

    fn abort(&mut self, slot: usize) {
        match self.works.get(slot).copied().flatten() {
            Some(Work::Call(call)) => {
                self.calls.remove(&call);
                // The CANCEL comes after the REQUEST, if the state machine has not received the REQUEST yet.
                self.inbound.push_back(Inbound::Cancel { call });
            }
            Some(Work::Raw) => self.raw.abort(slot),
            None => {}
        }
        self.idle(slot);
    }

    fn idle(&mut self, slot: usize) {
        self.work(slot, None);
    }

    fn work(&mut self, slot: usize, work: Option<Work>) {
        if let Some(place) = self.works.get_mut(slot) {
            *place = work;
        }
    }

    pub(super) fn flush(&mut self) {
        let now = self.clock.now();
        self.slots.flush(now);
        self.raw.flushed(&self.slots);
        for (call, held) in &mut self.calls {
            if held.owed > 0 && self.slots.has_room(held.slot) {
                let units = std::mem::take(&mut held.owed);
                self.inbound.push_back(Inbound::Credit { call: *call, units });
            }
        }
    }

    pub(super) fn moved(&mut self) {
        self.slots.moved(self.clock.now());
    }

    pub(super) fn is_readable(&mut self) -> bool {
        !self.inbound.is_empty() || self.raw.has_told() || self.slots.is_readable()
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.inbound.is_empty() || self.slots.has_events() {
            return Poll::Ready(());
        }
        let told = self.raw.poll_told(cx);
        match self.slots.poll_ready(cx) {
            Poll::Pending => told,
            ready => ready,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.slots.next_deadline()
    }

    pub(super) fn take_sockets(&mut self) -> Vec<Closing> {
        self.slots.take_sockets()
    }
}
