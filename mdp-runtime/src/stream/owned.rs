//! A stream that owns what it borrows from: a handler's replies, with the context of the call.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::{mpsc, oneshot};

use mdp_call::status::Status;

/// What a handler gives its replies to.
#[derive(Debug)]
pub struct Owner<T, E> {
    opened: oneshot::Sender<Result<(), E>>,
    items: mpsc::Sender<Result<T, Status>>,
}

impl<T, E> Owner<T, E> {
    /// Passes on what a handler has returned: its replies to their end, or its error.
    pub async fn pass_on<S>(self, replies: Result<S, E>)
    where
        S: Stream<Item = Result<T, Status>>,
    {
        let replies = match replies {
            Ok(replies) => replies,
            Err(error) => return drop(self.opened.send(Err(error))),
        };
        // Both ends are dropped together: nobody waits any more.
        drop(self.opened.send(Ok(())));
        let mut replies = pin!(replies);
        while let Some(item) = poll_fn(|cx| replies.as_mut().poll_next(cx)).await {
            if self.items.send(item).await.is_err() {
                return;
            }
        }
    }
}

/// Runs a handler that gives its replies to an [`Owner`], and returns them as a stream. The handler's future owns what its
/// stream borrows from, and is run when the stream is read.
///
/// # Errors
///
/// The handler's error.
pub async fn owned<T, E, F>(
    handler: impl FnOnce(Owner<T, E>) -> F,
) -> Result<impl Stream<Item = Result<T, Status>> + Send, E>
where
    T: Send,
    F: Future<Output = ()> + Send,
{
    let (opened, mut opens) = oneshot::channel();
    let (items, passed) = mpsc::channel(1);
    let handler = handler(Owner { opened, items });
    let mut stream = Owned { handler: Some(Box::pin(handler)), items: passed };
    let opened = poll_fn(|cx| {
        stream.run(cx);
        Pin::new(&mut opens).poll(cx)
    });
    match opened.await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(stream),
    }
}

struct Owned<T, F> {
    /// `None`: the handler has ended.
    handler: Option<Pin<Box<F>>>,
    items: mpsc::Receiver<Result<T, Status>>,
}

impl<T, F: Future<Output = ()>> Owned<T, F> {
    fn run(&mut self, cx: &mut Context<'_>) {
        if let Some(handler) = &mut self.handler
            && handler.as_mut().poll(cx).is_ready()
        {
            self.handler = None;
        }
    }
}

impl<T, F: Future<Output = ()>> Stream for Owned<T, F> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(item) = self.items.poll_recv(cx) {
            return Poll::Ready(item);
        }
        self.run(cx);
        self.items.poll_recv(cx)
    }
}
