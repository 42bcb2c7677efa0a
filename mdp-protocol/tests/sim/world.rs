//! A world: virtual time, its processes and what is about to happen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mdp_protocol::{Key, broker};

use crate::actors::{BrokerActor, Finish, Letter, Peer, Role};
use crate::ledger::{Broken, Check, Ledger, Tally, broken};
use crate::net::{ConnId, Net, SocketId};
use crate::plan::Plan;
use crate::policy::Guard;
use crate::rng::Rng;
use crate::trace::Trace;

/// The place of a process: the broker, or a peer's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Broker,
    Peer(usize),
}

/// Something that is about to happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A process's timer fires.
    Wake(Who),
    /// A record arrives at the broker, or at a peer.
    Up(ConnId),
    Down(ConnId),
    /// A socket tries to connect.
    Connect(SocketId),
    /// A side's transport finds out that a connection is gone.
    BrokerSees(ConnId),
    PeerSees(ConnId),
    /// A handler is done.
    Done {
        peer: usize,
        life: u32,
        finish: Finish,
    },
    /// A user or a handler looks after the streams of a call.
    Pulse {
        peer: usize,
        life: u32,
        call: Key,
    },
    /// The hooks say what is to become of a call.
    Verdict {
        life: u32,
        call: u64,
    },
    /// A user makes a call.
    Call {
        peer: usize,
        life: u32,
    },
    /// A call must have ended by now.
    Due {
        uid: u32,
    },
    /// A user gives a call up.
    Abandon {
        peer: usize,
        life: u32,
        uid: u32,
        call: Key,
    },
    /// A hostile peer says something.
    Hostile {
        peer: usize,
        life: u32,
    },
    /// Something goes wrong.
    Fault,
    /// The operator changes the policy.
    NewPolicy,
    /// A frozen process goes on.
    Thaw {
        who: Who,
        life: u32,
    },
    /// A process that is down comes again.
    Restart {
        who: Who,
        life: u32,
    },
}

struct Timed {
    at: u64,
    number: u64,
    event: Event,
}

/// What came of a world.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    pub(crate) calls: usize,
    /// Items that came to where they were sent.
    pub(crate) items: usize,
    pub(crate) tally: Tally,
    pub(crate) broken: Option<Broken>,
}

/// How a world is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Events before the faults stop.
    pub(crate) steps: u64,
    /// Print the trace.
    pub(crate) loud: bool,
    /// Look into the broker's tables, rather than only at what it does.
    pub(crate) audit: bool,
    #[cfg(feature = "planted-bugs")]
    pub(crate) planted: Option<broker::PlantedBug>,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    pub(crate) net: Net,
    pub(crate) broker: BrokerActor,
    /// The policy, where there is one.
    pub(crate) guard: Option<Guard>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) ledger: Ledger,
    pub(crate) trace: Trace,
    /// Faults happen and users make calls.
    pub(crate) storm: bool,
    /// What closes does not come again.
    pub(crate) ending: bool,
    pub(crate) steps: u64,
    ahead: BinaryHeap<Timed>,
    numbered: u64,
}

impl World {
    pub(crate) fn new(seed: u64, settings: Settings) -> Self {
        let mut rng = Rng::new(seed);
        #[cfg_attr(not(feature = "planted-bugs"), allow(unused_mut))]
        let mut plan = Plan::new(&mut rng);
        #[cfg(feature = "planted-bugs")]
        {
            plan.broker.planted = settings.planted;
        }
        let mut world = World {
            now: rng.range(0, 100_000),
            rng,
            plan,
            settings,
            net: Net::default(),
            broker: BrokerActor::default(),
            guard: None,
            peers: Vec::new(),
            ledger: Ledger::default(),
            trace: Trace::new(settings.loud),
            storm: true,
            ending: false,
            steps: 0,
            ahead: BinaryHeap::new(),
            numbered: 0,
        };
        world.guard = Guard::new(seed, &world.plan);
        world.populate();
        world.plan_policy();
        world
    }

    /// Runs the world to its end.
    pub(crate) fn run(mut self) -> Summary {
        let result = self.live();
        Summary {
            hash: self.trace.hash(),
            steps: self.steps,
            calls: self.ledger.len(),
            items: self.ledger.items,
            tally: self.ledger.tally,
            broken: result.err(),
        }
    }

    fn live(&mut self) -> Check {
        while self.steps < self.settings.steps && self.step()? {}
        self.check_recovery()?;
        self.check_shutdown()
    }

    /// Lets things happen for some time.
    pub(crate) fn run_for(&mut self, ms: u64) -> Check {
        let end = self.now + ms;
        while self.ahead.peek().is_some_and(|next| next.at <= end) && self.step()? {}
        self.now = end;
        Ok(())
    }

    pub(crate) fn at(&mut self, at: u64, event: Event) {
        self.numbered += 1;
        self.ahead.push(Timed { at: at.max(self.now), number: self.numbered, event });
    }

    pub(crate) fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    /// The next event. Whether there was one.
    fn step(&mut self) -> Result<bool, Broken> {
        let Some(Timed { at, event, .. }) = self.ahead.pop() else { return Ok(false) };
        self.now = at;
        self.steps += 1;
        match event {
            Event::Wake(who) => self.wake(who)?,
            Event::Up(conn) => self.arrive_up(conn)?,
            Event::Down(conn) => self.arrive_down(conn)?,
            Event::Connect(socket) => self.connect(socket),
            Event::BrokerSees(conn) => self.broker_sees(conn)?,
            Event::PeerSees(conn) => self.peer_sees(conn)?,
            Event::Done { peer, life, finish } => {
                if self.peers[peer].process.life == life {
                    self.give(Who::Peer(peer), Letter::Done(finish))?;
                }
            }
            Event::Pulse { peer, life, call } => {
                if self.peers[peer].process.life == life {
                    self.give(Who::Peer(peer), Letter::Pulse(call))?;
                }
            }
            Event::Verdict { life, call } => self.hooks_speak(life, call)?,
            Event::Call { peer, life } => self.user_calls(peer, life)?,
            Event::Due { uid } => self.check_due(uid)?,
            Event::Abandon { peer, life, uid, call } => self.abandon(peer, life, uid, call)?,
            Event::Hostile { peer, life } => self.hostile_speaks(peer, life),
            Event::Fault => self.fault()?,
            Event::NewPolicy => self.new_policy()?,
            Event::Thaw { who, life } => self.thaw(who, life)?,
            Event::Restart { who, life } => self.restart(who, life)?,
        }
        self.check_step()?;
        Ok(true)
    }

    fn wake(&mut self, who: Who) -> Check {
        let now = self.now;
        let process = self.process(who);
        if process.wake_at != Some(now) || process.frozen || !process.up {
            return Ok(());
        }
        process.wake_at = None;
        if !self.tick(who)? && self.process(who).spins(now) {
            return broken("I6", format!("{who:?} spins: its timers fire without effect"));
        }
        Ok(())
    }

    /// Tells a process that time has passed. Whether it did anything.
    pub(crate) fn tick(&mut self, who: Who) -> Result<bool, Broken> {
        match who {
            Who::Broker => self.broker_input(broker::Input::Tick),
            Who::Peer(peer) => self.peer_tick(peer),
        }
    }

    /// Gives a process something, now or when it is no longer frozen.
    pub(crate) fn give(&mut self, who: Who, letter: Letter) -> Check {
        let process = self.process(who);
        if !process.up {
            return Ok(());
        }
        if process.frozen {
            process.inbox.push_back(letter);
            return Ok(());
        }
        match (who, letter) {
            (Who::Broker, Letter::FromPeer(conn, msg)) => self.broker_hears(conn, msg),
            (Who::Peer(peer), Letter::FromBroker(socket, msg)) => {
                self.peer_hears(peer, socket, msg)
            }
            (Who::Peer(peer), Letter::Lost(socket)) => self.peer_loses(peer, socket),
            (Who::Broker, Letter::Verdict(call)) => self.verdict(call),
            (Who::Peer(peer), Letter::Done(finish)) => self.handler_done(peer, finish),
            (Who::Peer(peer), Letter::Pulse(call)) => self.pulse(peer, call),
            _ => Ok(()),
        }
    }

    /// Sets a process's timer to what its machine wants.
    pub(crate) fn arm(&mut self, who: Who) {
        let wanted = match who {
            Who::Broker => self.broker.machine.as_ref().and_then(broker::Broker::next_deadline),
            Who::Peer(peer) => match &self.peers[peer].role {
                Role::Worker(worker) => worker.machine.next_deadline(),
                Role::Client(client) => client.machine.next_deadline(),
                Role::Hostile(_) => None,
            },
        };
        let now = self.now;
        let process = self.process(who);
        let at = wanted.map(|at| process.world_time(now, at));
        if at != process.wake_at {
            process.wake_at = at;
            if let Some(at) = at {
                self.at(at, Event::Wake(who));
            }
        }
    }

    pub(crate) fn process(&mut self, who: Who) -> &mut crate::actors::Process {
        match who {
            Who::Broker => &mut self.broker.process,
            Who::Peer(peer) => &mut self.peers[peer].process,
        }
    }
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, as the heap wants it.
impl Ord for Timed {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
