//! What kind of world a seed makes: who is there, how busy they are, and which faults are on.

use mdp_protocol::{Limits, SessionConfig, Span, broker};

use crate::rng::Rng;

/// A kind of fault. Each seed has a subset of them ("swarm"), so that some worlds meet a few faults
/// often and others all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A connection breaks; libzmq makes a new one without telling anybody.
    Cut,
    /// Nothing passes in one direction for a while.
    Partition,
    /// A peer's process vanishes and comes again later.
    CrashPeer,
    /// The broker's process vanishes and comes again later, empty.
    CrashBroker,
    /// A peer's process does nothing for a while.
    FreezePeer,
    /// The broker does nothing for a while.
    FreezeBroker,
    /// A process's clock jumps.
    StepClock,
    /// A worker leaves in good order and comes again.
    DrainWorker,
    /// A client closes in good order and comes again.
    CloseClient,
    /// The broker shuts down in good order and comes again.
    DrainBroker,
}

const FAULTS: [Fault; 10] = [
    Fault::Cut,
    Fault::Partition,
    Fault::CrashPeer,
    Fault::CrashBroker,
    Fault::FreezePeer,
    Fault::FreezeBroker,
    Fault::StepClock,
    Fault::DrainWorker,
    Fault::CloseClient,
    Fault::DrainBroker,
];

/// Everything that a seed decides before the world begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) clients: usize,
    pub(crate) hostiles: usize,
    pub(crate) services: usize,
    /// Mean pause of a client between two calls.
    pub(crate) call_every: u64,
    /// Mean pause between two faults.
    pub(crate) fault_every: u64,
    pub(crate) faults: Vec<Fault>,
    /// The longest time that a record takes from one process to another.
    pub(crate) delay: u64,
    /// Records lost one by one, in 1,000.
    pub(crate) drop: u64,
    /// Records that the broker's transport does not take, in 1,000.
    pub(crate) full: u64,
    /// Mean duration of a handler.
    pub(crate) work: u64,
    /// Handlers that never end, that fail, and that do not heed an abort; in 100.
    pub(crate) stuck: u64,
    pub(crate) failing: u64,
    pub(crate) deaf: u64,
    /// The longest timeout of a call.
    pub(crate) timeout: u64,
    /// Calls that are idempotent, that name a worker, and whose path is odd; in 100.
    pub(crate) idempotent: u64,
    pub(crate) targeted: u64,
    pub(crate) odd: u64,
    /// Calls that their users give up at some moment, in 100.
    pub(crate) given_up: u64,
    /// The largest body.
    pub(crate) size: u64,
    /// Calls with streams, in 100.
    pub(crate) streams: u64,
    /// The most items that a user or a handler sends, and the largest.
    pub(crate) items: u64,
    pub(crate) item_size: u64,
    /// Mean pause of a user or a handler between two looks at its streams.
    pub(crate) pace: u64,
    /// Looks after which it does nothing for some seconds, and with which it ends early; in 100.
    pub(crate) sloth: u64,
    pub(crate) early: u64,
    /// The credit that clients and workers give.
    pub(crate) window: u32,
    /// Records travel as bytes.
    pub(crate) as_bytes: bool,
    pub(crate) broker: broker::Config,
    pub(crate) session: SessionConfig,
    pub(crate) client_calls: usize,
    /// Nothing is ever lost in this world, nor does anybody leave: each call ends as its handler, its
    /// deadline or a limit says.
    pub(crate) calm: bool,
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let faulty = rng.percent(90);
        let mut faults: Vec<Fault> = Vec::new();
        let share = rng.pick(&[10, 30, 60, 100]);
        for fault in FAULTS {
            // A world without any fault still sees its peers come and go in good order.
            let orderly = matches!(fault, Fault::DrainWorker | Fault::CloseClient);
            if (faulty || orderly) && rng.percent(share) {
                faults.push(fault);
            }
        }
        let rough = |rng: &mut Rng, chance, max| match faulty && rng.percent(chance) {
            true => rng.range(1, max),
            false => 0,
        };
        let mut plan = Plan {
            workers: rng.range(1, 5) as usize,
            clients: rng.range(1, 5) as usize,
            hostiles: rough(rng, 30, 2) as usize,
            services: rng.range(1, 4) as usize,
            call_every: rng.pick(&[10, 40, 150, 500]),
            fault_every: rng.pick(&[30, 120, 400, 1_500]),
            drop: rough(rng, 20, 30),
            full: rough(rng, 20, 20),
            faults,
            delay: rng.pick(&[1, 5, 30, 200]),
            work: rng.pick(&[1, 10, 50, 400]),
            stuck: rough(rng, 40, 20),
            failing: rng.pick(&[0, 10, 50]),
            deaf: rough(rng, 40, 60),
            timeout: rng.pick(&[300, 1_000, 5_000, 20_000]),
            idempotent: rng.pick(&[0, 30, 50, 100]),
            targeted: rng.pick(&[0, 0, 20]),
            odd: rng.pick(&[0, 0, 5]),
            given_up: rng.pick(&[0, 10, 50]),
            size: rng.pick(&[20, 200, 4_000]),
            streams: rng.pick(&[0, 40, 100, 100]),
            items: rng.pick(&[2, 8, 40, 150]),
            item_size: rng.pick(&[100, 3_000, 20_000]),
            pace: rng.pick(&[1, 10, 60]),
            sloth: rng.pick(&[0, 5, 30]),
            early: rng.pick(&[0, 2, 15]),
            window: rng.pick(&[1, 3, 20, 64, 1_024]),
            as_bytes: rng.percent(25),
            broker: broker_config(rng),
            session: session_config(rng),
            client_calls: rng.pick(&[5, 10_000, 10_000]),
            calm: false,
        };
        if rng.percent(30) {
            plan.dwell(rng);
        }
        plan.calm = plan.faults.is_empty()
            && plan.drop + plan.full + plan.stuck + plan.deaf == 0
            && plan.hostiles == 0
            && plan.broker.limits.unread_bytes == Limits::default().unread_bytes
            // A worker whose answers are on their way for longer counts as one that does not answer (R43).
            && plan.broker.overrun.as_ms() > 2 * plan.delay;
        plan
    }

    /// Few calls, all of them long streams that may be made again: most faults meet one in the midst
    /// of it, which they seldom do where calls are short.
    fn dwell(&mut self, rng: &mut Rng) {
        self.streams = 100;
        self.items = rng.pick(&[8, 40, 150]);
        self.pace = rng.pick(&[60, 300]);
        self.sloth = rng.pick(&[5, 30]);
        self.early = 2;
        self.idempotent = 100;
        self.targeted = 0;
        self.timeout = 20_000;
        self.call_every = rng.pick(&[150, 500, 2_000]);
    }
}

fn broker_config(rng: &mut Rng) -> broker::Config {
    let limits = match rng.percent(30) {
        false => Limits::default(),
        true => Limits {
            sessions: 40,
            unserved_services: 2,
            queued_calls_per_service: rng.range(1, 8) as usize,
            queued_bytes_per_service: rng.range(200, 8_000) as usize,
            held_bytes: rng.range(200, 12_000) as usize,
            unread_bytes_per_session: rng.range(1_000, 40_000) as usize,
            unread_bytes: rng.range(4_000, 100_000) as usize,
            calls_per_client: rng.range(2, 12) as usize,
            calls: rng.range(6, 40) as usize,
            attempts: rng.range(1, 3) as u8,
            window: rng.pick(&[1, 3, 15, 16, 17, 30]),
            ..Limits::default()
        },
    };
    broker::Config {
        limits,
        heartbeat: Span::from_ms(rng.pick(&[300, 1_000, 1_000])),
        unserved_wait: Span::from_ms(rng.pick(&[0, 500, 5_000])),
        overrun: Span::from_ms(rng.pick(&[100, 1_000])),
        hooks: crate::hooks::config(rng),
        seed: rng.next(),
        ..broker::Config::default()
    }
}

fn session_config(rng: &mut Rng) -> SessionConfig {
    SessionConfig {
        heartbeat: Span::from_ms(rng.pick(&[500, 1_000, 1_000, 2_000])),
        liveness: rng.range(2, 4) as u8,
        ..SessionConfig::default()
    }
}
