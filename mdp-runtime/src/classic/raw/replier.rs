//! The answer to a raw request, from any task or thread.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use mdp_protocol::wire::Part;
use mdp_protocol::{Code, Payload};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};

use crate::call::{CallContext, Hold, ServiceHold};
use crate::classic::MAX_FRAMES;
use crate::stream::SendCredit;
use mdp_call::body::Body;
use mdp_call::codec;
use mdp_call::status::Status;

/// The maximum number of partial replies of one request that wait for the socket.
pub(super) const ROOM: usize = 16;

/// A message from a replier to the driver.
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

/// An open request, shared by its replier and the driver.
pub(super) struct Open {
    pub(super) task: u64,
    pub(super) room: Semaphore,
    /// Whether the answer is no longer needed.
    pub(super) over: watch::Sender<bool>,
}

/// The error of sending a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The connection to the broker that sent the request is lost, or the worker was stopped.
    #[error("the reply is not needed any more: the session with the broker is over")]
    Over,
    /// MDP/0.1 has one reply to a request.
    #[error("MDP/0.1 has no partial replies")]
    NoPartials,
    /// The message has more frames than a broker accepts.
    #[error("the reply has {0} frames; at most {MAX_FRAMES} are allowed")]
    Frames(usize),
}

fn check(frames: Vec<Bytes>) -> Result<Vec<Bytes>, ReplyError> {
    if frames.len() > MAX_FRAMES { Err(ReplyError::Frames(frames.len())) } else { Ok(frames) }
}

/// Answers one raw request: with any number of [`partial`](Self::partial) replies over MDP/0.2, then with one
/// [`finish`](Self::finish). The replier may be stored, moved to another task or thread, and used later. Meanwhile the
/// worker sends heartbeats and gets no other request in its place.
///
/// Dropping a replier without an answer also closes the connection of its request: the worker leaves the broker and
/// returns on a new connection. Classic MDP has no other way to say that there will be no answer. A broker of this
/// project then gives the request to another worker, as often as its settings allow; other brokers leave the client
/// waiting. Over MDP/RPC the request ends with INTERNAL.
#[must_use = "dropping it without an answer ends the connection to the broker"]
pub struct Replier {
    /// `None` after the final reply.
    inner: Option<ReplierInner>,
}

enum ReplierInner {
    Classic {
        open: Arc<Open>,
        slot: usize,
        told: mpsc::UnboundedSender<Told>,
        partials: bool,
        hold: Arc<ServiceHold>,
    },
    Rpc {
        cx: CallContext,
        credit: Mutex<SendCredit>,
        end: EndCall,
        hold: Hold,
    },
}

/// Ends a raw call of MDP/RPC.
pub(crate) type EndCall = Box<dyn FnOnce(Code, Body) + Send + Sync>;

impl Replier {
    pub(super) fn new(
        open: Arc<Open>,
        slot: usize,
        told: mpsc::UnboundedSender<Told>,
        partials: bool,
        hold: Arc<ServiceHold>,
    ) -> Self {
        Replier { inner: Some(ReplierInner::Classic { open, slot, told, partials, hold }) }
    }

    /// The replier of an MDP/RPC call.
    pub(crate) fn rpc(cx: CallContext, end: EndCall, hold: Hold) -> Self {
        Replier { inner: Some(ReplierInner::Rpc { cx, credit: Mutex::default(), end, hold }) }
    }

    /// Sends a partial reply. Waits while the connection has not taken 16 of them or, over MDP/RPC, while the reader
    /// has no room. A client that accepts only the final reply gets no partial replies.
    ///
    /// # Errors
    ///
    /// The connection is over, the protocol is MDP/0.1, or there are more than 27 frames.
    pub async fn partial(&self, frames: impl Into<Vec<Bytes>>) -> Result<(), ReplyError> {
        let frames = check(frames.into())?;
        match &self.inner {
            Some(ReplierInner::Classic { partials: false, .. }) => Err(ReplyError::NoPartials),
            Some(ReplierInner::Classic { open, slot, told, .. }) => {
                open.room.acquire().await.map_err(|_| ReplyError::Over)?.forget();
                tell(told, *slot, open, Word::Partial(frames))
            }
            Some(ReplierInner::Rpc { cx, credit, .. }) => {
                // Without a stream the client does not accept partial replies.
                let Some(flow) = cx.flow() else { return Ok(()) };
                let mut credit = credit.lock().await;
                let ready = poll_fn(|context| credit.poll_ready(flow.half(), context)).await;
                ready.map_err(|_| ReplyError::Over)?;
                let body = Body::of_frames(b"", frames);
                credit.pay(body.size());
                flow.send(Part::Item(body));
                Ok(())
            }
            None => Err(ReplyError::Over),
        }
    }

    /// Sends the final reply. Any number of frames, even zero, is one reply.
    ///
    /// # Errors
    ///
    /// The connection is over, or there are more than 27 frames; the request then has no answer. Success does not mean
    /// that the reply reaches the client.
    pub fn finish(mut self, frames: impl Into<Vec<Bytes>>) -> Result<(), ReplyError> {
        if self.is_over() {
            return Err(ReplyError::Over);
        }
        let frames = check(frames.into())?;
        match self.inner.take() {
            Some(ReplierInner::Classic { open, slot, told, hold, .. }) => {
                // The permit goes first: the message wakes the task that looks for a permit.
                drop(hold);
                tell(&told, slot, &open, Word::Finish(frames))
            }
            Some(ReplierInner::Rpc { end, hold, .. }) => {
                drop(hold);
                end(Code::Ok, Body::of_frames(b"", frames));
                Ok(())
            }
            None => Err(ReplyError::Over),
        }
    }

    /// Whether the reply is no longer needed.
    pub fn is_over(&self) -> bool {
        match &self.inner {
            Some(ReplierInner::Classic { open, .. }) => *open.over.borrow(),
            Some(ReplierInner::Rpc { cx, .. }) => cx.is_cancelled(),
            None => true,
        }
    }

    /// Waits until the reply is no longer needed: the connection to the broker was lost, or the worker stops. Over MDP/RPC
    /// also: the client has cancelled the call or has gone, or the call's deadline has passed. Returns at once if the
    /// last reply was sent already.
    pub async fn over(&self) {
        match &self.inner {
            // The sender is part of `open`, so it is not closed.
            Some(ReplierInner::Classic { open, .. }) => {
                let _ = open.over.subscribe().wait_for(|over| *over).await;
            }
            Some(ReplierInner::Rpc { cx, .. }) => cx.cancelled().await,
            None => {}
        }
    }
}

fn tell(
    told: &mpsc::UnboundedSender<Told>,
    slot: usize,
    open: &Open,
    word: Word,
) -> Result<(), ReplyError> {
    told.send(Told { slot, task: open.task, word }).map_err(|_| ReplyError::Over)
}

impl Drop for Replier {
    fn drop(&mut self) {
        match self.inner.take() {
            // A driver that has ended has closed the connection.
            Some(ReplierInner::Classic { open, slot, told, hold, .. }) => {
                drop(hold);
                let _ = tell(&told, slot, &open, Word::Dropped);
            }
            Some(ReplierInner::Rpc { end, hold, .. }) => {
                drop(hold);
                let status = Status::internal("the worker gave no answer to the request");
                end(status.code(), Body::with_payload("", None, codec::encode_status(&status)));
            }
            None => {}
        }
    }
}

impl fmt::Debug for Replier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replier").field("over", &self.is_over()).finish_non_exhaustive()
    }
}
