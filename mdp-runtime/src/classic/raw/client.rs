//! A client for raw requests.

mod driver;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{self, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use mdp_protocol::classic::client as core;
use mdp_protocol::names::{self, NameError};
use mdp_protocol::{ConnectionState, LossCause};
use tokio::sync::{mpsc, watch};

use crate::classic::{Dialect, MAX_FRAMES};
use crate::client::{Client, RawCall};
use crate::error::ConnectError;
use crate::peer::ConnectSettings;
use driver::{Line, RawClientCommand, RawClientDriver};
use mdp_call::status::Status;
use mdp_transport::Context;
use mdp_transport::clock;
use mdp_transport::ends;
use mdp_transport::security::CurveClient;

/// The default time that a request waits for each reply.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that sends frames to services and receives frames. It needs no schema, and works with any broker of RFC 7
/// or RFC 18, or over MDP/RPC with a broker of this project.
///
/// Over classic MDP, requests are sent one after another: a reply of classic MDP does not identify its request. If the
/// reply to a sent request does not arrive in time, or the [`PendingReply`] of a sent request is dropped, the client
/// closes the connection and opens a new one, so that a late reply is never taken for the next one (RFC 7,
/// "Reliability"). Programs that need several requests at once make several clients. Cloning is cheap and gives another
/// handle on the same connection.
///
/// Over MDP/RPC, requests have numbers, so any number of them may run at once. Partial replies wait at the worker until
/// they are read, and every error is a [`Status`].
///
/// No request is sent twice: only the program knows whether a request without a reply may be repeated.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use bytes::Bytes;
/// use mdp_runtime::{Dialect, RawClient};
///
/// let client = RawClient::builder().dialect(Dialect::Mdp02).connect("tcp://127.0.0.1:5555").open()?;
/// let reply: Vec<Bytes> = client.send("echo", vec![Bytes::from("hello")]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RawClient {
    inner: ClientInner,
    timeout: Duration,
}

#[derive(Clone)]
enum ClientInner {
    Classic {
        commands: mpsc::UnboundedSender<RawClientCommand>,
        state: watch::Receiver<ConnectionState>,
        ids: Arc<AtomicU64>,
    },
    Rpc(Client),
}

/// The error of a raw request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// Over MDP/RPC: the status with which the request failed.
    #[error(transparent)]
    Status(Status),
    /// The service's name is invalid.
    #[error("the service name `{name}` is invalid")]
    Service {
        /// The name.
        name: String,
        /// The problem with the name.
        source: NameError,
    },
    /// The message has more frames than a broker accepts.
    #[error("the request has {0} frames; at most {MAX_FRAMES} are allowed")]
    Frames(usize),
    /// No reply arrived in time.
    #[error("no reply arrived in time; {}", whether(*sent))]
    Timeout {
        /// Whether the request was sent, so that a worker may have begun.
        sent: bool,
    },
    /// The connection was lost during the request; a worker may have begun.
    #[error("the connection was lost before a reply came ({0}); a worker may have begun")]
    Lost(LossCause),
    /// The number of open requests has reached [`max_requests`](RawClientBuilder::max_requests).
    #[error("too many requests are open")]
    TooMany,
    /// Partial replies arrived faster than they were read, and the rest was discarded.
    #[error(
        "the partial replies were read too slowly: more of them wait than the client's window allows"
    )]
    TooSlow,
    /// The client was closed.
    #[error("the client was closed; {}", whether(*sent))]
    Closed {
        /// Whether the request was sent, so that a worker may have begun.
        sent: bool,
    },
}

/// Checks a request before it is sent.
fn check(service: &str, frames: &[Bytes]) -> Result<(), RawError> {
    if let Err(source) = names::check(service.as_bytes()) {
        return Err(RawError::Service { name: service.to_owned(), source });
    }
    if frames.len() > MAX_FRAMES {
        return Err(RawError::Frames(frames.len()));
    }
    Ok(())
}

fn whether(sent: bool) -> &'static str {
    if sent { "a worker may have begun" } else { "the request was not sent" }
}

/// A reply to a raw request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawReply {
    /// The reply's frames.
    pub frames: Vec<Bytes>,
    /// Whether no further reply follows; always `true` over MDP/0.1.
    pub last: bool,
}

impl RawClient {
    /// Returns a builder for the settings of a client.
    pub fn builder() -> RawClientBuilder {
        RawClientBuilder {
            dialect: Dialect::Mdp02,
            to: ConnectSettings::default(),
            config: core::Config::default(),
            timeout: TIMEOUT,
            window: 4_096,
        }
    }

    /// Makes a client for raw requests over the connection of an MDP/RPC client, also for the broker's own services,
    /// such as `mmi.services` (RFC 8). If the client has no connection of its own, for instance in memory, each request
    /// ends with [`RawError::Closed`].
    pub fn over(client: &Client) -> RawClient {
        RawClient { inner: ClientInner::Rpc(client.clone()), timeout: TIMEOUT }
    }

    /// Returns a handle on the same connection whose requests wait this long for each reply.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> RawClient {
        RawClient { timeout, ..self.clone() }
    }

    /// Sends a request and waits for its final reply. Partial replies are skipped; [`request`](Self::request) returns
    /// them.
    ///
    /// A request may have at most 27 frames, which together with the frames of any dialect are the 32 that a broker
    /// accepts in a message.
    ///
    /// # Errors
    ///
    /// No final reply arrived. A service without a worker appears as [`RawError::Timeout`], because classic MDP cannot
    /// report it.
    pub async fn send(
        &self,
        service: &str,
        frames: impl Into<Vec<Bytes>>,
    ) -> Result<Vec<Bytes>, RawError> {
        self.request(service, frames).last().await
    }

    /// Sends a request as soon as it is its turn, and returns the pending replies. Dropping these cancels the request.
    pub fn request(&self, service: &str, frames: impl Into<Vec<Bytes>>) -> PendingReply {
        let frames = frames.into();
        if let Err(error) = check(service, &frames) {
            return PendingReply { inner: Pending::Refused(Some(error)), ended: false };
        }
        let (commands, ids) = match &self.inner {
            ClientInner::Classic { commands, ids, .. } => (commands, ids),
            ClientInner::Rpc(client) => {
                let call = client.raw(service, frames, self.timeout);
                return PendingReply { inner: Pending::Rpc(call), ended: false };
            }
        };
        let id = ids.fetch_add(1, Ordering::Relaxed);
        let (replies, inbox) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicU32::new(0));
        let line = Line { id, replies, waiting: Arc::clone(&waiting) };
        let service = Arc::from(service.as_bytes());
        let patience = clock::span(self.timeout);
        let command = RawClientCommand::Request { line, service, frames, patience };
        if let Err(unsent) = commands.send(command) {
            unsent.0.refuse();
        }
        let commands = commands.clone();
        PendingReply { inner: Pending::Classic { inbox, waiting, id, commands }, ended: false }
    }

    /// Returns the state of the connection; the receiver also reports each change. Over classic MDP this is only the
    /// transport connection: a broker sends its clients no heartbeats and no id.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        match &self.inner {
            ClientInner::Classic { state, .. } => state.clone(),
            ClientInner::Rpc(client) => client.state(),
        }
    }

    /// Waits until there is a connection. Returns `false` if the client was closed first.
    pub async fn connected(&self) -> bool {
        let mut state = self.state();
        let found = state.wait_for(|state| {
            matches!(state, ConnectionState::Connected { .. } | ConnectionState::Closed)
        });
        found.await.is_ok_and(|state| *state != ConnectionState::Closed)
    }

    /// Waits up to `grace` for open requests, ends the remaining ones, and closes the connection for all handles.
    pub async fn shutdown(&self, grace: Duration) {
        let commands = match &self.inner {
            ClientInner::Classic { commands, .. } => commands,
            ClientInner::Rpc(client) => return client.shutdown(grace).await,
        };
        // Without a receiver the driver has ended already.
        let _ = commands.send(RawClientCommand::Close(clock::span(grace)));
        // An error means that the driver has ended.
        let _ = self.state().wait_for(|state| *state == ConnectionState::Closed).await;
    }
}

impl fmt::Debug for RawClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawClient").field("state", &*self.state().borrow()).finish_non_exhaustive()
    }
}

/// The replies of a raw request, in order: any number of partial ones, then the final one. Over MDP/0.1 there is only
/// the final one. Also a [`Stream`].
///
/// Dropping it before the final reply cancels the request. Over MDP/RPC the worker is notified. Over classic MDP
/// (MDP/0.1 and MDP/0.2) the worker is not notified: a request that waits for its turn is not sent, and for a request
/// that was sent the client closes the connection and opens a new one.
///
/// ```no_run
/// # async fn doc(client: mdp_runtime::RawClient) -> Result<(), mdp_runtime::RawError> {
/// use bytes::Bytes;
///
/// let mut pending = client.request("report", vec![Bytes::from("2026")]);
/// while let Some(reply) = pending.next().await {
///     let reply = reply?;
///     println!("{} frames, the last reply: {}", reply.frames.len(), reply.last);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it cancels the request"]
pub struct PendingReply {
    inner: Pending,
    ended: bool,
}

enum Pending {
    Classic {
        inbox: mpsc::UnboundedReceiver<Result<RawReply, RawError>>,
        /// The units of partial replies that are not read yet.
        waiting: Arc<AtomicU32>,
        id: u64,
        commands: mpsc::UnboundedSender<RawClientCommand>,
    },
    /// `None`: the client has no connection of its own.
    Rpc(Option<RawCall>),
    /// The request was never sent.
    Refused(Option<RawError>),
}

impl PendingReply {
    /// Returns the next reply; `None` after the final reply, and after an error.
    pub async fn next(&mut self) -> Option<Result<RawReply, RawError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits for the final reply and skips the partial ones.
    ///
    /// # Errors
    ///
    /// No final reply arrived: timeout, connection lost, or client closed.
    pub async fn last(mut self) -> Result<Vec<Bytes>, RawError> {
        loop {
            match self.next().await {
                Some(Ok(RawReply { frames, last: true })) => return Ok(frames),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(RawError::Closed { sent: false }),
            }
        }
    }

    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<RawReply, RawError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let reply = match &mut self.inner {
            Pending::Classic { inbox, waiting, .. } => {
                let reply = ready!(inbox.poll_recv(cx));
                if let Some(Ok(RawReply { frames, last: false })) = &reply {
                    waiting.fetch_sub(driver::cost(frames), Ordering::AcqRel);
                }
                // No message and no sender: the driver was dropped with its runtime.
                reply.unwrap_or(Err(RawError::Closed { sent: true }))
            }
            Pending::Rpc(Some(call)) => {
                let reply = ready!(call.poll(cx));
                reply.map(|(frames, last)| RawReply { frames, last }).map_err(RawError::Status)
            }
            Pending::Refused(error) => {
                Err(error.take().unwrap_or(RawError::Closed { sent: false }))
            }
            Pending::Rpc(None) => Err(RawError::Closed { sent: false }),
        };
        self.ended = !matches!(reply, Ok(RawReply { last: false, .. }));
        Poll::Ready(Some(reply))
    }
}

impl Stream for PendingReply {
    type Item = Result<RawReply, RawError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if let Pending::Classic { id, commands, .. } = &self.inner
            && !self.ended
        {
            // A driver that has ended has ended the request.
            let _ = commands.send(RawClientCommand::Cancel(*id));
        }
    }
}

impl fmt::Debug for PendingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingReply").field("ended", &self.ended).finish_non_exhaustive()
    }
}

/// Settings of a [`RawClient`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RawClientBuilder {
    dialect: Dialect,
    to: ConnectSettings,
    config: core::Config,
    timeout: Duration,
    window: u32,
}

impl RawClientBuilder {
    /// Sets the protocol. Default: MDP/0.2.
    ///
    /// Over MDP/RPC the [`timeout`](Self::timeout) covers the whole request, and the [`window`](Self::window) bounds
    /// how much a worker may send before it is read.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Adds a broker's endpoint. May be called several times: the client tries the endpoints in turn, at the start and
    /// whenever the connection is lost.
    pub fn connect(mut self, endpoint: impl Into<String>) -> Self {
        self.to.endpoints.push(endpoint.into());
        self
    }

    /// Sets the ZeroMQ context. Default: [`Context::global`].
    pub fn context(mut self, context: &Context) -> Self {
        self.to.context = Some(context.clone());
        self
    }

    /// Encrypts the connection with CURVE. The client connects only to brokers with one of these public keys. Default:
    /// no encryption.
    pub fn curve(mut self, curve: CurveClient) -> Self {
        self.to.curve = Some(curve);
        self
    }

    /// Sets how long a request waits for each reply, including the time until it is the request's turn. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long an endpoint may take to connect before the next one is tried. The time grows after each failure,
    /// up to eight times. Default: 1 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.session.handshake = clock::span(timeout);
        self
    }

    /// Sets the maximum number of open requests, including those that wait for their turn. 0 counts as 1. Default:
    /// 1,000.
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.config.requests = requests.max(1);
        self
    }

    /// Sets how many partial replies may wait for the reader of a request. Each started block of 256 bytes counts as
    /// one reply. Beyond that the request ends with [`RawError::TooSlow`]. 0 counts as 1. Default: 4,096, which is
    /// at most 4,096 replies, or 1 MiB plus one reply.
    pub fn window(mut self, window: u32) -> Self {
        self.window = window.max(1);
        self
    }

    /// Makes the client, which connects in the background. Requests wait for the connection.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid, the CURVE settings cannot be used, or there is no tokio runtime.
    pub fn open(self) -> Result<RawClient, ConnectError> {
        self.to.check()?;
        let Some(form) = self.dialect.form() else { return self.open_rpc() };
        let tokio = tokio::runtime::Handle::try_current().map_err(|_| ConnectError::NoTokio)?;
        let options = self.to.into_options()?;
        let mut config = self.config;
        config.session.endpoints = options.endpoints.len();
        config.session.seed = clock::seed();
        let (commands, inbox) = mpsc::unbounded_channel();
        let (state_in, state) = watch::channel(ConnectionState::Connecting { endpoint: 0 });
        let told = state_in.clone();
        let driver = RawClientDriver::new(options, form, config, self.window, inbox, state_in);
        let ended = move |_| {
            told.send_replace(ConnectionState::Closed);
        };
        tokio.spawn(ends::task("mdp-raw-client", driver.run(), ended));
        let ids = Arc::default();
        Ok(RawClient {
            inner: ClientInner::Classic { commands, state, ids },
            timeout: self.timeout,
        })
    }

    fn open_rpc(self) -> Result<RawClient, ConnectError> {
        let builder = Client::builder()
            .to(self.to)
            .max_calls(self.config.requests)
            .window(self.window)
            .handshake(self.config.session.handshake);
        Ok(RawClient { inner: ClientInner::Rpc(builder.open_lazy()?), timeout: self.timeout })
    }
}
