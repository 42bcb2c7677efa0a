//! PAIR: two sides that both send and receive.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::builder::Builder;
use super::error::{RecvError, SendError};
use super::handle::{Inbox, Remote};
use mdp_call::codec::record::TypedMessage;

/// One of two sides that send records to each other. One side binds, the other connects. A third peer is refused until
/// one of the two has gone.
///
/// [`split`](Self::split) makes a sending and a receiving handle, for separate tasks. When the pair or both handles are
/// dropped, the socket sends its queued messages, for up to one second, and closes.
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

/// The sending half of a [`Pair`]. Cloning is cheap and gives another handle on the same socket.
pub struct PairSender<T> {
    remote: Remote,
    record: PhantomData<fn(T)>,
}

/// The receiving half of a [`Pair`]. If it is dropped before the sending half, received messages are no longer read,
/// and the other side soon has to wait.
pub struct PairReceiver<T> {
    remote: Remote,
    inbox: Inbox<T>,
}

impl<T: TypedMessage> Pair<T> {
    /// Returns a builder for the settings of one side of a pair.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    pub(super) fn new(remote: Remote, inbox: Inbox<T>) -> Self {
        let sender = PairSender { remote: remote.clone(), record: PhantomData };
        Pair { sender, receiver: PairReceiver { remote, inbox } }
    }

    /// Sends a record; see [`PairSender::send`].
    ///
    /// # Errors
    ///
    /// The errors of [`PairSender::send`].
    pub async fn send(&self, message: &T) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// Returns the next record; see [`PairReceiver::recv`].
    ///
    /// # Errors
    ///
    /// The errors of [`PairReceiver::recv`].
    pub async fn recv(&mut self) -> Result<Option<T>, RecvError> {
        self.receiver.recv().await
    }
}

impl<T> Pair<T> {
    /// Splits the pair into a sending and a receiving handle, for separate tasks.
    pub fn split(self) -> (PairSender<T>, PairReceiver<T>) {
        (self.sender, self.receiver)
    }

    /// Returns the endpoint; if it is bound, with its actual port.
    pub fn endpoints(&self) -> &[String] {
        &self.sender.remote.endpoints
    }

    /// Closes the socket, and waits until ZeroMQ has written its queued messages, for up to one second. These include
    /// every message whose `send` has ended.
    pub async fn shutdown(&self) {
        self.sender.shutdown().await;
    }
}

impl<T: TypedMessage> PairSender<T> {
    /// Sends a record, and waits until the socket has it: until the other side is there and has room. Over libzmq the other
    /// side counts as there from the beginning for a side that connects. Dropping the future withdraws the record, unless
    /// the socket has it by then.
    ///
    /// # Errors
    ///
    /// The socket was [shut down](Self::shutdown), or has failed, before it had the record, or the record is too large.
    pub async fn send(&self, message: &T) -> Result<(), SendError> {
        self.remote.send(message).await
    }
}

impl<T> PairSender<T> {
    /// Closes the socket for both halves, and waits until ZeroMQ has written its queued messages, for up to one second.
    /// These include every message whose `send` has ended; `send` calls that still wait end with [`SendError::Closed`].
    pub async fn shutdown(&self) {
        self.remote.shutdown().await;
    }
}

impl<T: TypedMessage> PairReceiver<T> {
    /// Returns the next record; `None` when the socket is closed and all records are read. The departure of the other
    /// side is not reported, because another peer may connect. Dropping the future loses no message.
    ///
    /// # Errors
    ///
    /// The received message is not a record of this type. The next one can be received.
    pub async fn recv(&mut self) -> Result<Option<T>, RecvError> {
        poll_fn(|cx| self.inbox.poll_record(cx)).await.transpose()
    }
}

impl<T: TypedMessage> Stream for PairReceiver<T> {
    type Item = Result<T, RecvError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inbox.poll_record(cx)
    }
}

impl<T: TypedMessage> Stream for Pair<T> {
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
