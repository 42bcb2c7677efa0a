//! Users and handlers with streams: they send within the credit that they are told of, take at their
//! own pace, and check what comes.

use std::collections::VecDeque;

use mdp_protocol::client::{self, Outcome};
use mdp_protocol::wire::{CallKind, Direction, Part, Record, units};
use mdp_protocol::{Code, Key, Payload, SessionAction, worker};

use crate::actors::{ClientActor, Finish, Role};
use crate::body::{Body, Kind, NOBODY};
use crate::ledger::{Check, broken};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::world::{Event, World};

/// The streams of a call as its user or its handler sees them.
#[derive(Debug)]
pub(crate) struct Streams {
    uid: u32,
    kind: CallKind,
    /// The handler's run; a user has none.
    run: Option<u32>,
    probe: bool,
    /// It does nothing any more.
    stuck: bool,
    /// A handler that does not wait for END, or a user that never says it.
    hasty: bool,
    source: Option<Source>,
    sink: Option<Sink>,
    /// It is about to look after its streams.
    woken: bool,
}

/// What its streams are to be like.
pub(crate) struct Begin {
    pub(crate) uid: u32,
    pub(crate) kind: CallKind,
    pub(crate) run: Option<u32>,
    pub(crate) probe: bool,
    pub(crate) stuck: bool,
}

/// The stream that it sends.
#[derive(Debug, Default)]
struct Source {
    credit: i64,
    left: u32,
    sent: u32,
    ended: bool,
}

/// The stream that it gets.
#[derive(Debug, Default)]
struct Sink {
    /// What the items cost that it has not taken.
    untaken: VecDeque<u32>,
    /// What it has taken and not given back.
    owed: u32,
    got: u32,
    opened: bool,
    ended: bool,
    /// Who sent the first item, in which run.
    from: Option<(u32, u32)>,
}

/// What it does when it looks after its streams.
enum Act {
    Taken(u32),
    Part(Part<Body>),
    Finish(Code),
}

impl Streams {
    /// Items that it has sent.
    pub(crate) fn sent(&self) -> u32 {
        self.source.as_ref().map_or(0, |source| source.sent)
    }

    /// Whether anything of them has passed, as far as this side knows.
    fn has_begun(&self) -> bool {
        let heard = self.sink.as_ref().is_some_and(|sink| sink.from.is_some());
        heard || self.source.as_ref().is_some_and(|source| source.sent > 0 || source.credit > 0)
    }

    /// What it does now.
    fn look(&mut self, peer: usize, rng: &mut Rng, plan: &Plan) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.stuck {
            return acts;
        }
        if let Some(sink) = &mut self.sink {
            sink.take(rng, self.probe, plan, &mut acts);
        }
        let (uid, run) = (self.uid, self.run);
        if let Some(source) = &mut self.source {
            let kind = if run.is_some() { Kind::Item } else { Kind::Ask };
            let run = run.unwrap_or(0);
            if kind == Kind::Item && !source.ended && source.sent == 0 && rng.percent(30) {
                // `ended` is of no use for replies: it says that they were opened.
                source.ended = true;
                let opening = Body::item(Kind::Opening, uid, peer, run, 0, 16);
                acts.push(Act::Part(Part::Open(opening)));
            }
            let max = if self.probe { 9 } else { rng.range(0, 4) };
            for _ in 0..max {
                if source.left == 0 || source.credit <= 0 {
                    break;
                }
                let size = rng.range(0, plan.item_size) as u32;
                let item = Body::item(kind, uid, peer, run, source.sent, size);
                source.credit -= i64::from(units(item.size()));
                source.left -= 1;
                source.sent += 1;
                acts.push(Act::Part(Part::Item(item)));
            }
            if kind == Kind::Ask && source.left == 0 && !source.ended && !self.hasty {
                source.ended = true;
                acts.push(Act::Part(Part::End));
            }
        }
        if self.run.is_some() && (self.is_done() || self.ends_early(rng, plan)) {
            let failing = !self.probe && rng.percent(plan.failing);
            acts.push(Act::Finish(if failing { Code::NotFound } else { Code::Ok }));
        }
        acts
    }

    /// A handler has sent all that it has to say and heard all that it waits for.
    fn is_done(&self) -> bool {
        let sent = self.source.as_ref().is_none_or(|source| source.left == 0);
        let all = |sink: &Sink| sink.ended && sink.untaken.is_empty();
        let heard = self.sink.as_ref().is_none_or(|sink| all(sink) || self.hasty);
        sent && heard
    }

    fn ends_early(&self, rng: &mut Rng, plan: &Plan) -> bool {
        !self.probe && rng.percent(plan.early)
    }

    /// Whether it can go on without a word from the other side.
    fn has_work(&self, plan: &Plan) -> bool {
        let take = |sink: &Sink| sink.has_work(plan);
        let send = |source: &Source| source.left > 0 && source.credit > 0;
        !self.stuck
            && (self.sink.as_ref().is_some_and(take) || self.source.as_ref().is_some_and(send))
    }
}

/// What a receiver gives back at once when nothing is left to take: from half of its window, and from
/// 8 units. A broker that allows less than 16 would let streams stand still then (R71).
fn max_kept(plan: &Plan) -> u32 {
    match plan.broker.limits.window {
        16.. => (plan.window / 2).clamp(1, 8),
        _ => 1,
    }
}

impl Sink {
    /// Takes some of what is there, and gives back some of what that cost. When nothing is left to take
    /// it keeps no more than R71 says, or the stream would stand still.
    fn take(&mut self, rng: &mut Rng, probe: bool, plan: &Plan, acts: &mut Vec<Act>) {
        let all = self.untaken.len();
        let many = if probe { all } else { rng.range(0, all as u64) as usize };
        self.owed += self.untaken.drain(..many).sum::<u32>();
        let back = match self.owed {
            0 => 0,
            owed if self.untaken.is_empty() && owed < max_kept(plan) => 0,
            owed if self.untaken.is_empty() => owed,
            owed => rng.range(0, owed.into()) as u32,
        };
        self.owed -= back;
        if back > 0 {
            acts.push(Act::Taken(back));
        }
    }

    /// Whether there is something to take, or to be given back.
    fn has_work(&self, plan: &Plan) -> bool {
        !self.untaken.is_empty() || self.owed >= max_kept(plan)
    }

    /// An item has come. Whether there was credit for it: what the receiver holds and what it has
    /// granted make its window together.
    fn put(&mut self, cost: u32, window: u32) -> bool {
        let holds = self.untaken.iter().sum::<u32>() + self.owed;
        self.untaken.push_back(cost);
        self.got += 1;
        holds < window
    }
}

impl ClientActor {
    /// A call that is sent again once its user has said END has END with it: else its handler would
    /// wait until its time is up, as if the network had lost it.
    pub(crate) fn check_sent_again(&self, peer: usize, out: &[client::Action<Body, u32>]) -> Check {
        let sent = |action: &client::Action<Body, u32>| match action {
            client::Action::Session(SessionAction::Send(Record::Request { call, .. })) => {
                Key::from_u64(*call)
            }
            _ => None,
        };
        for call in out.iter().filter_map(sent) {
            let source = self.streams.get(&call).and_then(|streams| streams.source.as_ref());
            let ends = |action: &client::Action<Body, u32>| match action {
                client::Action::Session(SessionAction::Send(record)) => {
                    matches!(record, Record::Data { call: of, part: Part::End, .. } if *of == call.as_u64())
                }
                _ => false,
            };
            if source.is_some_and(|source| source.ended) && !out.iter().any(ends) {
                broken("I13", format!("client {peer} sends {call:?} again without its END"))?;
            }
        }
        Ok(())
    }
}

impl World {
    /// A user has made a call. If it has streams they begin.
    pub(crate) fn begin_user(&mut self, peer: usize, uid: u32, kind: CallKind, probe: bool) {
        let Role::Client(client) = &self.peers[peer].role else { return };
        if let Some(call) = client.newest().filter(|_| kind.is_stream()) {
            let begin = Begin { uid, kind, run: None, probe, stuck: false };
            self.begin_streams(peer, call, begin);
        }
    }

    pub(crate) fn begin_streams(&mut self, peer: usize, call: Key, begin: Begin) {
        let Begin { uid, kind, run, probe, stuck } = begin;
        let (own, other) = match run {
            Some(_) => (Direction::Replies, Direction::Requests),
            None => (Direction::Requests, Direction::Replies),
        };
        let max = if probe { 2 } else { self.plan.items };
        let left = self.rng.range(0, max) as u32;
        let streams = Streams {
            uid,
            kind,
            run,
            probe,
            stuck,
            hasty: !probe && self.rng.percent(15),
            source: kind.streams(own).then(|| Source { left, ..Source::default() }),
            sink: kind.streams(other).then(Sink::default),
            woken: false,
        };
        self.streams_of(peer).insert(call, streams);
        self.wake_streams(peer, call);
    }

    fn streams_of(&mut self, peer: usize) -> &mut std::collections::BTreeMap<Key, Streams> {
        match &mut self.peers[peer].role {
            Role::Worker(worker) => &mut worker.streams,
            Role::Client(client) => &mut client.streams,
            Role::Hostile(_) => unreachable!("a hostile peer has no streams to look after"),
        }
    }

    /// It will look after the streams of a call, if it is not about to.
    fn wake_streams(&mut self, peer: usize, call: Key) {
        let Some(streams) = self.streams_of(peer).get_mut(&call) else { return };
        if std::mem::replace(&mut streams.woken, true) {
            return;
        }
        let probe = streams.probe;
        let pause = match probe {
            true => self.rng.range(1, 5),
            false if self.rng.percent(self.plan.sloth) => self.rng.range(300, 4_000),
            false => self.rng.around(self.plan.pace),
        };
        let life = self.peers[peer].process.life;
        self.after(pause, Event::Pulse { peer, life, call });
    }

    /// A user or a handler looks after its streams.
    pub(crate) fn pulse(&mut self, peer: usize, call: Key) -> Check {
        let found = match &mut self.peers[peer].role {
            Role::Worker(worker) => worker.streams.get_mut(&call),
            Role::Client(client) => client.streams.get_mut(&call),
            Role::Hostile(_) => None,
        };
        let Some(streams) = found else { return self.straggle(peer, call) };
        streams.woken = false;
        let (uid, run) = (streams.uid, streams.run);
        for act in streams.look(peer, &mut self.rng, &self.plan) {
            // Its session may be lost in the midst of it.
            if !self.streams_of(peer).contains_key(&call) {
                return Ok(());
            }
            self.stream_acts(peer, call, uid, run, act)?;
        }
        let found = match &self.peers[peer].role {
            Role::Worker(worker) => worker.streams.get(&call),
            Role::Client(client) => client.streams.get(&call),
            Role::Hostile(_) => None,
        };
        if found.is_some_and(|streams| streams.has_work(&self.plan)) {
            self.wake_streams(peer, call);
        }
        Ok(())
    }

    fn stream_acts(
        &mut self,
        peer: usize,
        call: Key,
        uid: u32,
        run: Option<u32>,
        act: Act,
    ) -> Check {
        match (run, act) {
            (Some(_), Act::Taken(units)) => {
                self.worker_input(peer, worker::Input::Taken { call, units })?;
            }
            (Some(_), Act::Part(part)) => {
                self.worker_input(peer, worker::Input::Part { call, part })?;
            }
            (Some(run), Act::Finish(code)) => {
                self.handler_done(peer, Finish { call, run, code, deaf: false })?;
            }
            (None, Act::Taken(units)) => {
                self.client_input(peer, client::Input::Taken { call, units })?;
            }
            (None, Act::Part(part)) => {
                if let (Part::Item(_), Some(entry)) = (&part, self.ledger.entry_mut(uid)) {
                    entry.asked += 1;
                }
                self.client_input(peer, client::Input::Part { call, part })?;
            }
            (None, Act::Finish(_)) => {}
        }
        Ok(())
    }

    /// Its call has ended, and it may not know: what it still does is to be without effect.
    fn straggle(&mut self, peer: usize, call: Key) -> Check {
        if !self.rng.percent(30) {
            return Ok(());
        }
        let part = Part::Item(Body::item(Kind::Forged, NOBODY, peer, 0, 0, 1));
        match self.peers[peer].role {
            Role::Worker(_) => {
                self.worker_input(peer, worker::Input::Part { call, part })?;
                self.worker_input(peer, worker::Input::Taken { call, units: 1 })?;
            }
            Role::Client(_) => {
                self.client_input(peer, client::Input::Part { call, part })?;
                self.client_input(peer, client::Input::Taken { call, units: 1 })?;
            }
            Role::Hostile(_) => {}
        }
        Ok(())
    }

    /// A machine says that more may be sent.
    pub(crate) fn may_send(&mut self, peer: usize, call: Key, units: u32) -> Check {
        let max = i64::from(self.plan.broker.limits.window);
        self.trace.note(self.now, &[18, call.as_u64(), units.into()], || {
            format!("  peer {peer} may send {units} for {call:?}")
        });
        let streams = self.streams_of(peer).get_mut(&call);
        let Some(source) = streams.and_then(|streams| streams.source.as_mut()) else {
            return broken("I13", format!("peer {peer} gets credit for {call:?}, no stream of it"));
        };
        source.credit += i64::from(units);
        if source.credit > max {
            let credit = source.credit;
            broken("I13", format!("peer {peer} has a credit of {credit}, the limit is {max}"))?;
        }
        self.wake_streams(peer, call);
        Ok(())
    }

    /// A handler gets a part of its requests.
    pub(crate) fn worker_gets(&mut self, peer: usize, call: Key, part: Part<Body>) -> Check {
        self.note_part(peer, call, &part);
        let window = self.plan.window;
        let Role::Worker(worker) = &mut self.peers[peer].role else { return Ok(()) };
        let Some(streams) = worker.streams.get_mut(&call) else {
            return broken("I13", format!("worker {peer} gets {part:?} for {call:?}, not running"));
        };
        let (uid, entry) = (streams.uid, self.ledger.entry(streams.uid));
        let Some(sink) = streams.sink.as_mut().filter(|sink| !sink.ended) else {
            return broken("I13", format!("call {uid} gets {part:?}, though nothing may come"));
        };
        match part {
            Part::End => {
                sink.ended = true;
                if let Some(asked) = entry.map(|entry| entry.asked).filter(|n| *n != sink.got) {
                    let got = sink.got;
                    broken("I13", format!("call {uid} got {got} of {asked} items before END"))?;
                }
            }
            Part::Open(body) => broken("I13", format!("call {uid} gets {body:?} to open"))?,
            Part::Item(body) => {
                // The calls of hostile peers are in no ledger.
                let right = entry.is_none_or(|entry| {
                    let maker = (body.kind, body.uid, body.by as usize);
                    maker == (Kind::Ask, uid, entry.client) && body.n == sink.got
                });
                if !right {
                    let got = sink.got;
                    broken("I13", format!("call {uid} gets {body:?} as request {got}"))?;
                }
                if !sink.put(units(body.size()), window) {
                    broken("I13", format!("call {uid} gets more requests than it has room for"))?;
                }
                self.ledger.items += 1;
            }
        }
        self.wake_streams(peer, call);
        Ok(())
    }

    /// A user gets a part of its replies.
    pub(crate) fn client_gets(&mut self, peer: usize, call: Key, part: Part<Body>) -> Check {
        self.note_part(peer, call, &part);
        let window = self.plan.window;
        let Role::Client(client) = &mut self.peers[peer].role else { return Ok(()) };
        let Some(streams) = client.streams.get_mut(&call) else {
            return broken("I13", format!("client {peer} gets {part:?} for {call:?}, not open"));
        };
        let uid = streams.uid;
        let Some(sink) = streams.sink.as_mut() else {
            return broken("I13", format!("call {uid} gets {part:?}, though nothing may come"));
        };
        let (Part::Open(body) | Part::Item(body)) = &part else {
            return broken("I13", format!("call {uid} gets END for its replies"));
        };
        let from = (body.by, body.run);
        let same = *sink.from.get_or_insert(from) == from;
        let number = body.kind == Kind::Forged || body.n == sink.got;
        if !same || !number || !self.ledger.is_from_holder(uid, body) {
            let (got, first) = (sink.got, sink.from);
            broken("I13", format!("call {uid} gets {body:?} as reply {got} of {first:?}"))?;
        }
        match &part {
            Part::Item(body) => {
                if !sink.put(units(body.size()), window) {
                    broken("I13", format!("call {uid} gets more replies than it has room for"))?;
                }
                self.ledger.items += 1;
            }
            _ => {
                if std::mem::replace(&mut sink.opened, true) || sink.got > 0 {
                    broken("I13", format!("call {uid} is opened too late or twice"))?;
                }
            }
        }
        self.wake_streams(peer, call);
        Ok(())
    }

    fn note_part(&mut self, peer: usize, call: Key, part: &Part<Body>) {
        self.trace.note(self.now, &[19, call.as_u64()], || {
            format!("  peer {peer} gets for {call:?}: {part:?}")
        });
    }

    /// A call has ended for its user: if its handler says that all is well, all has come.
    pub(crate) fn streams_ended(
        &mut self,
        peer: usize,
        uid: u32,
        outcome: &Outcome<Body>,
    ) -> Check {
        if let Outcome::Refused(refusal) = outcome
            && refusal.code == Code::Internal
            // Hooks that gave no verdict, at an attempt after the first.
            && !refusal.message.starts_with("the last attempt")
        {
            broken("I14", format!("call {uid} ends for an item within its credit: {refusal:?}"))?;
        }
        let Role::Client(client) = &mut self.peers[peer].role else { return Ok(()) };
        let found = client.streams.iter().find(|(_, streams)| streams.uid == uid);
        let Some(call) = found.map(|(call, _)| *call) else { return Ok(()) };
        let Some(streams) = client.streams.remove(&call) else { return Ok(()) };
        self.ledger.count_streams(streams.kind, streams.has_begun(), outcome);
        let (Some(sink), Outcome::Final { code: Code::Ok, body, .. }) = (streams.sink, outcome)
        else {
            return Ok(());
        };
        let (got, from, kind) = (sink.got, sink.from, streams.kind);
        let same = from.is_none_or(|from| from == (body.by, body.run));
        if body.kind == Kind::Reply && (got != body.n || !same) {
            broken(
                "I13",
                format!("call {uid}, {kind:?}, got {got} of {from:?} and then {body:?}"),
            )?;
        }
        Ok(())
    }
}
