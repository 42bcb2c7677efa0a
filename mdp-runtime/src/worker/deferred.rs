//! Replies that other tasks or threads give later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::call::{CallContext, Hold, Outlasts};
use mdp_call::status::Status;

/// Sends the reply of a call, once, from any task or thread. See [`CallContext::defer`].
///
/// Dropping the responder without an answer ends the call with INTERNAL.
#[must_use = "a responder that is dropped ends the call with INTERNAL"]
pub struct Responder<Rep> {
    answer: oneshot::Sender<Result<Rep, Status>>,
    cx: CallContext,
    /// The call's place in the worker's capacity: work with the responder may continue after the call has ended.
    hold: Option<Hold>,
}

impl<Rep> Responder<Rep> {
    /// Ends the call with a reply. If the caller no longer waits, the reply is discarded.
    pub fn reply(self, reply: Rep) {
        self.send(Ok(reply));
    }

    /// Ends the call with a status.
    pub fn fail(self, status: Status) {
        self.send(Err(status));
    }

    /// Ends the call with a reply or a status.
    pub fn send(self, outcome: Result<Rep, Status>) {
        // The permit goes first, because the answer may end the call.
        drop(self.hold);
        // The receiver is dropped with the handler, and then the caller no longer waits.
        let _ = self.answer.send(outcome);
    }

    /// Returns the call's context, for instance for the time left or the cancellation.
    pub fn context(&self) -> &CallContext {
        &self.cx
    }
}

impl<Rep> fmt::Debug for Responder<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("method", &self.cx.method()).finish_non_exhaustive()
    }
}

/// A future of the reply that the [`Responder`] sends, for a handler to return or await.
#[must_use = "the call ends with what this future gives"]
pub struct Deferred<Rep> {
    answer: oneshot::Receiver<Result<Rep, Status>>,
    method: &'static str,
}

impl<Rep> Future for Deferred<Rep> {
    type Output = Result<Rep, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answered| {
            answered.unwrap_or_else(|_| {
                let method = self.method;
                Err(Status::internal(format!("the responder of {method} was dropped unanswered")))
            })
        })
    }
}

impl<Rep> fmt::Debug for Deferred<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deferred").field("method", &self.method).finish_non_exhaustive()
    }
}

impl CallContext {
    /// Lets another task or thread answer: pass the [`Responder`] on, and return the future. The call keeps its slot
    /// until it is answered, cancelled, or out of time. It counts in the worker's capacity until the responder has
    /// answered or is dropped, even if the caller no longer waits. If there are several responders, only the first
    /// counts.
    ///
    /// ```
    /// use std::future::Future;
    /// use std::sync::mpsc;
    /// use mdp_runtime::{CallContext, Responder, Status};
    ///
    /// /// Jobs for a thread that does them one by one.
    /// struct Printer { jobs: mpsc::Sender<(String, Responder<u32>)> }
    ///
    /// impl Printer {
    ///     fn print(
    ///         &self,
    ///         cx: &CallContext,
    ///         text: String,
    ///     ) -> impl Future<Output = Result<u32, Status>> + use<> {
    ///         let (responder, pages) = cx.defer();
    ///         // Should the thread be gone, the responder is dropped, and the call ends with INTERNAL.
    ///         let _ = self.jobs.send((text, responder));
    ///         pages
    ///     }
    /// }
    /// ```
    pub fn defer<Rep>(&self) -> (Responder<Rep>, Deferred<Rep>) {
        let (answer, answered) = oneshot::channel();
        let hold = Hold::take(self, Outlasts::Responder).ok();
        let responder = Responder { answer, cx: self.clone(), hold };
        (responder, Deferred { answer: answered, method: self.method() })
    }
}
