//! Workers that share their slots between brokers. The machines of brokers and workers are real; a message takes a time
//! that the seed gives, a handler too, and connections and brokers come and go. Clients stand beside their brokers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mdp_protocol::broker::{self, Broker};
use mdp_protocol::wire::{CallKind, Record, Reply};
use mdp_protocol::worker::{self, Grant, Offer, SharedSlots, TakenSlot, Worker};
use mdp_protocol::{Code, Identity, Key, SessionAction, SessionConfig, Span, Time};

use crate::rng::Rng;

type Msg = Record<Arc<[u8]>, Vec<u8>>;

/// One case.
#[derive(Clone, Debug)]
struct Load {
    brokers: usize,
    processes: usize,
    slots: u32,
    /// What a handler takes, in milliseconds: up to twice that.
    work: u64,
    /// What a message takes at most, in milliseconds.
    delay: u64,
    /// What is asked for at each broker, in hundredths of all that the workers can do.
    asked: Vec<u64>,
    /// A connection or a broker goes every so many milliseconds. 0: never.
    fault_every: u64,
}

/// What came of the calls at one broker.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    asked: u64,
    ended_well: u64,
    /// Ended otherwise, or with their broker.
    failed: u64,
    codes: [u64; 17],
}

struct Process {
    slots: SharedSlots,
    sessions: Vec<Session>,
    /// Handlers that run, also those of sessions that are over.
    running: u32,
}

struct Session {
    machine: Worker,
    /// Counts its connections, for what is on its way.
    life: u64,
    up: bool,
    held: BTreeMap<Key, TakenSlot>,
}

struct Node {
    machine: Broker<Vec<u8>>,
    life: u64,
    sessions: BTreeMap<Key, (usize, u64)>,
    open: BTreeMap<u64, u64>,
}

#[derive(Debug)]
enum Event {
    Up {
        broker: usize,
        process: usize,
        life: u64,
        msg: Msg,
    },
    Down {
        broker: usize,
        process: usize,
        life: u64,
        msg: Msg,
    },
    Lost {
        broker: usize,
        process: usize,
        life: u64,
    },
    Done {
        broker: usize,
        process: usize,
        life: u64,
        call: Key,
    },
    /// The handler of a session that is over stops.
    Orphan {
        process: usize,
        slot: TakenSlot,
    },
}

struct World {
    load: Load,
    rng: Rng,
    now: u64,
    nodes: Vec<Node>,
    processes: Vec<Process>,
    events: BTreeMap<u64, VecDeque<Event>>,
    /// When the last message of a connection arrives: none overtakes another.
    lines: BTreeMap<(bool, usize, usize), u64>,
    served: Vec<Served>,
    due: Vec<u64>,
    calls: u64,
    broken: Option<String>,
}

const CALL: u64 = 1_000_000;
const TIMEOUT: u64 = 2_000;

fn node(life: u64) -> Node {
    let config = broker::Config { seed: life, ..broker::Config::default() };
    Node { machine: Broker::new(config), life, sessions: BTreeMap::new(), open: BTreeMap::new() }
}

impl World {
    fn new(load: Load, seed: u64) -> Self {
        let process = |number: usize| {
            let session = |broker: usize| Session {
                machine: Worker::new(worker::Config {
                    session: SessionConfig {
                        id: format!("w{number}").into_bytes(),
                        seed: seed ^ (number * 64 + broker) as u64,
                        ..SessionConfig::default()
                    },
                    services: vec![Offer {
                        service: Arc::from(&b"s.S"[..]),
                        capacity: load.slots,
                        schema: None,
                    }],
                    shares_slots: true,
                    ..worker::Config::default()
                }),
                life: 0,
                up: false,
                held: BTreeMap::new(),
            };
            Process {
                slots: SharedSlots::new(&[load.slots], load.brokers),
                sessions: (0..load.brokers).map(session).collect(),
                running: 0,
            }
        };
        World {
            rng: Rng::new(seed),
            now: 1,
            nodes: (0..load.brokers).map(|_| node(1)).collect(),
            processes: (0..load.processes).map(process).collect(),
            events: BTreeMap::new(),
            lines: BTreeMap::new(),
            served: vec![Served::default(); load.brokers],
            due: vec![0; load.brokers],
            calls: 0,
            broken: None,
            load,
        }
    }

    fn break_rule(&mut self, text: String) {
        let now = self.now;
        self.broken.get_or_insert_with(|| format!("at {now} ms: {text}"));
    }

    fn at(&mut self, at: u64, event: Event) {
        self.events.entry(at.max(self.now + 1)).or_default().push_back(event);
    }

    /// A message goes its way, behind those before it.
    fn travel(&mut self, up: bool, broker: usize, process: usize, event: Event) {
        let at = self.now + self.rng.range(0, self.load.delay);
        let line = self.lines.entry((up, broker, process)).or_default();
        *line = at.max(*line);
        let at = *line;
        self.at(at, event);
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now += 1;
            while let Some(event) = self.events.get_mut(&self.now).and_then(VecDeque::pop_front) {
                self.happen(event);
            }
            self.events.remove(&self.now);
            let all = self.load.processes as u64 * u64::from(self.load.slots) * CALL;
            for broker in 0..self.nodes.len() {
                let share = self.load.asked[broker] * all / self.load.work / 100;
                self.due[broker] += self.rng.range(0, 2 * share);
                while self.due[broker] >= CALL {
                    self.due[broker] -= CALL;
                    self.ask(broker);
                }
                while self.nodes[broker]
                    .machine
                    .next_deadline()
                    .is_some_and(|next| next.as_ms() <= self.now)
                {
                    self.broker_input(broker, broker::Input::Tick);
                }
            }
            for process in 0..self.processes.len() {
                self.tick(process);
            }
            if self.load.fault_every > 0 && self.rng.range(1, self.load.fault_every) == 1 {
                self.fault();
            }
        }
    }

    fn tick(&mut self, process: usize) {
        for broker in 0..self.nodes.len() {
            let due = self.processes[process].sessions[broker].machine.next_deadline();
            if due.is_some_and(|due| due.as_ms() <= self.now) {
                self.worker_input(process, broker, worker::Input::Tick);
            }
        }
        let slots = &mut self.processes[process].slots;
        if slots.next_deadline().is_some_and(|due| due.as_ms() <= self.now) {
            let mut grants = Vec::new();
            slots.tick(Time::from_ms(self.now), &mut grants);
            self.grant(process, grants);
        }
    }

    fn fault(&mut self) {
        let broker = self.rng.below(self.nodes.len());
        if self.rng.percent(30) {
            let life = self.nodes[broker].life + 1;
            let open = self.nodes[broker].open.len() as u64;
            self.served[broker].failed += open;
            self.nodes[broker] = node(life);
            for process in 0..self.processes.len() {
                self.cut(broker, process);
            }
        } else {
            let process = self.rng.below(self.processes.len());
            self.cut(broker, process);
        }
    }

    /// A connection breaks. Both sides hear of it at some time.
    fn cut(&mut self, broker: usize, process: usize) {
        let life = self.processes[process].sessions[broker].life;
        self.processes[process].sessions[broker].up = false;
        let sees = self.now + self.rng.range(0, 100);
        self.at(sees, Event::Lost { broker, process, life });
        let route = route(process, life);
        if let Some(session) = self.nodes[broker].machine.session_at(&route) {
            self.broker_input(broker, broker::Input::Unreachable { session });
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Up { broker, process, life, msg } => {
                let session = &self.processes[process].sessions[broker];
                if session.life == life && session.up {
                    let route = route(process, life);
                    let from = self.nodes[broker].machine.sender(&route, Identity::anonymous());
                    self.broker_input(broker, broker::Input::Record { from, record: read(&msg) });
                }
            }
            Event::Down { broker, process, life, msg } => {
                let session = &self.processes[process].sessions[broker];
                if session.life == life && session.up {
                    self.worker_input(process, broker, worker::Input::Record(read(&msg)));
                }
            }
            Event::Lost { broker, process, life } => {
                if self.processes[process].sessions[broker].life == life {
                    self.worker_input(process, broker, worker::Input::Broken);
                }
            }
            Event::Done { broker, process, life, call } => {
                let session = &mut self.processes[process].sessions[broker];
                if session.life != life {
                    return;
                }
                let Some(slot) = session.held.remove(&call) else { return };
                let (code, reply) = (Code::Ok, Vec::new());
                self.worker_input(process, broker, worker::Input::Done { call, code, reply });
                self.free(process, slot);
            }
            Event::Orphan { process, slot } => self.free(process, slot),
        }
    }

    fn free(&mut self, process: usize, slot: TakenSlot) {
        let mut grants = Vec::new();
        self.processes[process].running -= 1;
        self.processes[process].slots.end(slot, &mut grants);
        self.grant(process, grants);
    }

    fn grant(&mut self, process: usize, grants: Vec<Grant>) {
        for Grant { session, service, slots, number } in grants {
            self.worker_input(process, session, worker::Input::Grant { service, slots, number });
        }
    }

    fn worker_input(&mut self, process: usize, broker: usize, input: worker::Input<'_, Vec<u8>>) {
        let mut out = Vec::new();
        let machine = &mut self.processes[process].sessions[broker].machine;
        machine.handle(Time::from_ms(self.now), input, &mut out);
        for action in out {
            self.worker_acts(process, broker, action);
        }
    }

    fn worker_acts(&mut self, process: usize, broker: usize, action: worker::Action<Vec<u8>>) {
        let mut grants = Vec::new();
        let slots = &mut self.processes[process].slots;
        match action {
            worker::Action::Session(SessionAction::Connect { .. }) => {
                let session = &mut self.processes[process].sessions[broker];
                session.life += 1;
                session.up = true;
                self.lines.remove(&(true, broker, process));
                self.lines.remove(&(false, broker, process));
            }
            worker::Action::Session(SessionAction::Send(msg)) => {
                let session = &self.processes[process].sessions[broker];
                if session.up {
                    let life = session.life;
                    self.travel(true, broker, process, Event::Up { broker, process, life, msg });
                }
            }
            worker::Action::Session(SessionAction::State(state)) => {
                if matches!(state, mdp_protocol::ConnectionState::Disconnected(_)) {
                    slots.closed(broker, &mut grants);
                }
            }
            worker::Action::Offered => slots.opened(broker, &mut grants),
            worker::Action::Granted { service, number } => {
                slots.answered(broker, service, number, &mut grants);
            }
            worker::Action::Demand { service, calls } => {
                slots.demanded(broker, service, calls, &mut grants);
            }
            worker::Action::Start { call, service, .. } => {
                let Some(slot) = slots.start(broker, service) else {
                    let text = format!("w{process} has no slot for a call of broker {broker}");
                    return self.break_rule(text);
                };
                let owner = &mut self.processes[process];
                owner.running += 1;
                owner.sessions[broker].held.insert(call, slot);
                let (running, life) = (owner.running, owner.sessions[broker].life);
                if running > self.load.slots {
                    self.break_rule(format!("w{process} runs {running} calls at once"));
                }
                let at = self.now + self.rng.range(1, 2 * self.load.work - 1);
                self.at(at, Event::Done { broker, process, life, call });
            }
            worker::Action::Abort { call, .. } => {
                if let Some(slot) = self.processes[process].sessions[broker].held.remove(&call) {
                    // It takes some time to stop.
                    let at = self.now + self.rng.range(0, 30);
                    self.at(at, Event::Orphan { process, slot });
                }
            }
            _ => {}
        }
        self.grant(process, grants);
    }

    fn ask(&mut self, broker: usize) {
        self.calls += 1;
        let number = self.calls;
        let node = &mut self.nodes[broker];
        node.open.insert(number, self.now);
        self.served[broker].asked += 1;
        let from = node.machine.sender(b"client", Identity::anonymous());
        if from.session().is_none() {
            let heartbeat = Span::from_secs(60);
            let record = Record::Hello { id: &b"client"[..], heartbeat, liveness: 3 };
            self.broker_input(broker, broker::Input::Record { from, record });
        }
        let from = self.nodes[broker].machine.sender(b"client", Identity::anonymous());
        let record = Record::Request {
            call: number,
            timeout: Span::from_ms(TIMEOUT),
            idempotent: true,
            attempt: 1,
            peer: &[][..],
            kind: CallKind::Unary,
            body: b"s.S/M".to_vec(),
        };
        self.broker_input(broker, broker::Input::Record { from, record });
    }

    fn broker_input(&mut self, broker: usize, input: broker::Input<'_, Vec<u8>>) {
        let mut out = Vec::new();
        self.nodes[broker].machine.handle(Time::from_ms(self.now), input, &mut out);
        for action in out {
            match action {
                broker::Action::Open { session, route } if *route != *b"client" => {
                    self.nodes[broker].sessions.insert(session, unroute(&route));
                }
                broker::Action::Close { session } => {
                    self.nodes[broker].sessions.remove(&session);
                }
                broker::Action::Send { to, record } => {
                    let to = self.nodes[broker].sessions.get(&to).copied();
                    self.broker_says(broker, to, record);
                }
                broker::Action::Answer { route, record } if *route != *b"client" => {
                    self.broker_says(broker, Some(unroute(&route)), record);
                }
                _ => {}
            }
        }
    }

    fn broker_says(
        &mut self,
        broker: usize,
        to: Option<(usize, u64)>,
        record: broker::Outgoing<Vec<u8>>,
    ) {
        let Some((process, life)) = to else {
            if let Record::Final { call, code, .. } = record {
                let made = self.nodes[broker].open.remove(&call);
                let served = &mut self.served[broker];
                match code {
                    Code::Ok => served.ended_well += 1,
                    _ => {
                        served.failed += 1;
                        served.codes[code.as_u32() as usize] += 1;
                    }
                }
                if made.is_none_or(|made| self.now > made + TIMEOUT + 1_000) {
                    self.break_rule(format!("call {call} ended twice, or late"));
                }
            }
            return;
        };
        let msg = owned(record);
        self.travel(false, broker, process, Event::Down { broker, process, life, msg });
    }
}

fn route(process: usize, life: u64) -> [u8; 12] {
    let mut route = [0; 12];
    route[..4].copy_from_slice(&(process as u32).to_be_bytes());
    route[4..].copy_from_slice(&life.to_be_bytes());
    route
}

fn unroute(route: &[u8]) -> (usize, u64) {
    let process = u32::from_be_bytes(route[..4].try_into().unwrap());
    (process as usize, u64::from_be_bytes(route[4..].try_into().unwrap()))
}

/// A record as a machine takes it in.
fn read(msg: &Msg) -> Record<&[u8], Vec<u8>> {
    match msg {
        Record::Hello { id, heartbeat, liveness } => {
            Record::Hello { id, heartbeat: *heartbeat, liveness: *liveness }
        }
        Record::Welcome { id, heartbeat, liveness, frame_bytes } => Record::Welcome {
            id,
            heartbeat: *heartbeat,
            liveness: *liveness,
            frame_bytes: *frame_bytes,
        },
        Record::Ready { service, capacity, shared, schema } => {
            Record::Ready { service, capacity: *capacity, shared: *shared, schema: *schema }
        }
        Record::Request { call, timeout, idempotent, attempt, peer, kind, body } => {
            Record::Request {
                call: *call,
                timeout: *timeout,
                idempotent: *idempotent,
                attempt: *attempt,
                peer,
                kind: *kind,
                body: body.clone(),
            }
        }
        Record::Final { call, code, not_started, attempt, peer, .. } => Record::Final {
            call: *call,
            code: *code,
            not_started: *not_started,
            attempt: *attempt,
            peer,
            reply: Reply::Body(Vec::new()),
        },
        Record::Grant { service, slots, number } => {
            Record::Grant { service, slots: *slots, number: *number }
        }
        Record::Demand { service, calls } => Record::Demand { service, calls: *calls },
        Record::Cancel { call } => Record::Cancel { call: *call },
        Record::Disconnect(reason) => Record::Disconnect(*reason),
        Record::Drain => Record::Drain,
        _ => Record::Heartbeat,
    }
}

fn owned(record: broker::Outgoing<Vec<u8>>) -> Msg {
    match record {
        Record::Final { call, code, not_started, attempt, peer, .. } => {
            let reply = Reply::Body(Vec::new());
            Record::Final { call, code, not_started, attempt, peer, reply }
        }
        other => other,
    }
}

fn load(asked: &[u64]) -> Load {
    Load {
        brokers: asked.len(),
        processes: 4,
        slots: 4,
        work: 20,
        delay: 1,
        asked: asked.to_vec(),
        fault_every: 0,
    }
}

fn run(load: &Load, seed: u64, ms: u64) -> World {
    let mut world = World::new(load.clone(), seed);
    world.pass(1_000);
    world.served.fill(Served::default());
    world.pass(ms);
    world
}

/// Whatever happens, no worker runs more calls at once than it has slots, and each call ends once and in time.
#[test]
fn slots_are_never_used_twice() {
    let seeds = if cfg!(debug_assertions) { 20 } else { 300 };
    for seed in 0..seeds {
        let mut rng = Rng::new(seed);
        let brokers = rng.range(1, 5) as usize;
        let load = Load {
            brokers,
            processes: rng.range(1, 5) as usize,
            slots: rng.pick(&[1, 1, 2, 3, 4, 7, 16]),
            work: rng.pick(&[1, 3, 20, 80]),
            delay: rng.pick(&[0, 1, 3, 20]),
            asked: (0..brokers).map(|_| rng.pick(&[0, 1, 10, 40, 90, 150])).collect(),
            fault_every: rng.pick(&[0, 2_000, 300, 50]),
        };
        let mut world = run(&load, seed, 4_000);
        // What is left when nothing goes wrong any more ends, and all slots come back into use.
        world.load.fault_every = 0;
        world.load.asked.fill(0);
        world.pass(TIMEOUT + 2_000);
        assert_eq!(world.broken, None, "seed {seed}, {load:?}");
        // A slot that moves takes the time of some messages.
        let share = 60 * load.work / (load.work + 2 + 8 * load.delay);
        world.load.asked.fill(share / brokers as u64);
        world.pass(2_000);
        world.served.fill(Served::default());
        world.pass(2_000);
        world.load.asked.fill(0);
        world.pass(TIMEOUT + 1_000);
        assert_eq!(world.broken, None, "seed {seed}, {load:?}");
        for (broker, served) in world.served.iter().enumerate() {
            let well = served.ended_well * 100 >= served.asked * 97;
            assert!(
                well,
                "seed {seed}, broker {broker}: {served:?} of {:?}, {load:?}",
                world.served
            );
        }
    }
}

/// One broker is asked for more than all workers can do, the others for little: it gets what they leave.
#[test]
fn a_busy_broker_has_nearly_all_slots() {
    for asked in [&[90, 5, 5][..], &[180, 5, 5], &[95, 0, 0], &[180, 0, 0]] {
        let one: u64 = asked.iter().sum();
        let (ms, load) = (20_000, load(asked));
        let alone = run(&Load { brokers: 1, asked: vec![one], ..load.clone() }, 3, ms);
        let shared = run(&load, 3, ms);
        assert_eq!((&alone.broken, &shared.broken), (&None, &None));
        let sum = |world: &World| world.served.iter().map(|it| it.ended_well).sum::<u64>();
        let (alone, all) = (sum(&alone), sum(&shared));
        println!("{asked:?}: {all} of {alone}, {:?}", shared.served);
        assert!(100 * all >= 95 * alone, "{asked:?}: {all} of {alone}: {:?}", shared.served);
        for served in &shared.served[1..] {
            assert!(100 * served.ended_well >= 97 * served.asked, "{asked:?}: {served:?}");
        }
    }
}

/// Two brokers that are asked for more than all can do get the same, also where there is a single slot.
#[test]
fn busy_brokers_get_the_same() {
    for (processes, slots) in [(1, 1), (1, 3), (4, 1), (4, 4)] {
        let load = Load { processes, slots, ..load(&[200, 200]) };
        let world = run(&load, 5, 20_000);
        assert_eq!(world.broken, None);
        let [one, two] = &world.served[..] else { panic!() };
        println!("{processes} x {slots}: {one:?} {two:?}");
        let (less, more) = (one.ended_well.min(two.ended_well), one.ended_well.max(two.ended_well));
        assert!(100 * less >= 85 * more, "{load:?}: {one:?} {two:?}");
        let can = 20_000 / 20 * processes as u64 * u64::from(slots);
        assert!(100 * (less + more) >= 85 * can, "{load:?}: {one:?} {two:?} of {can}");
    }
}
