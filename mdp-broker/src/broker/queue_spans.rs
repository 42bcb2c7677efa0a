//! OpenTelemetry spans of waiting calls. Without the feature `opentelemetry` this does nothing and costs nothing.

use mdp_protocol::broker::{Broker, Outgoing, Sender};
use mdp_protocol::wire::Record;
use mdp_protocol::{Key, Limits};

#[cfg(feature = "opentelemetry")]
use crate::queue::WaitingCalls;
use mdp_call::body::Body;
#[cfg(feature = "opentelemetry")]
use mdp_call::otel::Telemetry;
use mdp_transport::clock::Clock;

/// Whether spans are recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    #[cfg(feature = "opentelemetry")]
    pub(super) telemetry: Option<Telemetry>,
}

/// Sees every message that the broker receives and sends.
#[derive(Debug, Default)]
pub(super) struct QueueSpans {
    #[cfg(feature = "opentelemetry")]
    waiting: Option<WaitingCalls>,
}

#[cfg(feature = "opentelemetry")]
impl QueueSpans {
    /// Makes the recorder for a broker with these limits.
    pub(super) fn new(settings: Settings, limits: &Limits) -> Self {
        let waiting = |telemetry| WaitingCalls::new(telemetry, limits.calls);
        QueueSpans { waiting: settings.telemetry.map(waiting) }
    }

    pub(super) fn came(&mut self, from: Sender<'_>, record: &Record<&[u8], Body>) {
        if let Some(waiting) = &mut self.waiting {
            waiting.came(from, record);
        }
    }

    pub(super) fn sent(
        &mut self,
        core: &Broker<Body>,
        clock: &Clock,
        to: Key,
        record: &Outgoing<Body>,
    ) {
        if let Some(waiting) = &mut self.waiting {
            waiting.sent(core, clock, to, record);
        }
    }

    /// Records that a worker of classic MDP gets a call.
    pub(super) fn dispatched(&mut self, core: &Broker<Body>, call: u64) {
        if let Some(waiting) = &mut self.waiting {
            waiting.dispatched(core, call);
        }
    }

    pub(super) fn closed(&mut self, session: Key) {
        if let Some(waiting) = &mut self.waiting {
            waiting.closed(session);
        }
    }
}

#[cfg(not(feature = "opentelemetry"))]
impl QueueSpans {
    pub(super) fn new(_: Settings, _: &Limits) -> Self {
        QueueSpans::default()
    }

    pub(super) fn came(&mut self, _: Sender<'_>, _: &Record<&[u8], Body>) {}

    pub(super) fn sent(&mut self, _: &Broker<Body>, _: &Clock, _: Key, _: &Outgoing<Body>) {}

    pub(super) fn dispatched(&mut self, _: &Broker<Body>, _: u64) {}

    pub(super) fn closed(&mut self, _: Key) {}
}
