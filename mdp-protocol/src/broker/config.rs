//! The broker's settings.

use alloc::sync::Arc;

use super::hooks::HookConfig;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::time::{HEARTBEAT, LIVENESS, Span};

/// Settings of a broker. The default is safe for production.
#[derive(Clone, Debug)]
pub struct Config {
    /// The limits of the data that the broker accepts.
    pub limits: Limits,
    /// The interval at which the broker sends and expects heartbeats. A peer may ask for a longer one. Default:
    /// [`HEARTBEAT`](crate::HEARTBEAT).
    pub heartbeat: Span,
    /// The longest heartbeat interval that a peer may ask for. Default: 60 s.
    pub max_heartbeat: Span,
    /// The number of silent intervals after which a peer counts as gone. A peer may ask for more, up to 10. Default:
    /// [`LIVENESS`](crate::LIVENESS).
    pub liveness: u8,
    /// How long a call for a service without any worker waits for one, at most until shortly before its deadline
    /// (`wire.md` R41). Zero refuses the call at once. Default: 5 s.
    pub unserved_wait: Span,
    /// How long a worker may hold a slot beyond its call's deadline before the slot is given to another call. Default:
    /// 1 s.
    pub overrun: Span,
    /// Whether the broker refuses a call that would wait too long to end in its time. Default: `true`.
    pub admission: bool,
    /// Whether the driver can stop reading from one connection ([`Action::Pause`](super::Action::Pause)). Then a raw
    /// request of a classic client that meets a limit waits until there is room, and its client is not read meanwhile.
    /// Otherwise the request is dropped and counted as unanswered. Default: `false`.
    pub pauses_reading: bool,
    /// Settings for peers of classic MDP.
    pub classic: ClassicConfig,
    /// The rights of each peer. Without a policy each peer has all rights. Default: none.
    pub policy: Option<Arc<Policy>>,
    /// Which peers may drain workers and the broker, and how long calls may then run.
    pub drain: DrainConfig,
    /// Which questions go to the operator's own code. Default: none.
    pub hooks: HookConfig,
    /// Seed of the hash tables: random in production, so that no peer can choose names or ids that
    /// collide; fixed in tests.
    pub seed: u64,
    /// A planted fault that the simulation has to find; only with the feature `planted-bugs`.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<PlantedBug>,
}

/// Settings for peers of classic MDP (RFC 7 and RFC 18), which cannot send their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicConfig {
    /// How long a raw request of a classic client waits for a worker (RFC 7 and RFC 18, "Client"). Default: 30 s.
    pub queue_expiry: Span,
    /// How long a raw request may run at a worker. Default: 10 min.
    pub run_timeout: Span,
    /// How long a classic worker may be silent while it holds no request. Default: 10 s.
    pub idle_expiry: Span,
    /// How long a classic worker may be silent while it holds a request, and how long it may hold a request that no
    /// client waits for. Default: 60 s.
    pub busy_expiry: Span,
    /// Whether the broker gives a raw request of a classic client to another worker when its worker is lost, as RFC 7
    /// assumes. Default: `true`.
    pub redispatch: bool,
}

/// Settings of `mmi.drain.` (`wire.md` R101).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainConfig {
    /// Whether each peer may drain if there is no policy. With a policy a peer needs the right. Default: `false`.
    pub anybody: bool,
    /// How long calls may still run when the broker is drained. Default: 10 s.
    pub grace: Span,
}

impl Default for DrainConfig {
    fn default() -> Self {
        DrainConfig { anybody: false, grace: Span::from_secs(10) }
    }
}

impl Default for ClassicConfig {
    fn default() -> Self {
        ClassicConfig {
            queue_expiry: Span::from_secs(30),
            run_timeout: Span::from_secs(600),
            idle_expiry: Span::from_secs(10),
            busy_expiry: Span::from_secs(60),
            redispatch: true,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            heartbeat: HEARTBEAT,
            max_heartbeat: Span::from_secs(60),
            liveness: LIVENESS,
            unserved_wait: Span::from_secs(5),
            overrun: Span::from_secs(1),
            admission: true,
            pauses_reading: false,
            classic: ClassicConfig::default(),
            policy: None,
            drain: DrainConfig::default(),
            hooks: HookConfig::default(),
            seed: 0,
            #[cfg(feature = "planted-bugs")]
            planted: None,
        }
    }
}

impl Config {
    #[cfg(feature = "planted-bugs")]
    pub(super) fn planted(&self, bug: PlantedBug) -> bool {
        self.planted == Some(bug)
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[inline(always)]
    pub(super) fn planted(&self, _: PlantedBug) -> bool {
        false
    }
}

/// Faults that can be planted to show that the simulation finds them. Without the feature `planted-bugs` no fault can
/// be turned on, and the code for them is not compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlantedBug {
    /// A reply is accepted from any worker, not only from the one that holds the call.
    AnyoneMayReply,
    /// A queued call is not dispatched when a slot becomes free.
    NoPumpAfterFinal,
    /// A call that is not idempotent is dispatched again after its worker was lost.
    RedispatchEverything,
    /// A lost worker's calls stay where they are.
    ForgetLostWorkersCalls,
    /// A call's deadline is not enforced while a worker holds it.
    NoDeadlineInFlight,
    /// A silent worker stays registered for ever.
    NoExpiry,
    /// A client that leaves keeps its queued calls in the queue.
    KeepDeadClientsCalls,
    /// The slot of a call whose client has left is not given back.
    LeakSlotOfDeadClient,
    /// A call is given to another worker although parts of its streams have passed.
    MoveBegunCalls,
    /// Items cost no credit.
    ForgetCredit,
    /// END that was sent while the call waited is not passed on.
    ForgetEnd,
    /// A raw call whose body is a typed call is given to its worker.
    LetTunnelsPass,
    /// A peer whose session ends while its message is handled counts as a peer without a key.
    ForgetIdentity,
    /// A call that its client has given up is no longer counted for its client, though a worker still runs it.
    ForgetAbandonedCalls,
    /// The unread bytes of a peer no longer count when its session ends.
    ForgetUnread,
    /// Calls that cannot end in their time are queued and started.
    AdmitWhatCannotEnd,
}
