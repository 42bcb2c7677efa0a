//! The raw requests that are open at a worker, and the replies to them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mdp_protocol::Time;
use tokio::sync::{Semaphore, mpsc, watch};

use super::replier::{Open, ROOM, Replier, Told, Word};
use crate::call::{ServiceHold, ServicePermits};
use crate::classic::slots::Slots;

pub(crate) struct OpenRequests {
    told: mpsc::UnboundedSender<Told>,
    inbox: mpsc::UnboundedReceiver<Told>,
    /// The message that ended a wait.
    first: Option<Told>,
    /// By slot, with the number of partial replies for which room must become free again.
    open: HashMap<usize, (Arc<Open>, usize)>,
    /// Requests that wait for a permit, at most one for each slot.
    waiting: VecDeque<Request>,
    partials: bool,
}

/// The request of a slot.
pub(super) struct Request {
    pub(super) slot: usize,
    pub(super) task: u64,
    pub(super) frames: Vec<Bytes>,
    /// The capacity of the request's service.
    pub(super) permits: Arc<ServicePermits>,
}

/// A request that is ready to be answered.
pub(super) struct Opened {
    pub(super) slot: usize,
    pub(super) frames: Vec<Bytes>,
    pub(super) replier: Replier,
    /// The replier's share of the capacity of its service, which the handler may share.
    pub(super) hold: Arc<ServiceHold>,
}

impl OpenRequests {
    pub(super) fn new(partials: bool) -> Self {
        let (told, inbox) = mpsc::unbounded_channel();
        let (open, waiting) = (HashMap::new(), VecDeque::new());
        OpenRequests { told, inbox, first: None, open, waiting, partials }
    }

    /// Adds a new request. [`next`](Self::next) returns the request once there is a permit for it.
    pub(super) fn put(&mut self, request: Request) {
        self.waiting.push_back(request);
    }

    /// The next request for which there is a permit.
    pub(super) fn next(&mut self) -> Option<Opened> {
        let mut waiting = self.waiting.iter().enumerate();
        let (place, hold) =
            waiting.find_map(|(place, request)| Some((place, request.permits.try_hold()?)))?;
        let Request { slot, task, frames, .. } = self.waiting.remove(place)?;
        let (room, hold) = (Semaphore::new(ROOM), Arc::new(hold));
        let open = Arc::new(Open { task, room, over: watch::Sender::new(false) });
        self.open.insert(slot, (Arc::clone(&open), 0));
        let replier = Replier::new(open, slot, self.told.clone(), self.partials, Arc::clone(&hold));
        Some(Opened { slot, frames, replier, hold })
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.open.is_empty() || !self.waiting.is_empty()
    }

    /// Ends the request of this slot: its answer is no longer needed.
    pub(super) fn abort(&mut self, slot: usize) {
        self.waiting.retain(|request| request.slot != slot);
        if let Some((open, _)) = self.open.remove(&slot) {
            end(&open);
        }
    }

    /// Passes the replies of repliers on.
    pub(super) fn take_told(&mut self, now: Time, slots: &mut Slots) {
        while let Some(Told { slot, task, word }) =
            self.first.take().or_else(|| self.inbox.try_recv().ok())
        {
            match self.open.get_mut(&slot) {
                Some((open, said)) if open.task == task => *said += 1,
                // The reply belongs to a request that is over.
                _ => continue,
            }
            match word {
                Word::Partial(frames) => slots.answer(now, slot, task, false, frames),
                Word::Finish(frames) => {
                    self.open.remove(&slot);
                    slots.answer(now, slot, task, true, frames);
                }
                Word::Dropped => {
                    self.abort(slot);
                    slots.forfeit(now, slot, task);
                }
            }
        }
    }

    /// Makes room for partial replies after the socket has sent its queue.
    pub(super) fn flushed(&mut self, slots: &Slots) {
        for (slot, (open, said)) in &mut self.open {
            if *said > 0 && slots.has_room(*slot) {
                open.room.add_permits(std::mem::take(said));
            }
        }
    }

    pub(super) fn has_told(&self) -> bool {
        self.first.is_some() || !self.inbox.is_empty()
    }

    /// Waits until repliers have sent something.
    pub(super) fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.first.is_some() {
            return Poll::Ready(());
        }
        // There is always a sender: `told`.
        self.inbox.poll_recv(cx).map(|told| self.first = told)
    }
}

impl Drop for OpenRequests {
    fn drop(&mut self) {
        self.open.values().for_each(|(open, _)| end(open));
    }
}

fn end(open: &Open) {
    // The room is closed first: a replier that is notified then finds it closed.
    open.room.close();
    open.over.send_replace(true);
}
