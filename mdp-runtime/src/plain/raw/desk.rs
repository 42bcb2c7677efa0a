//! Raw requests that are open at a worker, and what is said for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use mdp_protocol::Time;
use tokio::sync::{Semaphore, mpsc, watch};

use super::replier::{Open, ROOM, Replier, Told, Word};
use crate::plain::slots::Slots;

pub(crate) struct Desk {
    told: mpsc::UnboundedSender<Told>,
    inbox: mpsc::UnboundedReceiver<Told>,
    /// What has ended a wait.
    first: Option<Told>,
    /// By slot, with the partial replies for which there has to be room again.
    open: HashMap<usize, (Arc<Open>, usize)>,
    partials: bool,
}

impl Desk {
    pub(super) fn new(partials: bool) -> Self {
        let (told, inbox) = mpsc::unbounded_channel();
        Desk { told, inbox, first: None, open: HashMap::new(), partials }
    }

    /// A request has come.
    pub(super) fn open(&mut self, slot: usize, task: u64) -> Replier {
        let room = Semaphore::new(ROOM);
        let open = Arc::new(Open { task, room, over: watch::Sender::new(false) });
        self.open.insert(slot, (Arc::clone(&open), 0));
        Replier::new(open, slot, self.told.clone(), self.partials)
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    /// Nobody waits for the answer of this slot any more.
    pub(super) fn abort(&mut self, slot: usize) {
        if let Some((open, _)) = self.open.remove(&slot) {
            end(&open);
        }
    }

    /// Passes on what repliers say.
    pub(super) fn take_told(&mut self, now: Time, slots: &mut Slots) {
        while let Some(Told { slot, task, word }) =
            self.first.take().or_else(|| self.inbox.try_recv().ok())
        {
            match self.open.get_mut(&slot) {
                Some((open, said)) if open.task == task => *said += 1,
                // Of a request that is over.
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

    /// What could be sent was sent.
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

    /// Waits until repliers have something to say.
    pub(super) fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.first.is_some() {
            return Poll::Ready(());
        }
        // There is always a sender: this one.
        self.inbox.poll_recv(cx).map(|told| self.first = told)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.open.values().for_each(|(open, _)| end(open));
    }
}

fn end(open: &Open) {
    // First the room: who hears that it is over finds it closed.
    open.room.close();
    open.over.send_replace(true);
}
