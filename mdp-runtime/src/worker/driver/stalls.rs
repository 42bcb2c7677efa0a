//! Watches the runtime of the handlers: a worker whose handlers cannot run leaves its broker until they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mdp_protocol::watchdog::{Seen, Watchdog};
use mdp_protocol::worker::Input;

use super::WorkerDriver;
use crate::observe;

/// Watches the runtime of the handlers.
pub(super) struct Dog {
    pub(super) watchdog: Watchdog,
    /// How long the runtime may be stalled.
    after: Duration,
    /// Whether the runtime has answered.
    moved: Arc<AtomicBool>,
}

impl WorkerDriver {
    /// Watches whether the runtime of the handlers runs at least once in this time, if one is given.
    pub(in crate::worker) fn watching_if(self, after: Option<Duration>) -> Self {
        let Some(after) = after else { return self };
        let watchdog = Watchdog::new(mdp_transport::clock::span(after));
        WorkerDriver { dog: Some(Dog { watchdog, after, moved: Arc::default() }), ..self }
    }

    /// Leaves the broker while the runtime of the handlers is stalled, and comes back afterwards.
    pub(super) fn watch(&mut self) {
        let Some(dog) = &mut self.dog else { return };
        let moved = dog.moved.load(Ordering::Acquire);
        match dog.watchdog.look(self.peer.clock.now(), moved) {
            Seen::Nothing => {}
            Seen::Ask => {
                dog.moved.store(false, Ordering::Release);
                self.pool.probe(Arc::clone(&dog.moved));
            }
            Seen::Stalled => self.stalled(),
            Seen::Moves => {
                observe::moves();
                self.handle(Input::Moves);
            }
        }
    }

    fn stalled(&mut self) {
        let after = self.dog.as_ref().map_or(Duration::ZERO, |dog| dog.after);
        let mut unbegun = self.pool.take_unbegun();
        unbegun.extend(self.jobs.drain(..).chain(self.here.drain(..)).map(|job| job.call));
        unbegun.extend(self.admission.waiting());
        observe::stalled(after, unbegun.len(), self.core.running());
        for call in unbegun {
            if let Some(cx) = self.end(call) {
                cx.cancel();
            }
            let message =
                format!("the runtime of this worker's handlers has not moved for {after:?}");
            self.handle(Input::NotStarted { call, message });
        }
        self.handle(Input::Stalled);
    }
}
