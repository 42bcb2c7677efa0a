//! PAIR: two sides, and both speak.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::builder::Builder;
use super::error::{RecvError, SendError};
use super::handle::{Inbox, Remote};
use crate::codegen::Record;

/// One of two sides that send each other records. The one binds, the other connects; who comes as a third is turned away
/// until one of them has gone.
///
/// [`split`](Self::split) makes two handles of it, for a task each. When it is dropped, or both of these, the socket sends what
/// it holds, for up to a second, and closes.
///
/// ```
/// use mdp_runtime::MdpRecord;
/// use mdp_runtime::patterns::Pair;
///
/// #[derive(MdpRecord, Clone, Debug, PartialEq)]
/// struct Move {
///     #[mdp(1)]
///     text: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut white = Pair::<Move>::builder().bind("tcp://127.0.0.1:*").start()?;
/// let mut black = Pair::<Move>::builder().connect(&white.endpoints()[0]).start()?;
/// white.send(&Move { text: "e4".into() }).await?;
/// println!("white: {:?}", black.recv().await?);
/// black.send(&Move { text: "e5".into() }).await?;
/// println!("black: {:?}", white.recv().await?);
/// # Ok(())
/// # }
/// ```
pub struct Pair<T> {
    sender: PairSender<T>,
    receiver: PairReceiver<T>,
}

/// The half of a [`Pair`] that sends. Cloning is cheap and gives a handle on the same socket.
pub struct PairSender<T> {
    remote: Remote,
    record: PhantomData<fn(T)>,
}

/// The half of a [`Pair`] that receives. If it is dropped before the other one, what comes is not read any more, and the
/// other side soon has to wait.
pub struct PairReceiver<T> {
    remote: Remote,
    inbox: Inbox<T>,
}

impl<T: Record> Pair<T> {
    /// Settings for one side of a pair.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    pub(super) fn new(remote: Remote, inbox: Inbox<T>) -> Self {
        let sender = PairSender { remote: remote.clone(), record: PhantomData };
        Pair { sender, receiver: PairReceiver { remote, inbox } }
    }

    /// Sends a record, as [`PairSender::send`] does.
    ///
    /// # Errors
    ///
    /// The same as of [`PairSender::send`].
    pub async fn send(&self, message: &T) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// The next record, as [`PairReceiver::recv`] gives it.
    ///
    /// # Errors
    ///
    /// The same as of [`PairReceiver::recv`].
    pub async fn recv(&mut self) -> Result<Option<T>, RecvError> {
        self.receiver.recv().await
    }
}

impl<T> Pair<T> {
    /// A handle that sends and one that receives, for a task each.
    pub fn split(self) -> (PairSender<T>, PairReceiver<T>) {
        (self.sender, self.receiver)
    }

    /// The endpoint; if it is bound, with the port that it took.
    pub fn endpoints(&self) -> &[String] {
        &self.sender.remote.endpoints
    }

    /// Closes the socket, and waits until ZeroMQ has written what it holds, for up to a second. All whose `send` has ended is
    /// among that.
    pub async fn shutdown(&self) {
        self.sender.shutdown().await;
    }
}

impl<T: Record> PairSender<T> {
    /// Sends a record, and waits until the socket has it: for the other side if it is not there, or until it has
    /// room. A side that connects counts the other one as there from the beginning. Dropping the future takes the record back,
    /// unless the socket has it by then.
    ///
    /// # Errors
    ///
    /// The socket was [shut down](Self::shutdown), and does not have the record, or the record is too large.
    pub async fn send(&self, message: &T) -> Result<(), SendError> {
        self.remote.send(message).await
    }
}

impl<T> PairSender<T> {
    /// Closes the socket for both halves, and waits until ZeroMQ has written what it holds, for up to a second. All whose
    /// `send` has ended is among that; those that still wait end with [`SendError::Closed`].
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T: Record> PairReceiver<T> {
    /// The next record; `None` when the socket is closed and all is read. That the other side has gone is not told: another may
    /// come. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// What came is not such a record. The next one can be received.
    pub async fn recv(&mut self) -> Result<Option<T>, RecvError> {
        poll_fn(|cx| self.inbox.poll_record(cx)).await.transpose()
    }
}

impl<T: Record> Stream for PairReceiver<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_record(cx)
    }
}

impl<T: Record> Stream for Pair<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.inbox.poll_record(cx)
    }
}

impl<T> Clone for PairSender<T> {
    fn clone(&self) -> Self {
        PairSender { remote: self.remote.clone(), record: PhantomData }
    }
}

impl<T> fmt::Debug for Pair<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("endpoint", &self.sender.remote).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PairSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairSender").field("endpoint", &self.remote).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PairReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairReceiver").field("endpoint", &self.remote).finish_non_exhaustive()
    }
}
