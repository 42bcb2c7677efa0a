//! The drivers of workers and clients: what their machines say is done in the simulated network.

use std::collections::BTreeMap;
use std::sync::Arc;

use mdp_protocol::wire::CallKind;
use mdp_protocol::worker::{self, AbortCause, Offer, Worker};
use mdp_protocol::{
    Code, ConnectionState, Key, LossCause, SessionAction, SessionConfig, Time, client,
};

use crate::actors::{ClientActor, Finish, HostileActor, Peer, Process, Role, WorkerActor};
use crate::body::{Body, Kind, Msg, incoming, outgoing};
use crate::ledger::{Broken, Check, broken};
use crate::net::SocketId;
use crate::streams::Begin;
use crate::world::{Event, Who, World};

impl World {
    /// All processes start.
    pub(crate) fn populate(&mut self) {
        self.start_broker();
        for number in 0..self.plan.workers {
            let (offers, window) = (self.some_offers(number), self.plan.window);
            let id = format!("w{number}").into_bytes();
            self.add_peer(id, |session| {
                let machine = new_worker(&offers, session, window);
                let (running, streams) = (BTreeMap::new(), BTreeMap::new());
                Role::Worker(WorkerActor { machine, offers, running, streams })
            });
        }
        for _ in 0..self.plan.clients {
            let (calls, window) = (self.plan.client_calls, self.plan.window);
            self.add_peer(Vec::new(), |session| Role::Client(new_client(session, calls, window)));
        }
        for _ in 0..self.plan.hostiles {
            self.add_peer(b"evil".to_vec(), |_| Role::Hostile(HostileActor::default()));
        }
        for peer in 0..self.peers.len() {
            self.begin_peer(peer);
        }
        if !self.plan.faults.is_empty() {
            let pause = self.rng.around(self.plan.fault_every);
            self.after(pause, Event::Fault);
        }
    }

    fn add_peer(&mut self, id: Vec<u8>, role: impl FnOnce(SessionConfig) -> Role) {
        let session = self.session_config(&id);
        let mut process = Process::default();
        process.restart();
        self.peers.push(Peer {
            process,
            id,
            socket: None,
            linked: false,
            connected: false,
            role: role(session),
        });
    }

    /// Each worker offers one service for certain, so that each service has somebody if there are
    /// enough workers.
    fn some_offers(&mut self, number: usize) -> Vec<Offer> {
        let services = self.plan.services;
        let mut offers = Vec::new();
        for service in 0..services {
            if service == number % services || self.rng.percent(30) {
                let service = Arc::from(format!("s{service}.S").into_bytes());
                let capacity = self.rng.pick(&[1, 1, 2, 4, 100]);
                // Some say what they were built with, and not all the same.
                let schema = (!number.is_multiple_of(3)).then_some([(number % 3) as u8; 16]);
                offers.push(Offer { service, capacity, schema });
            }
        }
        offers
    }

    fn session_config(&mut self, id: &[u8]) -> SessionConfig {
        SessionConfig { id: id.to_vec(), seed: self.rng.next(), ..self.plan.session.clone() }
    }

    /// The first sign of life of a process.
    fn begin_peer(&mut self, peer: usize) {
        let pause = self.rng.range(0, 50);
        let life = self.peers[peer].process.life;
        match self.peers[peer].role {
            Role::Worker(_) => {}
            Role::Client(_) => {
                let first = self.rng.around(self.plan.call_every);
                self.after(pause + first, Event::Call { peer, life });
            }
            Role::Hostile(_) => {
                self.hostile_connects(peer);
                self.after(pause, Event::Hostile { peer, life });
            }
        }
        self.arm(Who::Peer(peer));
    }

    /// A process that was down comes again, with nothing but its settings.
    pub(crate) fn restart_peer(&mut self, peer: usize) {
        let id = self.peers[peer].id.clone();
        let session = self.session_config(&id);
        let (calls, window) = (self.plan.client_calls, self.plan.window);
        let it = &mut self.peers[peer];
        it.process.restart();
        match &mut it.role {
            Role::Worker(worker) => {
                worker.machine = new_worker(&worker.offers, session, window);
                worker.running.clear();
                worker.streams.clear();
            }
            Role::Client(client) => {
                *client = new_client(session, calls, window);
            }
            Role::Hostile(hostile) => *hostile = HostileActor::default(),
        }
        self.trace.note(self.now, &[6, peer as u64], || format!("  peer {peer} starts"));
        self.begin_peer(peer);
    }

    pub(crate) fn peer_tick(&mut self, peer: usize) -> Result<bool, Broken> {
        match &self.peers[peer].role {
            Role::Worker(_) => self.worker_input(peer, worker::Input::Tick),
            Role::Client(_) => self.client_input(peer, client::Input::Tick),
            Role::Hostile(_) => Ok(false),
        }
    }

    pub(crate) fn peer_hears(&mut self, peer: usize, socket: SocketId, msg: Msg) -> Check {
        // A letter that waited in the inbox may be for a socket that is closed by now.
        if self.peers[peer].socket != Some(socket) {
            return Ok(());
        }
        match &self.peers[peer].role {
            Role::Worker(_) => {
                self.worker_input(peer, worker::Input::Record(incoming(&msg)))?;
            }
            Role::Client(_) => {
                self.client_input(peer, client::Input::Record(incoming(&msg)))?;
            }
            Role::Hostile(_) => self.hostile_hears(peer, msg),
        }
        Ok(())
    }

    /// A peer's driver hears that the connection is lost. Nothing that the socket still holds goes out.
    pub(crate) fn peer_loses(&mut self, peer: usize, socket: SocketId) -> Check {
        if self.peers[peer].socket != Some(socket) {
            return Ok(());
        }
        self.close_socket(peer);
        match &self.peers[peer].role {
            Role::Worker(_) => self.worker_input(peer, worker::Input::Broken).map(|_| ()),
            Role::Client(_) => self.client_input(peer, client::Input::Broken).map(|_| ()),
            Role::Hostile(_) => Ok(()),
        }
    }

    /// Gives a worker an input and does what it says. Whether it said anything.
    pub(crate) fn worker_input(
        &mut self,
        peer: usize,
        input: worker::Input<'_, Body>,
    ) -> Result<bool, Broken> {
        let now = self.peers[peer].process.clock(self.now);
        let Role::Worker(worker) = &mut self.peers[peer].role else { return Ok(false) };
        let mut out = Vec::new();
        worker.machine.handle(now, input, &mut out);
        let any = !out.is_empty();
        for action in out {
            self.worker_acts(peer, action)?;
        }
        if let Role::Worker(worker) = &self.peers[peer].role
            && worker.machine.running() != worker.running.len()
        {
            let (machine, truth) = (worker.machine.running(), worker.running.len());
            broken("I12", format!("worker {peer} counts {machine} handlers of {truth}"))?;
        }
        self.arm(Who::Peer(peer));
        Ok(any)
    }

    fn worker_acts(&mut self, peer: usize, action: worker::Action<Body>) -> Check {
        match action {
            worker::Action::Session(action) => self.session_acts(peer, action),
            worker::Action::Start { call, service, deadline, kind, body, .. } => {
                self.start_handler(peer, call, service, deadline, kind, &body)
            }
            worker::Action::Part { call, part } => self.worker_gets(peer, call, part),
            worker::Action::Credit { call, units } => self.may_send(peer, call, units),
            worker::Action::Abort { call, cause: AbortCause::BadItem } => {
                broken("I14", format!("worker {peer} ends {call:?} for an item within its credit"))
            }
            worker::Action::Abort { call, cause } => {
                self.trace.note(self.now, &[7, call.as_u64()], || {
                    format!("  worker {peer} aborts {call:?}: {cause:?}")
                });
                let Role::Worker(worker) = &mut self.peers[peer].role else { return Ok(()) };
                worker.streams.remove(&call);
                match worker.running.remove(&call) {
                    Some(_) => Ok(()),
                    None => broken("I12", format!("worker {peer} aborts {call:?}, not running")),
                }
            }
            worker::Action::Draining
            | worker::Action::Offered
            | worker::Action::Granted { .. }
            | worker::Action::Demand { .. } => Ok(()),
            worker::Action::Closed => {
                self.peer_closed(peer);
                Ok(())
            }
        }
    }

    fn start_handler(
        &mut self,
        peer: usize,
        call: Key,
        service: usize,
        deadline: Time,
        kind: CallKind,
        body: &Body,
    ) -> Check {
        let run = self.ledger.start(body.uid, peer)?;
        self.trace.note(self.now, &[8, u64::from(body.uid), peer as u64], || {
            format!("  worker {peer} starts call {} as {call:?} until {deadline}", body.uid)
        });
        let entry = self.ledger.entry(body.uid);
        let probe = entry.is_some_and(|entry| entry.probe);
        if entry.is_some_and(|entry| entry.kind != kind) {
            broken("I3", format!("call {} was started as {kind:?}", body.uid))?;
        }
        let Role::Worker(worker) = &mut self.peers[peer].role else { return Ok(()) };
        let offer = &worker.offers[service];
        if !body.path.starts_with(&offer.service) {
            broken("I3", format!("worker {peer} runs {body:?} as {offer:?}"))?;
        }
        worker.running.insert(call, (run, service));
        let held = worker.running.values().filter(|(_, place)| *place == service).count();
        if held > offer.capacity as usize {
            let text = format!("worker {peer} runs {held} calls and takes {}", offer.capacity);
            broken("I7", text)?;
        }
        let stuck = !probe && self.rng.percent(self.plan.stuck);
        if kind.is_stream() {
            let begin = Begin { uid: body.uid, kind, run: Some(run), probe, stuck };
            self.begin_streams(peer, call, begin);
            return Ok(());
        }
        if stuck {
            return Ok(());
        }
        let failing = !probe && self.rng.percent(self.plan.failing);
        let finish = Finish {
            call,
            run,
            code: if failing { Code::NotFound } else { Code::Ok },
            deaf: self.rng.percent(self.plan.deaf),
        };
        let life = self.peers[peer].process.life;
        let work = if probe { 20 } else { self.rng.around(self.plan.work) };
        self.after(work, Event::Done { peer, life, finish });
        Ok(())
    }

    /// A handler is done. One that was aborted and did not heed it answers all the same.
    pub(crate) fn handler_done(&mut self, peer: usize, finish: Finish) -> Check {
        let Role::Worker(worker) = &mut self.peers[peer].role else { return Ok(()) };
        let runs = worker.running.get(&finish.call).is_some_and(|(run, _)| *run == finish.run);
        let sent = worker.streams.remove(&finish.call).map_or(0, |streams| streams.sent());
        if runs {
            worker.running.remove(&finish.call);
        } else if !finish.deaf {
            return Ok(());
        }
        let uid = self.ledger.run(finish.run).uid;
        let reply = Body { n: sent, ..Body::reply(Kind::Reply, uid, peer, finish.run) };
        let input = worker::Input::Done { call: finish.call, code: finish.code, reply };
        self.worker_input(peer, input)?;
        Ok(())
    }

    /// Gives a client an input and does what it says. Whether it said anything.
    pub(crate) fn client_input(
        &mut self,
        peer: usize,
        input: client::Input<'_, Body, u32>,
    ) -> Result<bool, Broken> {
        let now = self.peers[peer].process.clock(self.now);
        let life = self.peers[peer].process.life;
        let Role::Client(client) = &mut self.peers[peer].role else { return Ok(false) };
        let mut out = Vec::new();
        client.made = client.machine.handle(now, input, &mut out);
        let any = !out.is_empty();
        client.check_sent_again(peer, &out)?;
        for action in out {
            match action {
                client::Action::Session(action) => self.session_acts(peer, action)?,
                client::Action::Done { token, outcome } => {
                    self.call_ended(peer, life, token, &outcome)?;
                }
                client::Action::Part { call, part } => self.client_gets(peer, call, part)?,
                client::Action::Credit { call, units } => self.may_send(peer, call, units)?,
                client::Action::Returned(_) => {
                    broken("I8", "a client with one broker returns a call".into())?;
                }
                client::Action::Closed => self.peer_closed(peer),
            }
        }
        if let Role::Client(client) = &self.peers[peer].role
            && client.machine.pending() != client.waiting
        {
            let (machine, truth) = (client.machine.pending(), client.waiting);
            broken("I12", format!("client {peer} counts {machine} calls of {truth}"))?;
        }
        self.arm(Who::Peer(peer));
        Ok(any)
    }

    fn session_acts(&mut self, peer: usize, action: SessionAction<Body>) -> Check {
        match action {
            SessionAction::Connect { endpoint } => {
                self.open_socket(peer);
                self.peers[peer].linked = true;
                match endpoint {
                    0 => Ok(()),
                    _ => broken("I8", format!("peer {peer} wants endpoint {endpoint} of 1")),
                }
            }
            SessionAction::Send(record) => match self.peers[peer].socket {
                Some(socket) if self.peers[peer].linked => {
                    self.send_up(socket, outgoing(record, peer));
                    Ok(())
                }
                _ => broken("I8", format!("peer {peer} sends {record:?} without a session")),
            },
            SessionAction::State(state) => {
                self.trace
                    .note(self.now, &[9, peer as u64], || format!("  peer {peer}: {state:?}"));
                if state == ConnectionState::Disconnected(LossCause::Invalid) {
                    broken("I14", format!("peer {peer} says that the broker broke the protocol"))?;
                }
                let it = &mut self.peers[peer];
                it.connected = matches!(state, ConnectionState::Connected { .. });
                if let ConnectionState::Disconnected(_) | ConnectionState::Closed = state {
                    it.linked = false;
                }
                Ok(())
            }
        }
    }

    /// A peer has closed in good order.
    fn peer_closed(&mut self, peer: usize) {
        self.trace.note(self.now, &[10, peer as u64], || format!("  peer {peer} is closed"));
        self.close_socket(peer);
        self.peer_down(peer);
    }

    /// A peer's process is gone; unless the world ends it comes again.
    pub(crate) fn peer_down(&mut self, peer: usize) {
        let it = &mut self.peers[peer];
        it.linked = false;
        it.connected = false;
        it.process.up = false;
        it.process.frozen = false;
        it.process.inbox.clear();
        it.process.wake_at = None;
        let again = !self.ending && (self.storm || !matches!(it.role, Role::Hostile(_)));
        if again {
            let life = it.process.life;
            let pause = self.rng.range(10, 3_000);
            self.after(pause, Event::Restart { who: Who::Peer(peer), life });
        }
    }
}

fn new_worker(offers: &[Offer], session: SessionConfig, window: u32) -> Worker {
    let services = offers.to_vec();
    Worker::new(worker::Config { session, services, window, ..worker::Config::default() })
}

fn new_client(session: SessionConfig, calls: usize, window: u32) -> ClientActor {
    let config = client::Config { session, calls, window, ..client::Config::default() };
    let machine = client::Client::new(config);
    ClientActor { machine, made: None, waiting: 0, streams: BTreeMap::new() }
}
