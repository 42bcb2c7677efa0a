//! The broker's settings.

use alloc::sync::Arc;

use super::hooks::HookConfig;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::time::{HEARTBEAT, LIVENESS, Span};

/// Settings of a broker. The default is meant for production.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is accepted.
    pub limits: Limits,
    /// How often the broker sends and wants a heartbeat; a peer may ask for a longer interval. Default:
    /// [`HEARTBEAT`](crate::HEARTBEAT).
    pub heartbeat: Span,
    /// The longest interval that a peer may ask for. 60 s.
    pub heartbeat_most: Span,
    /// How many silent intervals mean that a peer is gone; a peer may ask for more, up to 10. Default:
    /// [`LIVENESS`](crate::LIVENESS).
    pub liveness: u8,
    /// How long a call for a service without any worker waits for one, at most until shortly before its deadline
    /// (`wire.md` R41). Zero refuses it at once. 5 s.
    pub unserved_wait: Span,
    /// How long a worker may hold a slot beyond its call's deadline before the slot is given to
    /// another call. 1 s.
    pub overrun: Span,
    /// Whether a call is refused that would wait for so long that it could not end in its time. True.
    pub admission: bool,
    /// For peers of plain MDP.
    pub plain: PlainConfig,
    /// Who may do what. Without one everybody may do everything.
    pub policy: Option<Arc<Policy>>,
    /// Who may ask for workers or the broker to end, and how.
    pub drain: DrainConfig,
    /// What is asked of the operator's own code. Nothing.
    pub hooks: HookConfig,
    /// Seed of the hash tables: random in production, so that no peer can choose names or ids that
    /// collide; fixed in tests.
    pub seed: u64,
    /// A fault to be found by the simulation; only with the feature `planted-bugs`.
    #[cfg(feature = "planted-bugs")]
    pub planted: Option<PlantedBug>,
}

/// What is agreed with peers of plain MDP (RFC 7 and RFC 18), which cannot say what they want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainConfig {
    /// How long a raw request of a plain client waits for a worker (RFC 7 and RFC 18, "Client"). 30 s.
    pub queue_expiry: Span,
    /// How long it may then run. 10 min.
    pub run_timeout: Span,
    /// How long a plain worker may be silent while it holds no request. 10 s.
    pub idle_expiry: Span,
    /// How long one may be silent while it holds a request, and how long it may hold one for which nobody
    /// waits. 60 s.
    pub busy_expiry: Span,
    /// Whether a raw request of a plain client is given to another worker when its worker was lost, as RFC 7
    /// assumes. True.
    pub redispatch: bool,
}

/// What holds for `mmi.drain.` (`wire.md` R101).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainConfig {
    /// Without a policy, whether everybody may ask for it. With one it takes the right. False.
    pub anybody: bool,
    /// How long calls may still run when the broker is to end. 10 s.
    pub grace: Span,
}

impl Default for DrainConfig {
    fn default() -> Self {
        DrainConfig { anybody: false, grace: Span::from_secs(10) }
    }
}

impl Default for PlainConfig {
    fn default() -> Self {
        PlainConfig {
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
            heartbeat_most: Span::from_secs(60),
            liveness: LIVENESS,
            unserved_wait: Span::from_secs(5),
            overrun: Span::from_secs(1),
            admission: true,
            plain: PlainConfig::default(),
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

/// Faults that can be planted to show that the simulation finds them. Without the feature
/// `planted-bugs` none can be switched on and the code for them is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlantedBug {
    /// A reply is taken from any worker, not only from the one that holds the call.
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
    /// END that was said while the call waited is not passed on.
    ForgetEnd,
    /// A raw call whose body is a typed call is given to its worker.
    LetTunnelsPass,
    /// A peer whose session ends while its message is looked at counts as one without a key.
    ForgetIdentity,
    /// A call that its client has given up counts for nobody, though a worker is at work on it.
    ForgetAbandonedCalls,
    /// What a peer has not read does not count any more when its session ends.
    ForgetUnread,
    /// Calls wait, and are started, that cannot end in their time.
    AdmitWhatCannotEnd,
}
