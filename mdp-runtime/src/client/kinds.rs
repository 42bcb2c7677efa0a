//! The four kinds of calls, as type parameters of [`Call`].

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use mdp_protocol::wire::Part;

use super::{Call, CallFuture, Client, ClientCommand, ClientLink, Ending};
use crate::blocking;
use crate::call::{MethodSpec, TypedMessage};
use crate::stream::{Carrier, Flow, RequestSender, Streaming};
use mdp_call::body::Body;
use mdp_call::status::Status;

/// One request, one reply.
#[derive(Debug)]
pub enum Unary {}

/// One request, a stream of replies.
#[derive(Debug)]
pub enum ServerStreaming {}

/// A stream of requests, one reply.
#[derive(Debug)]
pub struct ClientStreaming<Req>(PhantomData<fn(Req)>);

/// A stream of requests, a stream of replies.
#[derive(Debug)]
pub struct BidiStreaming<Req>(PhantomData<fn(Req)>);

/// Sends the parts of a client's streams to the client's driver.
struct ToDriver(Arc<ClientLink>);

pub(super) fn carrier(link: &Arc<ClientLink>) -> impl Carrier + use<> {
    ToDriver(Arc::clone(link))
}

impl ToDriver {
    fn tell(&self, command: ClientCommand) {
        // A driver that has ended has closed the flow.
        drop(self.0.command(command));
    }
}

impl Carrier for ToDriver {
    fn send(&self, flow: &Arc<Flow>, part: Part<Body>) {
        self.tell(ClientCommand::Part(Arc::clone(flow), part));
    }

    fn taken(&self, flow: &Arc<Flow>, units: u32) {
        self.tell(ClientCommand::Taken(Arc::clone(flow), units));
    }

    fn abandon(&self, flow: &Arc<Flow>) {
        self.tell(ClientCommand::Abandon(Arc::clone(flow)));
    }
}

/// Makes a call of a method with streams. A call without streams would be an error of the code generator.
fn streams<Rep, K>(call: Call<Rep, K>) -> (Ending, Arc<Flow>, &'static MethodSpec) {
    let method = call.method();
    let (ending, flow) = call.make();
    (ending, flow.unwrap_or_else(Flow::closed), method)
}

/// Replies come as a stream: `.await` gives a [`Streaming`] once the handler has begun the stream.
impl<Rep: TypedMessage> Call<Rep, ServerStreaming> {
    #[doc(hidden)]
    pub fn server_streaming<Req: TypedMessage>(
        client: &Client,
        method: &'static MethodSpec,
        request: &Req,
    ) -> Self {
        Call::with_request(client, method, request)
    }

    /// Sends the call and returns the stream without waiting for the handler. An error of the call appears at the first
    /// message.
    pub fn start(self) -> Streaming<Rep> {
        let (ending, flow, method) = streams(self);
        Streaming::of_replies(flow, method, ending)
    }

    /// Sends the call, waits until the stream begins, and returns an iterator over the replies. Each step blocks this
    /// thread until the next reply comes: for code that is not async.
    ///
    /// ```no_run
    /// # use mdp_runtime::{Call, ServerStreaming, Status};
    /// # fn doc(call: impl Fn() -> Call<(), ServerStreaming>) -> Result<(), Status> {
    /// // for event in auth.watch(req).wait()? {
    /// for event in call().wait()? {
    ///     let event = event?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Call::wait`](Call::wait) for a call with one reply.
    pub fn wait(self) -> Result<blocking::Streaming<Rep>, Status> {
        let (method, until) = (self.method(), self.patience_to_begin());
        blocking::check(method.path)?;
        blocking::block_on(self.into_future(), until)
            .unwrap_or_else(|| Err(blocking::no_client(method.path)))
            .map(blocking::Streaming::new)
    }
}

impl<Rep: TypedMessage> IntoFuture for Call<Rep, ServerStreaming> {
    type Output = Result<Streaming<Rep>, Status>;
    type IntoFuture = OpenFuture<Rep>;

    fn into_future(self) -> OpenFuture<Rep> {
        OpenFuture { state: Opening::Unsent(self) }
    }
}

/// The future of a stream of replies, from awaiting a [`Call`].
#[must_use = "futures do nothing unless polled"]
pub struct OpenFuture<Rep> {
    state: Opening<Rep>,
}

enum Opening<Rep> {
    Unsent(Call<Rep, ServerStreaming>),
    Sent(Streaming<Rep>),
    Over,
}

// No field is ever pinned.
impl<Rep> Unpin for OpenFuture<Rep> {}

impl<Rep: TypedMessage> Future for OpenFuture<Rep> {
    type Output = Result<Streaming<Rep>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stream = match std::mem::replace(&mut self.state, Opening::Over) {
            Opening::Unsent(call) => call.start(),
            Opening::Sent(stream) => stream,
            Opening::Over => {
                let status = Status::internal("the call was polled after it was made");
                return Poll::Ready(Err(status));
            }
        };
        match stream.poll_open(cx) {
            Poll::Ready(opened) => Poll::Ready(opened.map(|()| stream)),
            Poll::Pending => {
                self.state = Opening::Sent(stream);
                Poll::Pending
            }
        }
    }
}

impl<Rep> fmt::Debug for OpenFuture<Rep> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenFuture")
    }
}

fn without_request<Rep, K>(client: &Client, method: &'static MethodSpec) -> Call<Rep, K> {
    Call::with_body(client, method, Body::with_payload(method.path, None, Bytes::new()))
}

/// Requests go as a stream: [`send_all`](Self::send_all) sends an existing stream of requests, [`start`](Self::start)
/// returns a sender.
impl<Req: TypedMessage, Rep: TypedMessage> Call<Rep, ClientStreaming<Req>> {
    #[doc(hidden)]
    pub fn client_streaming(client: &Client, method: &'static MethodSpec) -> Self {
        without_request(client, method)
    }

    /// Sends the call. Returns the sender of the requests, and the future of the reply.
    pub fn start(self) -> (RequestSender<Req>, CallFuture<Rep>) {
        let (ending, flow, method) = streams(self);
        (RequestSender::new(flow, method), CallFuture::sent(ending, method))
    }

    /// Sends the call with these requests, and returns the reply.
    ///
    /// # Errors
    ///
    /// The status with which the call failed. A handler may end the call before all requests are sent.
    pub async fn send_all(self, requests: impl Stream<Item = Req>) -> Result<Rep, Status> {
        let (mut sender, mut reply) = self.start();
        let mut sending = Box::pin(async move {
            // If the call is over, the reply says why.
            if sender.send_all(requests).await.is_ok() {
                sender.finish();
            }
        });
        let mut sent = false;
        poll_fn(move |cx| {
            sent = sent || sending.as_mut().poll(cx).is_ready();
            Pin::new(&mut reply).poll(cx)
        })
        .await
    }

    /// Sends the call like [`send_all`](Self::send_all) and blocks this thread: for code that is not async.
    ///
    /// # Errors
    ///
    /// The errors of [`Call::wait`](Call::wait) for a call with one request.
    pub fn wait_all(self, requests: impl IntoIterator<Item = Req>) -> Result<Rep, Status> {
        let (method, until) = (self.method(), self.patience());
        blocking::check(method.path)?;
        let (mut sender, reply) = self.start();
        let sending = async {
            for request in requests {
                if sender.send(request).await.is_err() {
                    break;
                }
            }
            sender.finish();
            reply.await
        };
        blocking::block_on(sending, until).unwrap_or_else(|| Err(blocking::no_client(method.path)))
    }
}

/// Requests and replies are streams.
impl<Req: TypedMessage, Rep: TypedMessage> Call<Rep, BidiStreaming<Req>> {
    #[doc(hidden)]
    pub fn bidi_streaming(client: &Client, method: &'static MethodSpec) -> Self {
        without_request(client, method)
    }

    /// Sends the call. Returns the sender of the requests and the stream of the replies. Both are independent of each
    /// other and may move to different tasks. Dropping the stream of replies cancels the call.
    pub fn start(self) -> (RequestSender<Req>, Streaming<Rep>) {
        let (ending, flow, method) = streams(self);
        let replies = Streaming::of_replies(Arc::clone(&flow), method, ending);
        (RequestSender::new(flow, method), replies)
    }

    /// Sends the call and waits until the handler has begun the replies. Some handlers do so only after the first
    /// request.
    ///
    /// # Errors
    ///
    /// The status with which the call failed before the replies began.
    pub async fn open(self) -> Result<(RequestSender<Req>, Streaming<Rep>), Status> {
        let (sender, mut replies) = self.start();
        poll_fn(|cx| replies.poll_open(cx)).await?;
        Ok((sender, replies))
    }
}
