//! Calls over several brokers: a [`Client`] for each broker, and the choice of the broker for each call.
//!
//! A call goes to one of two brokers that are taken by chance, the one with fewer calls of this client. A broker without
//! a session is not chosen while another one has one. A call that a broker cannot begin goes to another one, as long as it
//! is certain that no handler has begun, or its method is idempotent. Only when all brokers have said so does a call end
//! for want of a service, and by default it asks again for [`unserved_wait`](BalancerConfig::unserved_wait).
//!
//! A broker that had no worker for a service is not asked for that service for a while, and then with one call, until one
//! begins there.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Action, Call, Client, Config, Input, Outcome, Returned, closed_refusal};
use crate::payload::Payload;
use crate::rng::Rng;
use crate::slab::{Key, Slab};
use crate::status::{Code, Reason, Refusal};
use crate::time::{Span, Time};
use crate::wire::{Part, Record};

/// Maximum number of brokers.
pub const MAX_BROKERS: usize = 64;
/// How long a call rests that no broker could begin, before it asks all of them again.
const REST: Span = Span::from_ms(100);
/// How long a broker is left out for a service at first, and at most.
const LEFT_OUT: (Span, Span) = (Span::from_ms(250), Span::from_secs(5));

/// Settings of a [`Balancer`].
#[derive(Clone, Debug)]
pub struct BalancerConfig {
    /// The settings for each broker. The seed differs for each.
    pub client: Config,
    /// How long a call asks all brokers again when none has a worker for it. Default: 5 s.
    pub unserved_wait: Span,
}

impl Default for BalancerConfig {
    fn default() -> Self {
        BalancerConfig { client: Config::default(), unserved_wait: Span::from_secs(5) }
    }
}

/// An event of the session with one broker.
#[derive(Debug)]
pub enum Event<'a, P> {
    /// A record arrived.
    Record(Record<&'a [u8], P>),
    /// A message arrived that cannot be read.
    Invalid,
    /// The socket has its connection.
    Made,
    /// A part of a message came.
    Alive,
    /// The call's REQUEST was not given to a connection; see [`Input::Unsent`].
    Unsent(u64),
    /// The socket could not be made, it failed, or its connection is known to be broken.
    Broken,
}

impl<'a, P, T> From<Event<'a, P>> for Input<'a, P, T> {
    fn from(event: Event<'a, P>) -> Self {
        match event {
            Event::Record(record) => Input::Record(record),
            Event::Invalid => Input::Invalid,
            Event::Made => Input::Made,
            Event::Alive => Input::Alive,
            Event::Unsent(call) => Input::Unsent(call),
            Event::Broken => Input::Broken,
        }
    }
}

/// The machine of a client with several brokers.
#[derive(Debug)]
pub struct Balancer<P, T> {
    config: BalancerConfig,
    brokers: Vec<Broker<P, T>>,
    calls: Slab<Place<P, T>>,
    /// Calls that rest, by the time at which they ask again.
    resting: BTreeMap<(Time, u64), Key>,
    rests: u64,
    /// Brokers that had no worker, by service.
    left_out: HashMap<Box<[u8]>, Vec<LeftOut>, FixedState>,
    rng: Rng,
    closing: bool,
    actions: Vec<Action<P, Token<T>>>,
}

#[derive(Debug)]
struct Broker<P, T> {
    client: Client<P, Token<T>>,
    /// It gets no new calls, and is closed when its calls have ended.
    leaving: bool,
    closed: bool,
}

/// The token of a call at its broker.
#[derive(Debug)]
struct Token<T> {
    call: Key,
    own: T,
}

/// A call.
#[derive(Debug)]
struct Place<P, T> {
    at: At<P, T>,
    /// The brokers that could not begin it since it last rested, a bit for each.
    tried: u64,
    /// When all brokers had refused it for the first time.
    refused: Option<Time>,
    no_wait: bool,
    /// It tries whether a broker that was left out for its service has a worker again.
    is_trial: bool,
}

#[derive(Debug)]
enum At<P, T> {
    Broker {
        broker: usize,
        key: Key,
    },
    Resting {
        since: (Time, u64),
        call: Box<Returned<P, Token<T>>>,
    },
    /// On its way from one to another.
    Nowhere,
}

#[derive(Debug)]
struct LeftOut {
    broker: usize,
    until: Time,
    pause: Span,
}

impl<P: Payload, T> Balancer<P, T> {
    /// A client of this number of brokers, at most [`MAX_BROKERS`]. It connects at the first [`tick`](Self::tick).
    pub fn new(config: BalancerConfig, brokers: usize) -> Self {
        let seed = config.client.session.seed;
        let mut balancer = Balancer {
            rng: Rng::new(seed),
            brokers: Vec::new(),
            calls: Slab::new(),
            resting: BTreeMap::new(),
            rests: 0,
            left_out: HashMap::with_hasher(FixedState::with_seed(seed)),
            closing: false,
            actions: Vec::new(),
            config,
        };
        for _ in 0..brokers {
            balancer.join();
        }
        balancer
    }

    /// Adds a broker. Returns its number, that of a broker that was closed if there is one. `None`: there are
    /// [`MAX_BROKERS`].
    pub fn join(&mut self) -> Option<usize> {
        let mut config = Config { returns: true, ..self.config.client.clone() };
        config.session.seed = self.rng.next();
        // The limit is on all calls.
        config.calls = usize::MAX;
        let broker = Broker { client: Client::new(config), leaving: false, closed: false };
        if let Some(place) = self.brokers.iter().position(|broker| broker.closed) {
            *self.brokers.get_mut(place)? = broker;
            return Some(place);
        }
        (self.brokers.len() < MAX_BROKERS).then(|| {
            self.brokers.push(broker);
            self.brokers.len() - 1
        })
    }

    /// Leaves a broker: it gets no new calls. Its session ends with [`Action::Closed`] when its calls have ended.
    pub fn leave(&mut self, now: Time, broker: usize, out: &mut Vec<(usize, Action<P, T>)>) {
        let Some(found) = self.brokers.get_mut(broker) else { return };
        found.leaving = true;
        found.client.send_back_waiting(&mut self.actions);
        self.take_actions(now, broker, out);
        // No call is ended for it before its own deadline.
        let grace = Span::from_secs(u32::MAX.into());
        self.give(now, broker, Input::Close { grace }, out);
    }

    /// The user makes a call. `no_wait`: it ends when all brokers have said that no worker serves it, and does not ask
    /// again. Returns the call, for [`cancel`](Self::cancel). `None`: it has already ended.
    pub fn call(
        &mut self,
        now: Time,
        call: Call<P, T>,
        no_wait: bool,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) -> Option<Key> {
        if self.closing {
            refuse(call.token, closed_refusal(), out);
            return None;
        }
        if self.calls.len() >= self.config.client.calls {
            let message = alloc::format!(
                "the client's limit of {} calls is reached",
                self.config.client.calls
            );
            let refusal = super::refusal(Code::ResourceExhausted, Reason::LimitReached, &message);
            refuse(call.token, refusal, out);
            return None;
        }
        let key = self.calls.insert(Place {
            at: At::Nowhere,
            tried: 0,
            refused: None,
            no_wait,
            is_trial: false,
        });
        let Some(broker) = self.choose(now, key, call.body.path()) else {
            self.calls.remove(key);
            refuse(call.token, no_broker(), out);
            return None;
        };
        let token = Token { call: key, own: call.token };
        let Call { timeout, begin_within, idempotent, worker, kind, body, .. } = call;
        let call = Call { token, timeout, begin_within, idempotent, worker, kind, body };
        self.give_call(now, broker, key, Input::Call(call), out);
        self.calls.get(key).is_some().then_some(key)
    }

    /// The user gives a call up: it ends without an outcome.
    pub fn cancel(&mut self, now: Time, call: Key, out: &mut Vec<(usize, Action<P, T>)>) {
        match self.calls.remove(call).map(|place| place.at) {
            Some(At::Broker { broker, key }) => self.give(now, broker, Input::Cancel(key), out),
            Some(At::Resting { since, .. }) => drop(self.resting.remove(&since)),
            Some(At::Nowhere) | None => {}
        }
    }

    /// The user has a part for a stream of requests.
    pub fn part(
        &mut self,
        now: Time,
        call: Key,
        part: Part<P>,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) {
        if let Some((broker, call)) = self.place(call) {
            self.give(now, broker, Input::Part { call, part }, out);
        }
    }

    /// The user has taken items of a stream of replies.
    pub fn taken(
        &mut self,
        now: Time,
        call: Key,
        units: u32,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) {
        if let Some((broker, call)) = self.place(call) {
            self.give(now, broker, Input::Taken { call, units }, out);
        }
    }

    /// An event of the session with a broker.
    pub fn handle(
        &mut self,
        now: Time,
        broker: usize,
        event: Event<'_, P>,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) {
        let was_open = self.is_open(broker);
        self.give(now, broker, event.into(), out);
        if !was_open && self.is_open(broker) {
            self.call_together(now, out);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time, out: &mut Vec<(usize, Action<P, T>)>) {
        for broker in 0..self.brokers.len() {
            let due = self.brokers.get(broker).and_then(|found| found.client.next_deadline());
            if due.is_some_and(|due| due <= now) {
                self.give(now, broker, Input::Tick, out);
            }
        }
        while let Some(entry) = self.resting.first_entry().filter(|entry| entry.key().0 <= now) {
            let key = entry.remove();
            let Some(place) = self.calls.get_mut(key) else { continue };
            place.tried = 0;
            if let At::Resting { call, .. } = core::mem::replace(&mut place.at, At::Nowhere) {
                self.go_on(now, key, *call, out);
            }
        }
    }

    /// The client has to close: running calls get up to `grace` to end. New calls end with CANCELLED.
    pub fn close(&mut self, now: Time, grace: Span, out: &mut Vec<(usize, Action<P, T>)>) {
        self.closing = true;
        for key in core::mem::take(&mut self.resting).into_values() {
            if let Some(Place { at: At::Resting { call, .. }, .. }) = self.calls.remove(key) {
                let (token, outcome) = call.into_outcome();
                out.push((0, Action::Done { token: token.own, outcome }));
            }
        }
        for broker in 0..self.brokers.len() {
            self.give(now, broker, Input::Close { grace }, out);
        }
    }

    /// The latest time for the driver to call [`tick`](Self::tick).
    pub fn next_deadline(&self) -> Option<Time> {
        let brokers = self.brokers.iter().filter_map(|broker| broker.client.next_deadline());
        let rests = self.resting.first_key_value().map(|((at, _), _)| *at);
        brokers.chain(rests).min()
    }

    /// The time of the next attempt to connect to a broker, if its client waits for one.
    pub fn next_attempt(&self, broker: usize) -> Option<Time> {
        self.brokers.get(broker)?.client.next_attempt()
    }

    /// The token of a call. `None`: the call has ended.
    pub fn token(&self, call: Key) -> Option<&T> {
        match &self.calls.get(call)?.at {
            At::Broker { broker, key } => Some(&self.brokers.get(*broker)?.client.token(*key)?.own),
            At::Resting { call, .. } => Some(&call.call.token.own),
            At::Nowhere => None,
        }
    }

    /// Calls that have not ended.
    pub fn pending(&self) -> usize {
        self.calls.len()
    }

    /// Calls at a broker that have not ended.
    pub fn pending_at(&self, broker: usize) -> usize {
        self.brokers.get(broker).map_or(0, |broker| broker.client.pending())
    }

    /// Whether a broker takes calls.
    pub fn is_open(&self, broker: usize) -> bool {
        self.brokers.get(broker).is_some_and(|broker| !broker.leaving && broker.client.is_open())
    }

    /// Whether all sessions are closed.
    pub fn is_closed(&self) -> bool {
        self.brokers.iter().all(|broker| broker.closed)
    }

    fn place(&self, call: Key) -> Option<(usize, Key)> {
        match self.calls.get(call)?.at {
            At::Broker { broker, key } => Some((broker, key)),
            At::Resting { .. } | At::Nowhere => None,
        }
    }

    /// Gives one of the clients an input, and does what it says.
    fn give(
        &mut self,
        now: Time,
        broker: usize,
        input: Input<'_, P, Token<T>>,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) {
        let Some(found) = self.brokers.get_mut(broker) else { return };
        found.client.handle(now, input, &mut self.actions);
        self.take_actions(now, broker, out);
    }

    /// Gives a client a call.
    fn give_call(
        &mut self,
        now: Time,
        broker: usize,
        call: Key,
        input: Input<'_, P, Token<T>>,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) {
        let Some(found) = self.brokers.get_mut(broker) else { return };
        if let Some(key) = found.client.handle(now, input, &mut self.actions)
            && let Some(place) = self.calls.get_mut(call)
        {
            place.at = At::Broker { broker, key };
        }
        self.take_actions(now, broker, out);
    }

    fn take_actions(&mut self, now: Time, broker: usize, out: &mut Vec<(usize, Action<P, T>)>) {
        let mut actions = core::mem::take(&mut self.actions);
        let mut returned = Vec::new();
        for action in actions.drain(..) {
            let action = match action {
                Action::Session(action) => Action::Session(action),
                Action::Part { call, part } => match self.outer(broker, call) {
                    Some(call) => Action::Part { call, part },
                    None => continue,
                },
                Action::Credit { call, units } => match self.outer(broker, call) {
                    Some(call) => Action::Credit { call, units },
                    None => continue,
                },
                Action::Done { token, outcome } => {
                    let place = self.calls.remove(token.call);
                    if place.is_some_and(|place| place.is_trial) {
                        self.admit(broker);
                    }
                    Action::Done { token: token.own, outcome }
                }
                Action::Returned(call) => {
                    returned.push(call);
                    continue;
                }
                Action::Closed => {
                    if let Some(found) = self.brokers.get_mut(broker) {
                        found.closed = true;
                    }
                    Action::Closed
                }
            };
            out.push((broker, action));
        }
        self.actions = actions;
        for call in returned {
            self.take_back(now, broker, call, out);
        }
    }

    /// The call that a client knows by this key.
    fn outer(&self, broker: usize, call: Key) -> Option<Key> {
        Some(self.brokers.get(broker)?.client.token(call)?.call)
    }

    /// A broker could not begin a call.
    fn take_back(
        &mut self,
        now: Time,
        broker: usize,
        call: Returned<P, Token<T>>,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) {
        let key = call.call.token.call;
        let Some(place) = self.calls.get_mut(key) else { return };
        place.at = At::Nowhere;
        place.is_trial = false;
        // One that has no session is asked again when it has one.
        if matches!(call.outcome, Outcome::Final { .. }) {
            place.tried |= 1 << broker;
            self.leave_out(now, broker, service_of(call.call.body.path()));
        }
        self.go_on(now, key, call, out);
    }

    /// A call goes to the next broker, rests, or ends.
    fn go_on(
        &mut self,
        now: Time,
        key: Key,
        call: Returned<P, Token<T>>,
        out: &mut Vec<(usize, Action<P, T>)>,
    ) {
        if !self.closing
            && let Some(broker) = self.choose(now, key, call.call.body.path())
        {
            return self.give_call(now, broker, key, Input::Again(call), out);
        }
        let Some(place) = self.calls.get_mut(key) else { return };
        let since = *place.refused.get_or_insert(now);
        let wants = !place.no_wait && now - since < self.config.unserved_wait;
        if wants && now + REST < call.call.deadline && !self.closing {
            self.rests += 1;
            let since = (now + REST, self.rests);
            place.at = At::Resting { since, call: Box::new(call) };
            self.resting.insert(since, key);
            return;
        }
        self.calls.remove(key);
        let (token, outcome) = call.into_outcome();
        out.push((0, Action::Done { token: token.own, outcome }));
    }

    /// A session has opened: the calls that wait for another one go on.
    fn call_together(&mut self, now: Time, out: &mut Vec<(usize, Action<P, T>)>) {
        for broker in 0..self.brokers.len() {
            if self.is_open(broker) {
                continue;
            }
            if let Some(found) = self.brokers.get_mut(broker) {
                found.client.send_back_waiting(&mut self.actions);
            }
            self.take_actions(now, broker, out);
        }
    }

    /// The broker for a call. `None`: all that have a session have refused it, or there is none.
    fn choose(&mut self, now: Time, call: Key, path: &[u8]) -> Option<usize> {
        let tried = self.calls.get(call).map_or(0, |place| place.tried);
        let mut open = [0_usize; MAX_BROKERS];
        let (mut count, mut any_open) = (0, false);
        for (place, _) in self.brokers.iter().enumerate() {
            if self.is_open(place) {
                any_open = true;
                if tried & (1 << place) == 0
                    && let Some(slot) = open.get_mut(count)
                {
                    *slot = place;
                    count += 1;
                }
            }
        }
        if !any_open {
            return self.any_that_stays();
        }
        let mut is_trial = false;
        if !self.left_out.is_empty() {
            (count, is_trial) = self.without_left_out(now, path, &mut open, count);
        }
        if let Some(place) = self.calls.get_mut(call) {
            place.is_trial = is_trial;
        }
        let pick = |rng: &mut Rng| {
            let place = rng.between(0, count.saturating_sub(1) as u64) as usize;
            open.get(place).copied()
        };
        match count {
            0 => None,
            1 => open.first().copied(),
            _ => {
                let (one, other) = (pick(&mut self.rng)?, pick(&mut self.rng)?);
                Some(if self.pending_at(other) < self.pending_at(one) { other } else { one })
            }
        }
    }

    /// A broker to wait for, where none has a session.
    fn any_that_stays(&mut self) -> Option<usize> {
        let stays = |broker: &Broker<P, T>| !broker.leaving && !broker.closed;
        let count = self.brokers.iter().filter(|broker| stays(broker)).count();
        let place = self.rng.between(0, count.checked_sub(1)? as u64) as usize;
        let mut staying = self.brokers.iter().enumerate().filter(|(_, broker)| stays(broker));
        staying.nth(place).map(|(place, _)| place)
    }

    /// Takes brokers off the list that were left out for the service of this path. If that leaves none, all stay. Returns
    /// the number on the list, and whether it is a single one whose time to be left out is over.
    fn without_left_out(
        &mut self,
        now: Time,
        path: &[u8],
        open: &mut [usize; MAX_BROKERS],
        count: usize,
    ) -> (usize, bool) {
        let Some(left_out) = self.left_out.get_mut(service_of(path)) else {
            return (count, false);
        };
        let on_list = |place: &usize| open.iter().take(count).any(|open| open == place);
        let due = left_out.iter_mut().find(|it| it.until <= now && on_list(&it.broker));
        if let Some(due) = due {
            // One call tries it; the others stay away until it has begun.
            due.until = now + due.pause;
            let broker = due.broker;
            if let Some(first) = open.first_mut() {
                *first = broker;
            }
            return (1, true);
        }
        let mut kept = 0;
        for place in 0..count {
            let Some(broker) = open.get(place).copied() else { break };
            if !left_out.iter().any(|it| it.broker == broker)
                && let Some(slot) = open.get_mut(kept)
            {
                *slot = broker;
                kept += 1;
            }
        }
        (if kept == 0 { count } else { kept }, false)
    }

    fn leave_out(&mut self, now: Time, broker: usize, service: &[u8]) {
        let (first, longest) = LEFT_OUT;
        if !self.left_out.contains_key(service) {
            // What nobody has asked for meanwhile is forgotten.
            self.left_out.retain(|_, left_out| left_out.iter().any(|it| it.until + longest > now));
            self.left_out.insert(service.into(), Vec::new());
        }
        let Some(left_out) = self.left_out.get_mut(service) else { return };
        match left_out.iter_mut().find(|it| it.broker == broker) {
            Some(it) if it.until <= now + it.pause => {
                it.pause = it.pause.times(2).min(longest);
                it.until = now + it.pause;
            }
            Some(_) => {}
            None => left_out.push(LeftOut { broker, until: now + first, pause: first }),
        }
    }

    /// A call has begun at a broker that was left out.
    fn admit(&mut self, broker: usize) {
        self.left_out.retain(|_, left_out| {
            left_out.retain(|it| it.broker != broker);
            !left_out.is_empty()
        });
    }
}

fn refuse<P, T>(token: T, refusal: Refusal, out: &mut Vec<(usize, Action<P, T>)>) {
    out.push((0, Action::Done { token, outcome: Outcome::Refused(Box::new(refusal)) }));
}

fn no_broker() -> Refusal {
    super::refusal(Code::Unavailable, Reason::NotDispatched, "the client has no broker")
}

/// The service of a path; of a raw call, the path itself.
fn service_of(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(path.len());
    path.get(..end).unwrap_or_default()
}
