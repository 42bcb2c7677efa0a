//! The answer to a raw request, from wherever it comes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, watch};

/// Partial replies of one request that may wait for the socket.
pub(super) const ROOM: usize = 16;

/// What repliers have to say to the driver.
pub(super) struct Told {
    pub(super) slot: usize,
    pub(super) task: u64,
    pub(super) word: Word,
}

pub(super) enum Word {
    Partial(Vec<Bytes>),
    Finish(Vec<Bytes>),
    /// There will be no answer.
    Dropped,
}

/// A request that is open, as its replier and the driver share it.
pub(super) struct Open {
    pub(super) task: u64,
    pub(super) room: Semaphore,
    /// Nobody waits for the answer any more.
    pub(super) over: watch::Sender<bool>,
}

/// Why a reply was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The connection to the broker that gave the request is lost, or the worker was stopped.
    #[error("nobody waits for the reply any more: the session with the broker is over")]
    Over,
    /// MDP/0.1 has one reply to a request.
    #[error("MDP/0.1 has no partial replies")]
    NoPartials,
}

/// Answers one raw request: with any number of [`partial`](Self::partial) replies over MDP/0.2, then with one
/// [`finish`](Self::finish). It may be kept, moved to another task or thread, and answered later; the worker gives signs of
/// life meanwhile and gets no other request in this one's place.
///
/// Dropped without an answer, it takes the connection of its request with it: the worker leaves the broker and comes back on
/// a new connection. That is the only way of plain MDP to say that there will be no answer. A broker of this project
/// gives the request to another worker then, as often as it may; other brokers leave its client waiting.
#[must_use = "dropped without an answer, it ends the connection to the broker"]
pub struct Replier {
    open: Arc<Open>,
    slot: usize,
    told: mpsc::UnboundedSender<Told>,
    partials: bool,
    done: bool,
}

impl Replier {
    pub(super) fn new(
        open: Arc<Open>,
        slot: usize,
        told: mpsc::UnboundedSender<Told>,
        partials: bool,
    ) -> Self {
        Replier { open, slot, told, partials, done: false }
    }

    /// Sends a partial reply; waits while 16 of them have not been taken by the connection.
    ///
    /// # Errors
    ///
    /// The connection is over, or it is one of MDP/0.1.
    pub async fn partial(&self, frames: impl Into<Vec<Bytes>>) -> Result<(), ReplyError> {
        if !self.partials {
            return Err(ReplyError::NoPartials);
        }
        self.open.room.acquire().await.map_err(|_| ReplyError::Over)?.forget();
        self.tell(Word::Partial(frames.into()))
    }

    /// Sends the final reply. Of two frames or of none, it is one reply.
    ///
    /// # Errors
    ///
    /// The connection is over. Whether the reply reaches its client cannot be known in any case.
    pub fn finish(mut self, frames: impl Into<Vec<Bytes>>) -> Result<(), ReplyError> {
        if self.is_over() {
            return Err(ReplyError::Over);
        }
        self.done = true;
        self.tell(Word::Finish(frames.into()))
    }

    /// Whether nobody waits for the reply any more.
    pub fn is_over(&self) -> bool {
        *self.open.over.borrow()
    }

    /// Waits until nobody waits for the reply any more. That a client has gone away is not known.
    pub async fn over(&self) {
        // The sender is here.
        let _ = self.open.over.subscribe().wait_for(|over| *over).await;
    }

    fn tell(&self, word: Word) -> Result<(), ReplyError> {
        let told = Told { slot: self.slot, task: self.open.task, word };
        self.told.send(told).map_err(|_| ReplyError::Over)
    }
}

impl Drop for Replier {
    fn drop(&mut self) {
        if !self.done {
            // A driver that is gone has ended the connection.
            let _ = self.tell(Word::Dropped);
        }
    }
}

impl fmt::Debug for Replier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replier").field("over", &self.is_over()).finish_non_exhaustive()
    }
}
