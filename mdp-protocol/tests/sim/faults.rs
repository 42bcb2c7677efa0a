//! What goes wrong, and how it is put right.

use mdp_protocol::{Span, broker, client, worker};

use crate::actors::Role;
use crate::ledger::Check;
use crate::plan::Fault;
use crate::world::{Event, Who, World};

impl World {
    /// Something goes wrong, and more later.
    pub(crate) fn fault(&mut self) -> Check {
        if !self.storm {
            return Ok(());
        }
        let pause = self.rng.around(self.plan.fault_every);
        self.after(pause, Event::Fault);
        let fault = self.rng.pick(&self.plan.faults.clone());
        self.trace.note(self.now, &[14, fault as u64], || format!("! {fault:?}"));
        if self.rng.percent(10) {
            self.hostile_noise()?;
        }
        match fault {
            Fault::Cut => self.cut_one(),
            Fault::Partition => self.partition(),
            Fault::CrashPeer => self.crash_peer(),
            Fault::CrashBroker => self.crash_broker(),
            Fault::FreezePeer => {
                let peer = self.rng.below(self.peers.len());
                self.freeze(Who::Peer(peer));
            }
            Fault::FreezeBroker => self.freeze(Who::Broker),
            Fault::StepClock => self.step_clock(),
            Fault::DrainWorker => self.drain_one(true)?,
            Fault::CloseClient => self.drain_one(false)?,
            Fault::DrainBroker => self.drain_broker()?,
        }
        Ok(())
    }

    fn cut_one(&mut self) {
        let live = self.net.live();
        if !live.is_empty() {
            let conn = self.rng.pick(&live);
            self.cut(conn);
        }
    }

    fn partition(&mut self) {
        let live = self.net.live();
        if live.is_empty() {
            return;
        }
        let conn = self.rng.pick(&live);
        let until = self.now + self.rng.range(10, 6_000);
        let conn = &mut self.net.conns[conn];
        match self.rng.range(0, 2) {
            0 => conn.up.blocked_until = until,
            1 => conn.down.blocked_until = until,
            _ => {
                conn.up.blocked_until = until;
                conn.down.blocked_until = until;
            }
        }
    }

    fn crash_peer(&mut self) {
        let peer = self.rng.below(self.peers.len());
        self.crash(peer);
    }

    /// A peer's process vanishes.
    pub(crate) fn crash(&mut self, peer: usize) {
        if !self.peers[peer].process.up {
            return;
        }
        self.trace.note(self.now, &[15, peer as u64], || format!("  peer {peer} vanishes"));
        if let Some(socket) = self.peers[peer].socket.take() {
            self.net.sockets[socket].open = false;
            if let Some(conn) = self.net.sockets[socket].conn {
                self.cut(conn);
            }
        }
        self.peer_down(peer);
    }

    fn crash_broker(&mut self) {
        if self.broker.process.up {
            self.cut_all();
            self.broker_down();
        }
    }

    fn freeze(&mut self, who: Who) {
        let pause = match self.rng.percent(50) {
            true => self.rng.range(1, 500),
            false => self.rng.range(500, 8_000),
        };
        let process = self.process(who);
        if process.up && !process.frozen {
            process.frozen = true;
            let life = process.life;
            self.after(pause, Event::Thaw { who, life });
        }
    }

    fn step_clock(&mut self) {
        let n = self.rng.below(self.peers.len() + 1);
        let who = if n == self.peers.len() { Who::Broker } else { Who::Peer(n) };
        let by = match self.rng.percent(70) {
            true => self.rng.range(1, 20_000) as i64,
            false => -(self.rng.range(1, 2_000) as i64),
        };
        let now = self.now;
        self.process(who).step_clock(now, by);
        if who == Who::Broker {
            self.broker.paused = self.broker.process.machine_time(now);
        }
        self.arm(who);
    }

    /// A worker leaves or a client closes in good order.
    fn drain_one(&mut self, workers: bool) -> Check {
        let fits = |role: &Role| match role {
            Role::Worker(_) => workers,
            Role::Client(_) => !workers,
            Role::Hostile(_) => false,
        };
        let peers: Vec<usize> = (0..self.peers.len())
            .filter(|peer| fits(&self.peers[*peer].role))
            .filter(|peer| self.peers[*peer].process.up && !self.peers[*peer].process.frozen)
            .collect();
        if peers.is_empty() {
            return Ok(());
        }
        let peer = self.rng.pick(&peers);
        let grace = self.rng.pick(&[0, 100, 3_000]);
        self.drain_peer(peer, grace)
    }

    /// Asks a peer to close within `grace` milliseconds.
    pub(crate) fn drain_peer(&mut self, peer: usize, grace: u64) -> Check {
        let grace = Span::from_ms(grace);
        match self.peers[peer].role {
            Role::Worker(_) => self.worker_input(peer, worker::Input::Drain { grace })?,
            Role::Client(_) => self.client_input(peer, client::Input::Close { grace })?,
            Role::Hostile(_) => false,
        };
        Ok(())
    }

    fn drain_broker(&mut self) -> Check {
        if self.broker.process.up && !self.broker.process.frozen {
            let grace = Span::from_ms(self.rng.pick(&[0, 200, 3_000]));
            self.broker_input(broker::Input::Shutdown { grace })?;
        }
        Ok(())
    }

    pub(crate) fn restart(&mut self, who: Who, life: u32) -> Check {
        let process = self.process(who);
        if process.up || process.life != life {
            return Ok(());
        }
        match who {
            Who::Broker => self.start_broker(),
            // Hostile peers belong to the storm.
            Who::Peer(peer) if matches!(self.peers[peer].role, Role::Hostile(_)) && !self.storm => {
            }
            Who::Peer(peer) => self.restart_peer(peer),
        }
        Ok(())
    }
}
