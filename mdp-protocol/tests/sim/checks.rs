//! What must be true after every step, and what must be true once the faults have stopped.

use mdp_protocol::{Code, Limits, Span, broker};

use crate::actors::Role;
use crate::ledger::{Check, broken};
use crate::world::{Event, Who, World};

/// How long after the last fault everybody must have found the broker again.
const RECOVERY: u64 = 60_000;

impl World {
    pub(crate) fn check_step(&mut self) -> Check {
        if !self.settings.audit {
            return Ok(());
        }
        let Some(machine) = &self.broker.machine else { return Ok(()) };
        if let Err(text) = machine.audit() {
            broken("I5", text)?;
        }
        let (stats, limits) = (machine.stats(), &self.plan.broker.limits);
        let reported: usize = self.broker.unread.values().map(|unread| unread.bytes).sum();
        if stats.unread_bytes != reported {
            let counted = stats.unread_bytes;
            broken("I5", format!("{reported} bytes are reported as unread, {counted} count"))?;
        }
        let bounds = [
            ("held_bytes", stats.held_bytes, limits.held_bytes),
            ("sessions", stats.sessions, limits.sessions),
            ("queued", stats.queued, limits.calls),
            ("services", stats.services, limits.services + limits.unserved_services),
        ];
        for (name, is, max) in bounds {
            if is > max {
                broken("I5", format!("{name} is {is}, the limit is {max}"))?;
            }
        }
        if stats.sessions != self.broker.open.len() {
            let (there, open) = (stats.sessions, self.broker.open.len());
            broken("I8", format!("the broker has {there} sessions and told of {open}"))?;
        }
        Ok(())
    }

    /// The faults stop: everybody finds the broker again, all calls end, nothing is left of them,
    /// and new ones succeed.
    pub(crate) fn check_recovery(&mut self) -> Check {
        self.heal();
        let longest = self.plan.timeout.max(5_000);
        self.run_for(longest + 5_000)?;
        let mut waited = longest + 5_000;
        while !self.all_connected() && waited < RECOVERY {
            self.run_for(1_000)?;
            waited += 1_000;
        }
        if !self.all_connected() {
            let lost: Vec<usize> = self.disconnected();
            broken("I2", format!("{lost:?} did not find the broker in {RECOVERY} ms"))?;
        }
        // READY follows WELCOME.
        self.run_for(1_000)?;
        self.check_quiet()?;
        self.check_probes()?;
        self.check_burst()?;
        self.check_quiet()
    }

    fn heal(&mut self) {
        self.trace.note(self.now, &[16], || "! the faults stop".into());
        self.storm = false;
        self.plan.drop = 0;
        self.plan.full = 0;
        for peer in 0..self.peers.len() {
            if matches!(self.peers[peer].role, Role::Hostile(_)) {
                self.crash(peer);
            }
            self.thaw_now(Who::Peer(peer));
        }
        self.thaw_now(Who::Broker);
        self.unblock();
        // Behind what thaws.
        self.after(1, Event::NewPolicy);
    }

    fn thaw_now(&mut self, who: Who) {
        let life = self.process(who).life;
        self.after(0, Event::Thaw { who, life });
    }

    fn disconnected(&self) -> Vec<usize> {
        let out = |peer: &usize| {
            let it = &self.peers[*peer];
            !it.connected && !matches!(it.role, Role::Hostile(_))
        };
        (0..self.peers.len()).filter(out).collect()
    }

    fn all_connected(&self) -> bool {
        self.broker.process.up && self.disconnected().is_empty()
    }

    fn check_quiet(&self) -> Check {
        if !self.broker.machine.as_ref().is_some_and(broker::Broker::is_quiet) {
            let stats = self.broker.machine.as_ref().map(broker::Broker::stats);
            broken("I12", format!("something is left in the broker: {stats:?}"))?;
        }
        for (peer, it) in self.peers.iter().enumerate() {
            let left = match &it.role {
                Role::Worker(worker) => worker.machine.running(),
                Role::Client(client) => client.machine.pending(),
                Role::Hostile(_) => 0,
            };
            let streams = match &it.role {
                Role::Worker(worker) => worker.streams.len(),
                Role::Client(client) => client.streams.len(),
                Role::Hostile(_) => 0,
            };
            if left + streams > 0 {
                let text = format!("{left} calls and {streams} streams are left in peer {peer}");
                broken("I12", text)?;
            }
        }
        Ok(())
    }

    /// Each client calls each service that somebody offers: all succeed.
    fn check_probes(&mut self) -> Check {
        let mut probes = Vec::new();
        for peer in 0..self.peers.len() {
            if !matches!(self.peers[peer].role, Role::Client(_)) {
                continue;
            }
            for service in self.offered() {
                probes.push(self.probe(peer, format!("{service}/M"))?);
                // Longer than there and back, and until it has ended, so that small limits are no
                // reason to fail.
                self.run_for(900)?;
                for _ in 0..10 {
                    if self.is_open(&probes) {
                        self.run_for(700)?;
                    }
                }
            }
        }
        self.check_succeeded(&probes)
    }

    /// All clients at once make more calls than the workers can take: each waits for its turn.
    fn check_burst(&mut self) -> Check {
        if self.plan.broker.limits != Limits::default() {
            return Ok(());
        }
        let mut probes = Vec::new();
        let services = self.offered();
        let service = &services[self.rng.below(services.len())];
        for peer in 0..self.peers.len() {
            for _ in 0..3 {
                if matches!(self.peers[peer].role, Role::Client(_)) {
                    probes.push(self.probe(peer, format!("{service}/M"))?);
                }
            }
        }
        self.run_for(20_000)?;
        self.check_succeeded(&probes)
    }

    fn is_open(&self, probes: &[u32]) -> bool {
        let last = probes.last().and_then(|uid| self.ledger.entry(*uid));
        last.is_some_and(|entry| entry.ended.is_none())
    }

    fn check_succeeded(&self, probes: &[u32]) -> Check {
        for uid in probes {
            let ended = self.ledger.entry(*uid).and_then(|entry| entry.ended);
            if ended.is_none_or(|ended| ended.code != Code::Ok) {
                broken("I11", format!("the faults had stopped and call {uid} ended as {ended:?}"))?;
            }
        }
        Ok(())
    }

    fn offered(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for peer in &self.peers {
            let Role::Worker(worker) = &peer.role else { continue };
            names.extend(
                worker.offers.iter().map(|o| String::from_utf8_lossy(&o.service).into_owned()),
            );
        }
        names.sort();
        names.dedup();
        names
    }

    /// Everybody is told to go while calls run: all do so in time, and no call is forgotten.
    pub(crate) fn check_shutdown(&mut self) -> Check {
        self.ending = true;
        self.storm = true; // users make calls again
        self.plan.faults.clear();
        for peer in 0..self.peers.len() {
            if matches!(self.peers[peer].role, Role::Client(_)) {
                let life = self.peers[peer].process.life;
                self.user_calls(peer, life)?;
            }
        }
        self.run_for(200)?;
        let mut order: Vec<Who> = (0..self.peers.len()).map(Who::Peer).collect();
        order.push(Who::Broker);
        while !order.is_empty() {
            let next = self.rng.below(order.len());
            match order.swap_remove(next) {
                Who::Peer(peer) if self.peers[peer].process.up => self.drain_peer(peer, 2_000)?,
                Who::Peer(_) => {}
                Who::Broker => {
                    let grace = Span::from_ms(2_000);
                    self.broker_input(broker::Input::Shutdown { grace })?;
                }
            }
            let pause = self.rng.range(0, 300);
            self.run_for(pause)?;
            // Some calls come to peers that close; most of them would say nothing new.
            self.storm = self.rng.percent(50) && self.storm;
        }
        self.storm = false;
        self.run_for(3_000)?;
        self.check_all_gone()
    }

    fn check_all_gone(&self) -> Check {
        if self.broker.process.up {
            broken("I2", "the broker did not close in its grace period".into())?;
        }
        for (peer, it) in self.peers.iter().enumerate() {
            if it.process.up {
                broken("I2", format!("peer {peer} did not close in its grace period"))?;
            }
        }
        for uid in 0..self.ledger.len() as u32 {
            let Some(entry) = self.ledger.entry(uid) else { continue };
            // A client that vanished took its calls with it.
            let last_life = self.peers[entry.client].process.life == entry.life;
            if last_life && entry.ended.is_none() && !entry.given_up {
                broken("I2", format!("call {uid} never had an outcome"))?;
            }
        }
        Ok(())
    }
}
