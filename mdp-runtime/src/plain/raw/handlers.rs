//! Functions that answer raw requests, beside the typed services of a worker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mdp_protocol::Time;
use tokio::runtime::Handle;

use super::desk::Desk;
use super::replier::Replier;
use crate::plain::slots::Slots;

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
    desk: Desk,
}

impl Handlers {
    pub(crate) fn new(
        handlers: Vec<(Arc<[u8]>, RawHandler)>,
        runtime: Handle,
        partials: bool,
    ) -> Self {
        Handlers { handlers, runtime, desk: Desk::new(partials) }
    }

    /// Runs the handler of a service. `false`: it has none.
    pub(in crate::plain) fn start(
        &mut self,
        service: &[u8],
        slot: usize,
        task: u64,
        frames: Vec<Bytes>,
    ) -> bool {
        let Some((_, handler)) = self.handlers.iter().find(|(name, _)| **name == *service) else {
            return false;
        };
        let (handler, replier) = (Arc::clone(handler), self.desk.open(slot, task));
        // A panic drops the replier, which tells the broker.
        self.runtime.spawn(async move { handler(frames, replier).await });
        true
    }

    pub(in crate::plain) fn is_busy(&self) -> bool {
        self.desk.is_busy()
    }

    pub(in crate::plain) fn abort(&mut self, slot: usize) {
        self.desk.abort(slot);
    }

    pub(in crate::plain) fn take_told(&mut self, now: Time, slots: &mut Slots) {
        self.desk.take_told(now, slots);
    }

    pub(in crate::plain) fn flushed(&mut self, slots: &Slots) {
        self.desk.flushed(slots);
    }

    pub(in crate::plain) fn has_told(&self) -> bool {
        self.desk.has_told()
    }

    pub(in crate::plain) fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.desk.poll_told(cx)
    }
}
