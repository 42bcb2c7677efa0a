//! The users of the clients: which calls they make, and what they note about each.

use std::sync::Arc;

use mdp_protocol::client::{self, Outcome};
use mdp_protocol::wire::CallKind;
use mdp_protocol::{Code, Key, Reason, Span};

use crate::actors::Role;
use crate::body::{Body, Kind, Shape};
use crate::ledger::{Check, broken};
use crate::world::{Event, Who, World};

/// Paths that are none.
const ODD_PATHS: [&str; 5] = ["", "nothing", "/M", "s0.S/", "s0.S /M"];

/// How late the outcome of a call may be.
const GRACE: u64 = 250;

impl World {
    /// A user makes a call, and another one later.
    pub(crate) fn user_calls(&mut self, peer: usize, life: u32) -> Check {
        let process = &self.peers[peer].process;
        if !self.storm || !process.up || process.life != life {
            return Ok(());
        }
        let frozen = process.frozen;
        let pause = self.rng.around(self.plan.call_every);
        self.after(pause, Event::Call { peer, life });
        if frozen {
            return Ok(());
        }
        let burst = if self.rng.percent(5) { self.rng.range(2, 6) } else { 1 };
        for _ in 0..burst {
            self.call(peer)?;
        }
        Ok(())
    }

    fn call(&mut self, peer: usize) -> Check {
        let service = self.rng.below(self.plan.services + 1);
        let path = match self.rng.percent(self.plan.odd) {
            true => self.rng.pick(&ODD_PATHS).to_string(),
            false if service == self.plan.services => "none.S/M".into(),
            false => format!("s{service}.S/M"),
        };
        let timeout = match self.rng.range(0, 9) {
            0 => self.rng.range(0, 20),
            _ => self.rng.range(1, self.plan.timeout),
        };
        let target = self.rng.percent(self.plan.targeted).then(|| {
            // One more than there are: nobody has that id.
            self.rng.below(self.plan.workers + 1)
        });
        let idempotent = self.rng.percent(self.plan.idempotent);
        let size = self.rng.range(10, self.plan.size) as u32;
        let kind = self.some_kind();
        let wish = Wish { path, timeout, target, idempotent, size, kind, probe: false };
        self.make_call(peer, wish)?;
        Ok(())
    }

    /// Makes a call whose success is certain if all is well. Gives its number.
    pub(crate) fn probe(
        &mut self,
        peer: usize,
        path: String,
    ) -> Result<u32, crate::ledger::Broken> {
        let (kind, timeout) = (self.some_kind(), 20_000);
        let (target, idempotent, size, probe) = (None, true, 10, true);
        self.make_call(peer, Wish { path, timeout, target, idempotent, size, kind, probe })
    }

    fn some_kind(&mut self) -> CallKind {
        match self.rng.percent(self.plan.streams) {
            true => self.rng.pick(&[
                CallKind::ClientStreaming,
                CallKind::ServerStreaming,
                CallKind::BidiStreaming,
            ]),
            false => CallKind::Unary,
        }
    }

    fn make_call(&mut self, peer: usize, wish: Wish) -> Result<u32, crate::ledger::Broken> {
        let process = &mut self.peers[peer].process;
        let life = process.life;
        process.clock(self.now);
        let timeout = Span::from_ms(wish.timeout);
        let deadline = mdp_protocol::Time::from_ms(process.machine_time(self.now)) + timeout;
        let due = process.world_time(self.now, deadline + Span::from_ms(GRACE));
        let uid = self.ledger.open(peer, life, deadline, wish.probe);
        if let Some(entry) = self.ledger.entry_mut(uid) {
            entry.idempotent = wish.idempotent;
            entry.target = wish.target;
            entry.kind = wish.kind;
        }
        self.at(due, Event::Due { uid });
        self.trace.note(self.now, &[11, uid.into()], || {
            format!("  client {peer} makes call {uid}: {wish:?}")
        });
        if let Role::Client(client) = &mut self.peers[peer].role {
            client.waiting += 1;
        }
        let body = Body {
            path: Arc::from(wish.path.into_bytes()),
            kind: Kind::Request,
            uid,
            by: peer as u32,
            run: 0,
            n: 0,
            size: wish.size,
            form: Shape::Typed,
        };
        let worker = wish.target.map(|number| format!("w{number}").into_bytes());
        let begin_within = match wish.probe {
            true => timeout,
            false => Span::from_ms(self.rng.range(1, 2 * wish.timeout.max(1))),
        };
        let call = client::Call {
            token: uid,
            timeout,
            begin_within,
            idempotent: wish.idempotent,
            worker: Arc::from(worker.unwrap_or_default()),
            kind: wish.kind,
            body,
        };
        self.client_input(peer, client::Input::Call(call))?;
        self.begin_user(peer, uid, wish.kind, wish.probe);
        if !wish.probe {
            self.plan_to_abandon(peer, life, uid, wish.timeout);
        }
        Ok(uid)
    }

    /// Some users lose their patience, at any moment of a call.
    fn plan_to_abandon(&mut self, peer: usize, life: u32, uid: u32, timeout: u64) {
        let Role::Client(client) = &self.peers[peer].role else { return };
        let Some(call) = client.newest() else { return };
        if self.rng.percent(self.plan.given_up) {
            let patience = self.rng.range(0, timeout.max(1));
            self.after(patience, Event::Abandon { peer, life, uid, call });
        }
    }

    /// Also when the call has ended meanwhile, or its process has: then nothing happens.
    pub(crate) fn abandon(&mut self, peer: usize, life: u32, uid: u32, call: Key) -> Check {
        let process = &self.peers[peer].process;
        if process.life != life || !process.up || process.frozen {
            return Ok(());
        }
        let Some(entry) = self.ledger.entry_mut(uid) else { return Ok(()) };
        if entry.ended.is_none() {
            entry.given_up = true;
            if let Role::Client(client) = &mut self.peers[peer].role {
                client.waiting = client.waiting.saturating_sub(1);
                client.streams.remove(&call);
            }
        }
        self.trace.note(self.now, &[17, uid.into()], || format!("  call {uid} is given up"));
        self.client_input(peer, client::Input::Cancel(call))?;
        Ok(())
    }

    /// A client tells how a call ended.
    pub(crate) fn call_ended(
        &mut self,
        peer: usize,
        life: u32,
        uid: u32,
        outcome: &Outcome<Body>,
    ) -> Check {
        self.trace.note(self.now, &[12, uid.into()], || format!("  call {uid} ends: {outcome:?}"));
        let ended = self.ledger.end(uid, peer, life, outcome)?;
        self.streams_ended(peer, uid, outcome)?;
        if let Role::Client(client) = &mut self.peers[peer].role {
            client.waiting = client.waiting.saturating_sub(1);
        }
        let lost = ended.code == Code::Cancelled || ended.reason == Some(Reason::MaybeExecuted);
        if lost && self.plan.calm && !self.ending {
            broken("I10", format!("call {uid} ended as {ended:?} though nothing went wrong"))?;
        }
        Ok(())
    }

    /// A call must have ended, unless its client's process is gone, stands still or has a clock
    /// that does.
    pub(crate) fn check_due(&mut self, uid: u32) -> Check {
        let Some(entry) = self.ledger.entry(uid) else { return Ok(()) };
        if entry.ended.is_some() || entry.given_up {
            return Ok(());
        }
        let (peer, life, deadline) = (entry.client, entry.life, entry.deadline);
        let process = &self.peers[peer].process;
        if process.life != life || !process.up {
            return Ok(());
        }
        let limit = deadline + Span::from_ms(GRACE);
        if process.frozen {
            self.after(GRACE, Event::Due { uid });
        } else if process.machine_time(self.now) < limit.as_ms() {
            let at = process.world_time(self.now, limit).max(self.now + 1);
            self.at(at, Event::Due { uid });
        } else if self.now < process.thawed_at + GRACE {
            let at = process.thawed_at + GRACE;
            self.at(at, Event::Due { uid });
        } else {
            broken("I2", format!("call {uid} has no outcome {GRACE} ms after its deadline"))?;
        }
        Ok(())
    }

    /// Wakes a frozen process: it handles what came meanwhile, its timers first or last.
    pub(crate) fn thaw(&mut self, who: Who, life: u32) -> Check {
        let now = self.now;
        let process = self.process(who);
        if process.life != life || !process.frozen {
            return Ok(());
        }
        process.frozen = false;
        process.thawed_at = now;
        process.wake_at = None;
        let (letters, clock) = (std::mem::take(&mut process.inbox), process.machine_time(now));
        if who == Who::Broker {
            self.broker.paused = clock;
        }
        self.trace.note(now, &[13], || format!("  {who:?} goes on"));
        let timers_first = self.rng.percent(50);
        if timers_first {
            self.tick(who)?;
        }
        for letter in letters {
            self.give(who, letter)?;
        }
        if self.process(who).up {
            self.tick(who)?;
        }
        Ok(())
    }
}

/// A call as a user wants it.
#[derive(Debug)]
struct Wish {
    path: String,
    timeout: u64,
    target: Option<usize>,
    idempotent: bool,
    size: u32,
    kind: CallKind,
    probe: bool,
}
