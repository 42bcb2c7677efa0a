//! The broker's driver: what the real one does with a socket, here with the simulated network.

use mdp_protocol::broker::{self, Action, Broker, Input, Outgoing, Sender};
use mdp_protocol::wire::{DisconnectReason, Record};
use mdp_protocol::{Key, Limit};

use crate::actors::{Opened, Role, Unread};
use crate::body::{Body, Msg, incoming, outgoing};
use crate::ledger::{Broken, Check, broken};
use crate::net::{ConnId, Net, weight};
use crate::policy::Guard;
use crate::world::{Event, Who, World};

/// How much longer than agreed a silent peer may be given calls.
const SLACK: u64 = 10;

/// In steps of this many bytes the driver reports what is not read.
const STEP: usize = 256;

/// The connection of a session that has ended and whose connection has another one now. It has nothing unread.
const NOWHERE: ConnId = ConnId::MAX;

/// The broker's number as the maker of a body.
pub(crate) const BROKER: usize = 999;

impl World {
    pub(crate) fn start_broker(&mut self) {
        self.broker.process.restart();
        let policy = self.guard.as_ref().map(Guard::policy);
        let config = broker::Config { policy, ..self.plan.broker.clone() };
        self.broker.machine = Some(Broker::new(config));
        self.broker.open.clear();
        self.broker.handles.clear();
        self.broker.questions.clear();
        self.broker.unread.clear();
        self.broker.paused = 0;
        self.trace.note(self.now, &[3], || "  the broker starts".into());
        self.arm(Who::Broker);
    }

    pub(crate) fn broker_hears(&mut self, conn: ConnId, msg: Msg) -> Check {
        let route = World::route_of(conn);
        let Some(machine) = &self.broker.machine else { return Ok(()) };
        let identity = self.identity_of(self.net.conns[conn].peer);
        let from = machine.sender(&route, identity);
        let heard = self.broker.process.machine_time(self.now);
        if let Some(session) = from.session()
            && let Some(opened) = self.broker.open.get_mut(&session)
        {
            opened.heard = heard;
        }
        self.policy_in_between(&msg)?;
        self.broker_input(Input::Record { from, record: incoming(&msg) })?;
        Ok(())
    }

    pub(crate) fn broker_hears_noise(&mut self, conn: ConnId) -> Check {
        let route = World::route_of(conn);
        let Some(machine) = &self.broker.machine else { return Ok(()) };
        let identity = self.identity_of(self.net.conns[conn].peer);
        let from: Sender<'_> = machine.sender(&route, identity);
        self.broker_input(Input::Invalid { from, reason: DisconnectReason::Malformed })?;
        Ok(())
    }

    /// Gives the broker an input and does what it says. Whether it said anything.
    pub(crate) fn broker_input(&mut self, input: Input<'_, Body>) -> Result<bool, Broken> {
        let now = self.broker.process.clock(self.now);
        let Some(machine) = &mut self.broker.machine else { return Ok(false) };
        let mut out = Vec::new();
        machine.handle(now, input, &mut out);
        let any = !out.is_empty();
        let mut failed = Failed::default();
        self.broker_acts(out, &mut failed)?;
        self.tell_broker(&mut failed)?;
        self.arm(Who::Broker);
        Ok(any)
    }

    /// Tells the broker what was not sent, and what has not been read, until there is nothing more to tell.
    fn tell_broker(&mut self, failed: &mut Failed) -> Check {
        let now = self.broker.process.clock(self.now);
        loop {
            let Some(input) = failed.next().or_else(|| self.next_unread()) else { return Ok(()) };
            let Some(machine) = &mut self.broker.machine else { return Ok(()) };
            let mut out = Vec::new();
            machine.handle(now, input, &mut out);
            self.broker_acts(out, failed)?;
        }
    }

    /// Something was read: the broker's driver finds out.
    pub(crate) fn look_at_unread(&mut self) -> Check {
        let process = &self.broker.process;
        if process.up && !process.frozen && self.stale_unread().is_some() {
            self.tell_broker(&mut Failed::default())?;
            self.arm(Who::Broker);
        }
        Ok(())
    }

    /// A session whose connection has another number of unread bytes than was reported.
    fn stale_unread(&self) -> Option<(Key, Unread)> {
        let steps = |bytes: usize| if bytes < STEP { 0 } else { bytes };
        self.broker.unread.iter().find_map(|(session, unread)| {
            let now = Unread { bytes: steps(self.net.unread(unread.conn)), ..*unread };
            let stale = now.bytes.abs_diff(unread.bytes) >= STEP
                || now.bytes == 0 && (unread.bytes > 0 || !self.broker.open.contains_key(session));
            stale.then_some((*session, now))
        })
    }

    fn next_unread(&mut self) -> Option<Input<'static, Body>> {
        let (session, unread) = self.stale_unread()?;
        match unread.bytes == 0 && !self.broker.open.contains_key(&session) {
            true => self.broker.unread.remove(&session),
            false => self.broker.unread.insert(session, unread),
        };
        Some(Input::Unread { session, bytes: unread.bytes })
    }

    fn broker_acts(&mut self, out: Vec<Action<Body>>, failed: &mut Failed) -> Check {
        for action in out {
            match action {
                Action::Open { session, route } => {
                    let heard = self.broker.process.machine_time(self.now);
                    let opened = Opened { conn: Net::conn_of(&route), heard, expiry: 0 };
                    if self.broker.open.insert(session, opened).is_some() {
                        broken("I8", format!("session {session:?} was opened twice"))?;
                    }
                    let conn = Net::conn_of(&route);
                    // What this connection has not read counts for its new session.
                    for before in self.broker.unread.values_mut().filter(|it| it.conn == conn) {
                        before.conn = NOWHERE;
                    }
                    self.broker.unread.insert(session, Unread { conn, bytes: 0 });
                }
                Action::Send { to, record } => self.broker_sends(to, record, failed)?,
                Action::Answer { route, record } => {
                    // Nobody is told if this cannot be sent: there is no session.
                    let _ = self.send_down(Net::conn_of(&route), outgoing(record, BROKER));
                }
                Action::Close { session } => {
                    if self.broker.open.remove(&session).is_none() {
                        broken("I8", format!("session {session:?} was closed twice"))?;
                    }
                }
                Action::Note(note) => {
                    self.trace.note(self.now, &[4], || format!("  note {note:?}"));
                }
                Action::Ask(question) => self.hooks_hear(*question),
                Action::SendClassic { .. }
                | Action::AnswerClassic { .. }
                | Action::Pause { .. }
                | Action::Resume { .. } => {
                    unreachable!("nobody here speaks classic MDP")
                }
                Action::Closed => self.broker_closed(),
            }
        }
        Ok(())
    }

    fn broker_sends(&mut self, to: Key, record: Outgoing<Body>, failed: &mut Failed) -> Check {
        let Some(opened) = self.broker.open.get_mut(&to) else {
            let text = format!("{record:?} was sent to {to:?}, which is closed or never was open");
            return broken("I8", text);
        };
        if let Record::Welcome { heartbeat, liveness, .. } = &record {
            opened.expiry = heartbeat.times(u64::from(*liveness)).as_ms();
        }
        let Opened { conn, heard, expiry } = *opened;
        if let Record::Disconnect(DisconnectReason::Unexpected) = &record {
            let peer = self.net.conns[conn].peer;
            if !matches!(self.peers[peer].role, Role::Hostile(_)) {
                broken("I14", format!("peer {peer} is turned out, and keeps to the protocol"))?;
            }
        }
        if let Record::Request { call, peer: caller, body, .. } = &record {
            self.check_caller(caller, body)?;
            let now = self.broker.process.machine_time(self.now);
            let patience = self.plan.broker.heartbeat.as_ms() + SLACK;
            if now > (heard + expiry).max(self.broker.paused) + patience {
                let silence = now - heard;
                broken("I9", format!("{to:?}, silent for {silence} ms, was given call {call:x}"))?;
            }
            if self.net.conns[conn].leaving {
                broken("I18", format!("{to:?} has closed its side, and was given call {call:x}"))?;
            }
            self.broker.handles.push_back(*call);
            if self.broker.handles.len() > 8 {
                self.broker.handles.pop_front();
            }
            let peer = self.net.conns[conn].peer;
            if matches!(self.peers[peer].role, Role::Hostile(_)) {
                self.ledger.given_to_hostile(body.uid, peer);
            }
        }
        // What follows a record that was not taken is not sent either: there is no gap.
        let record = outgoing(record, BROKER);
        let unread = self.net.unread(conn);
        let max = self.plan.broker.limits.unread_bytes_per_session;
        // One that reads may be sent a record of any size. After the storm all read fast enough.
        let over = self.storm && unread > max / 2 && unread + weight(&record) > max;
        let sent = match failed.has(to) {
            true => Err((record, None)),
            false if over => Err((record, Some(Limit::UnreadBytesPerSession))),
            false => self.send_down(conn, record).map_err(|record| (record, None)),
        };
        if let Err((record, limit)) = sent {
            failed.add(to, record, limit);
        }
        Ok(())
    }

    /// The broker is done: its process ends, and what it sent last still arrives.
    fn broker_closed(&mut self) {
        self.trace.note(self.now, &[5], || "  the broker is closed".into());
        for conn in self.net.live() {
            self.net.conns[conn].cut = true;
            let at = self.net.conns[conn].down.last.max(self.now) + 20;
            self.at(at, Event::PeerSees(conn));
        }
        self.broker_down();
    }

    /// The broker's process is gone; unless the world ends it comes again.
    pub(crate) fn broker_down(&mut self) {
        self.broker.machine = None;
        self.broker.process.up = false;
        self.broker.process.frozen = false;
        self.broker.process.inbox.clear();
        self.broker.process.wake_at = None;
        if !self.ending {
            let pause = self.rng.range(10, 4_000);
            let life = self.broker.process.life;
            self.after(pause, Event::Restart { who: Who::Broker, life });
        }
    }
}

/// What the transport did not take, in the order in which the broker is told.
#[derive(Default)]
struct Failed {
    requests: Vec<(Key, u64, Body)>,
    sessions: Vec<(Key, Option<Limit>)>,
}

impl Failed {
    fn has(&self, session: Key) -> bool {
        self.sessions.iter().any(|(failed, _)| *failed == session)
    }

    fn add(&mut self, to: Key, record: Msg, limit: Option<Limit>) {
        if let Record::Request { call, body, .. } = record {
            self.requests.push((to, call, body));
        }
        if !self.has(to) {
            self.sessions.push((to, limit));
        }
    }

    fn next(&mut self) -> Option<Input<'static, Body>> {
        if !self.requests.is_empty() {
            let (to, call, body) = self.requests.remove(0);
            return Some(Input::Undelivered { to, call, body });
        }
        self.sessions.pop().map(|(session, limit)| match limit {
            Some(limit) => Input::Overfull { session, limit },
            None => Input::Unreachable { session },
        })
    }
}
