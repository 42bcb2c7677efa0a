//! Functions that answer raw requests, next to the typed services of a worker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mdp_protocol::Time;
use tokio::runtime::Handle;

use super::open_requests::{OpenRequests, Opened, Request};
use super::replier::Replier;
use crate::call::ServicePermits;
use crate::classic::slots::Slots;
use mdp_transport::ends;

/// A function that answers raw requests.
pub(crate) type RawHandler =
    Arc<dyn Fn(Vec<Bytes>, Replier) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

pub(crate) fn raw_handler<F, Fut>(handler: F) -> RawHandler
where
    F: Fn(Vec<Bytes>, Replier) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |frames, replier| Box::pin(handler(frames, replier)))
}

pub(crate) struct Handlers {
    handlers: Vec<(Arc<[u8]>, RawHandler)>,
    runtime: Handle,
    open_requests: OpenRequests,
    /// The capacity of each service.
    permits: Vec<(Arc<[u8]>, Arc<ServicePermits>)>,
    /// For each slot, the index of the handler of its request.
    places: Vec<usize>,
}

impl Handlers {
    pub(crate) fn new(
        handlers: Vec<(Arc<[u8]>, RawHandler)>,
        runtime: Handle,
        partials: bool,
    ) -> Self {
        let (open_requests, permits) = (OpenRequests::new(partials), Vec::new());
        Handlers { handlers, runtime, open_requests, permits, places: Vec::new() }
    }

    /// The same handlers with the capacities of the services.
    pub(crate) fn within(self, permits: Vec<(Arc<[u8]>, Arc<ServicePermits>)>) -> Self {
        Handlers { permits, ..self }
    }

    /// Runs the handler of a service. `false`: the service has no handler.
    pub(in crate::classic) fn start(
        &mut self,
        service: &[u8],
        slot: usize,
        task: u64,
        frames: Vec<Bytes>,
    ) -> bool {
        let Some(place) = self.handlers.iter().position(|(name, _)| **name == *service) else {
            return false;
        };
        let Some((_, permits)) = self.permits.iter().find(|(name, _)| **name == *service) else {
            return false;
        };
        if self.places.len() <= slot {
            self.places.resize(slot + 1, usize::MAX);
        }
        if let Some(at) = self.places.get_mut(slot) {
            *at = place;
        }
        self.open_requests.put(Request { slot, task, frames, permits: Arc::clone(permits) });
        self.begin();
        true
    }

    /// Runs the handlers of the requests for which there are permits.
    fn begin(&mut self) {
        while let Some(Opened { slot, frames, replier, hold }) = self.open_requests.next() {
            let place = self.places.get(slot).copied().unwrap_or(usize::MAX);
            let Some((_, handler)) = self.handlers.get(place) else { continue };
            let handler = Arc::clone(handler);
            // A panic drops the replier, which notifies the broker.
            let ended = async move {
                handler(frames, replier).await;
                drop(hold);
            };
            self.runtime.spawn(ends::task("raw handler", ended, drop));
        }
    }

    pub(in crate::classic) fn is_busy(&self) -> bool {
        self.open_requests.is_busy()
    }

    pub(in crate::classic) fn abort(&mut self, slot: usize) {
        self.open_requests.abort(slot);
    }

    pub(in crate::classic) fn take_told(&mut self, now: Time, slots: &mut Slots) {
        self.open_requests.take_told(now, slots);
        self.begin();
    }

    pub(in crate::classic) fn flushed(&mut self, slots: &Slots) {
        self.open_requests.flushed(slots);
    }

    pub(in crate::classic) fn has_told(&self) -> bool {
        self.open_requests.has_told()
    }

    pub(in crate::classic) fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.open_requests.poll_told(cx)
    }
}
