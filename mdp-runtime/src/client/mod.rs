//! The client: one connection for any number of calls and tasks.

mod answer;
mod call;
mod channel;
mod driver;
mod ending;
mod kinds;
mod raw;
mod request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mdp_protocol::client as core;
use mdp_protocol::names;
use mdp_protocol::wire::CallKind;
use mdp_protocol::{ConnectionState, LossCause, SessionConfig, Span};
use tokio::sync::{mpsc, watch};

pub use call::{Call, CallFuture, Response, SendFuture};
pub(crate) use channel::{Answering, AnyChannel, ends, expired, handled, refused, without_streams};
pub use channel::{Channel, Replies, Requests};
pub(crate) use driver::Command;
pub(crate) use ending::{Ending, answered, at_client, metadata};
pub use kinds::{BidiStreaming, ClientStreaming, OpenFuture, ServerStreaming, Unary};
pub(crate) use raw::RawCall;
pub use request::{Reply, Request};

use crate::blocking;
use crate::clock;
use crate::codegen::Service;
use crate::compress::{Compression, Packing};
use crate::endpoint;
use crate::ends;
use crate::error::ConnectError;
use crate::intercept::{Added, AnyInterceptor, Interceptor};
use crate::peer;
use crate::plain::Dialect;
use crate::retry::{HedgePolicy, Hedging, RetryBudget, RetryPolicy, Retrying};
use crate::security::{CurveClient, Faults};
use crate::testing::InMemory;
use crate::transport::Runtime;
use channel::Joined;
use driver::Driver;

/// The time that a call has where its caller sets none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time that a call with a stream has where its caller sets none: a day.
pub const DEFAULT_STREAM_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a broker, for any number of calls at once. Cloning is cheap and gives a handle
/// on the same connection; when the last handle is dropped, the calls that run still end. A future of a
/// call that is dropped gives the call up: one that waits in the broker vanishes, and the handler of one that
/// runs is stopped.
///
/// Generated clients are made from it:
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::Client;
///
/// let client = Client::connect("tcp://127.0.0.1:5555").await?;
/// // let auth = AuthClient::new(client.clone());
/// # Ok(())
/// # }
/// ```
///
/// In a test it may stand for something else than a connection: [`in_memory`](Client::in_memory) joins it with a
/// worker's service, [`over`](Client::over) with whatever implements [`Channel`]. All that is made of a client
/// takes either kind.
#[derive(Clone, Debug)]
pub struct Client {
    way: Way,
}

/// Where calls go. Not a type parameter: whoever holds a generated client need not be generic to be tested.
#[derive(Clone, Debug)]
enum Way {
    Broker(Arc<Link>),
    Channel(Arc<Joined>),
}

/// The handles' end of a connection.
#[derive(Debug)]
struct Link {
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<ConnectionState>,
    faults: Faults,
    /// How many.
    endpoints: usize,
    timeouts: Timeouts,
    window: u32,
    packing: Packing,
    budget: RetryBudget,
}

/// The time that calls have where nobody sets one, and how they use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    unary: Duration,
    stream: Duration,
    /// They end where no worker offers their service.
    no_wait: bool,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { unary: DEFAULT_TIMEOUT, stream: DEFAULT_STREAM_TIMEOUT, no_wait: false }
    }
}

impl Link {
    fn command(&self, command: Command) -> Result<(), Command> {
        self.commands.send(command).map_err(|error| error.0)
    }
}

impl Client {
    /// Connects to a broker and waits for its WELCOME, for up to 5 s.
    ///
    /// # Errors
    ///
    /// The endpoint is not one, no broker answered, or there is no tokio runtime.
    pub async fn connect(endpoint: impl Into<String>) -> Result<Client, ConnectError> {
        Client::builder().connect(endpoint).open().await
    }

    /// Settings for a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            endpoints: Vec::new(),
            runtime: None,
            curve: None,
            config: core::Config::default(),
            timeouts: Timeouts::default(),
            packing: Packing::default(),
            connect_timeout: CONNECT_TIMEOUT,
            dialect: Dialect::default(),
            interceptors: Added::default(),
        }
    }

    /// A client whose calls go to this service, in the same process: no broker, no sockets. The generated
    /// `AuthClient::in_memory(..)` is the same in one step. See [`testing::InMemory`](crate::testing::InMemory).
    pub fn in_memory(service: impl Service) -> Client {
        InMemory::new().serve(service).client()
    }

    /// A client whose calls go through a channel of your own, a test double for instance. See [`Channel`].
    pub fn over(channel: impl Channel) -> Client {
        Client::builder().over(channel)
    }

    /// The same connection with an interceptor around the calls that are made through the handle it gives, and through
    /// clients made of that. This handle stays as it is. Of several the first one is the outermost: what is added later is
    /// nearer to the connection. See [`Interceptor`].
    #[must_use]
    pub fn intercept(&self, interceptor: impl Interceptor) -> Client {
        self.with(Arc::new(interceptor))
    }

    /// The same connection, with calls of one request and one reply tried again that have failed, where that is safe.
    /// Interceptors added before see a call once, those added after see each attempt. Of two policies the outer one
    /// holds. See [`RetryPolicy`].
    #[must_use]
    pub fn retry(&self, policy: RetryPolicy) -> Client {
        self.intercept(Retrying::new(policy, None))
    }

    /// As [`retry`](Self::retry), for the method of this path (`package.Service/Method`). To hold in place of a policy
    /// for all methods it has to be added before that one.
    #[must_use]
    pub fn retry_method(&self, path: impl Into<String>, policy: RetryPolicy) -> Client {
        self.intercept(Retrying::new(policy, Some(path.into())))
    }

    /// The same connection, with calls of methods without side effects made beside themselves if no answer comes. Other
    /// calls are left as they are. See [`HedgePolicy`].
    #[must_use]
    pub fn hedge(&self, policy: HedgePolicy) -> Client {
        self.intercept(Hedging::new(policy))
    }

    /// The same connection with a layer of tower's around the calls, as [`intercept`](Self::intercept) puts an interceptor
    /// around them. What the layer makes is cloned for each call, so what calls share has to be shared by clones, as tower's
    /// own layers do it. An error that is not a [`Status`](crate::Status) and was not made from one is UNKNOWN; map it within
    /// the layers if it should be another one.
    ///
    /// A call with streams comes through the layer as one call, from its begin to its end.
    ///
    /// ```
    /// # fn doc(client: mdp_runtime::Client) {
    /// use mdp_runtime::Status;
    /// use tower::ServiceBuilder;
    ///
    /// let at_once = ServiceBuilder::new()
    ///     .map_err(|error: tower::BoxError| match error.downcast::<Status>() {
    ///         Ok(status) => *status,
    ///         Err(other) => Status::resource_exhausted(other.to_string()),
    ///     })
    ///     .load_shed()
    ///     .concurrency_limit(32);
    /// let client = client.layer(at_once);
    /// # }
    /// ```
    #[cfg(feature = "tower")]
    #[must_use]
    pub fn layer<L>(&self, layer: L) -> Client
    where
        L: tower_layer::Layer<crate::tower::Onward>,
        L::Service: crate::tower::Stack,
    {
        self.intercept(crate::intercept::Layered::new(layer))
    }

    fn with(&self, interceptor: Arc<dyn AnyInterceptor>) -> Client {
        let (below, before) = match &self.way {
            Way::Channel(joined) => joined.below().unzip(),
            Way::Broker(_) => (None, None),
        };
        let before = before.into_iter().flat_map(|before| before.iter().cloned());
        let all = before.chain([interceptor]).collect();
        let joined = Joined::intercepted(below.unwrap_or(self), all);
        Client { way: Way::Channel(Arc::new(joined)) }
    }

    fn through(self, interceptors: Added) -> Client {
        let interceptors = interceptors.into_list();
        if interceptors.is_empty() {
            return self;
        }
        let joined = Joined::intercepted(&self, interceptors);
        Client { way: Way::Channel(Arc::new(joined)) }
    }

    /// The state of the connection, now and as it changes. Without a broker it is connected until it is shut
    /// down.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        match &self.way {
            Way::Broker(link) => link.state.clone(),
            Way::Channel(joined) => joined.state(),
        }
    }

    /// Waits up to `grace` for the calls that run, ends the others with CANCELLED, and closes the
    /// connection for all handles. Calls made afterwards end with CANCELLED.
    pub async fn shutdown(&self, grace: Duration) {
        if let Way::Channel(joined) = &self.way {
            return joined.shutdown(grace).await;
        }
        let mut state = self.state();
        if self.close(grace) {
            // An error means that the driver is gone, which is the same.
            let _ = state.wait_for(|state| *state == ConnectionState::Closed).await;
        }
    }

    /// Begins to shut down. `false`: that is over already, or there is no connection.
    pub(crate) fn close(&self, grace: Duration) -> bool {
        match &self.way {
            Way::Broker(link) => link.command(Command::Close(clock::span(grace))).is_ok(),
            Way::Channel(joined) => joined.close(grace),
        }
    }

    /// Whether each of the endpoints has refused the handshake for good.
    fn is_refused(&self) -> bool {
        match &self.way {
            Way::Broker(link) => link.faults.are_final(link.endpoints),
            Way::Channel(joined) => joined.below().is_some_and(|(client, _)| client.is_refused()),
        }
    }

    fn not_connected(
        &self,
        endpoints: Vec<String>,
        within: Duration,
        cause: Option<LossCause>,
    ) -> ConnectError {
        let fault = match &self.way {
            Way::Broker(link) => link.faults.first(),
            Way::Channel(joined) => match joined.below() {
                Some((client, _)) => return client.not_connected(endpoints, within, cause),
                None => None,
            },
        };
        match fault.and_then(|(number, fault)| Some((endpoints.get(number)?.clone(), fault))) {
            Some((endpoint, fault)) => ConnectError::Handshake { endpoint, fault },
            None => ConnectError::NoBroker { endpoints, within, cause },
        }
    }

    fn timeout(&self, kind: CallKind) -> Duration {
        let timeouts = self.timeouts();
        if kind.is_stream() { timeouts.stream } else { timeouts.unary }
    }

    fn timeouts(&self) -> Timeouts {
        match &self.way {
            Way::Broker(link) => link.timeouts,
            Way::Channel(joined) => joined.timeouts(),
        }
    }

    fn window(&self) -> u32 {
        match &self.way {
            Way::Broker(link) => link.window,
            Way::Channel(joined) => joined.window(),
        }
    }

    /// What retries of all clones may cost where a policy has no budget of its own.
    pub(crate) fn budget(&self) -> &RetryBudget {
        match &self.way {
            Way::Broker(link) => &link.budget,
            Way::Channel(joined) => joined.budget(),
        }
    }

    fn compression(&self) -> Option<Compression> {
        match &self.way {
            Way::Broker(link) => link.packing.with,
            Way::Channel(joined) => joined.below().and_then(|(client, _)| client.compression()),
        }
    }
}

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    endpoints: Vec<String>,
    runtime: Option<Runtime>,
    curve: Option<CurveClient>,
    config: core::Config,
    timeouts: Timeouts,
    packing: Packing,
    connect_timeout: Duration,
    dialect: Dialect,
    interceptors: Added,
}

impl ClientBuilder {
    /// A broker's endpoint. May be called several times: the endpoints are tried in turn, and again
    /// in turn whenever a connection is lost.
    pub fn connect(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// What the client speaks with its broker. MDP/RPC. Over plain MDP it has no sign of life of its broker: that it is
    /// connected says that there is a connection, which is all that [`Client::state`] can tell then, and [`open`](Self::open)
    /// waits for no more; [`heartbeat`](Self::heartbeat) and [`liveness`](Self::liveness) say nothing then, and nobody hears of
    /// the [`id`](Self::id). See [`Dialect`] for what else is different.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The ZeroMQ context; [`Runtime::global`] unless set.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Encrypts the connection, and talks to brokers of these public keys only. Not encrypted.
    pub fn curve(mut self, curve: CurveClient) -> Self {
        self.curve = Some(curve);
        self
    }

    /// The id by which workers and logs know this client, 1 to 255 bytes of printable ASCII; the
    /// broker gives one unless it is set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.config.session.id = id.into().into_bytes();
        self
    }

    /// The time that a call of one request and one reply has where its caller sets none. 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.unary = timeout;
        self
    }

    /// The time that a call with a stream has, in all, where its caller sets none. 24 h. Within the
    /// [`timeout`](Self::timeout) a worker has to begin it; if not, the call ends with DEADLINE_EXCEEDED.
    pub fn stream_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.stream = timeout;
        self
    }

    /// No call waits for a worker where none offers its service, as [`Call::no_wait`] says for one call. Default: they wait
    /// as long as the broker is set to ([`unserved_wait`](crate::BrokerBuilder::unserved_wait)).
    pub fn no_wait(mut self) -> Self {
        self.timeouts.no_wait = true;
        self
    }

    /// How many messages of up to 256 bytes may wait here for the reader of each stream of replies; a longer
    /// one counts for each 256 bytes that it has begun. So a window bounds messages and bytes. At least 1; what is
    /// above the broker's limit `window` counts for nothing. 4,096: at most so many messages, or 1 MiB and a message.
    pub fn window(mut self, window: u32) -> Self {
        self.config.window = window.max(1);
        self
    }

    /// Compresses requests, and asks workers to compress replies; a call may say otherwise with
    /// [`Call::compress`] and [`Call::uncompressed`]. Not compressed.
    pub fn compress(mut self, with: Compression) -> Self {
        self.packing.with = Some(with);
        self
    }

    /// The most bytes that a compressed reply may have after it was decompressed; one that has more ends its call
    /// with RESOURCE_EXHAUSTED, and nothing is allocated for it. 16 MiB.
    pub fn max_decompressed(mut self, bytes: usize) -> Self {
        self.packing.most = bytes;
        self
    }

    /// Puts an interceptor around the client's calls, as [`Client::intercept`] does. The first one is the outermost.
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.add(interceptor);
        self
    }

    /// Makes a span and a measurement of each call, [intercepting](Self::intercept) it; the broker's address is the endpoint's, if
    /// one was given so far and no more. See [`otel`](crate::otel).
    #[cfg(feature = "opentelemetry")]
    pub fn telemetry(self, telemetry: crate::otel::Telemetry) -> Self {
        let telemetry = telemetry.towards(&self.endpoints);
        self.intercept(telemetry)
    }

    /// Tries calls again that have failed, as [`Client::retry`] does.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.intercept(Retrying::new(policy, None))
    }

    /// Makes calls beside themselves, as [`Client::hedge`] does.
    pub fn hedge(self, policy: HedgePolicy) -> Self {
        self.intercept(Hedging::new(policy))
    }

    /// How long [`open`](Self::open) waits for a broker. 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How often the client gives and wants a sign of life; the broker may want a longer interval.
    /// 1 s.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.session.heartbeat = clock::span(interval);
        self
    }

    /// How many silent intervals mean that the broker is gone, at least 1. 3.
    pub fn liveness(mut self, intervals: u8) -> Self {
        self.config.session.liveness = intervals.max(1);
        self
    }

    /// Calls at once over all handles; one more ends at once with RESOURCE_EXHAUSTED. 10,000.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.config.calls = calls;
        self
    }

    /// How often a call of an idempotent method is sent at the most, when connections are lost
    /// under it. 3.
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.config.attempts = attempts.max(1);
        self
    }

    /// How long an endpoint has to answer the first time.
    pub(crate) fn handshake(mut self, handshake: Span) -> Self {
        self.config.session.handshake = handshake;
        self
    }

    /// Makes the client and connects in the background. Calls wait for the connection, each until
    /// its deadline.
    ///
    /// # Errors
    ///
    /// An endpoint is not one, the id is not a name, or there is no tokio runtime.
    pub fn open_lazy(self) -> Result<Client, ConnectError> {
        let tokio = tokio::runtime::Handle::try_current().map_err(|_| ConnectError::NoTokio);
        let (client, driver) = self.parts()?;
        tokio?.spawn(driving(driver));
        Ok(client)
    }

    /// The handle, and the driver that somebody has to run.
    fn parts(self) -> Result<(Client, Driver), ConnectError> {
        endpoint::check_all(&self.endpoints)?;
        let id = &self.config.session.id;
        if !id.is_empty()
            && let Err(source) = names::check(id)
        {
            let id = String::from_utf8_lossy(id).into_owned();
            return Err(ConnectError::Id { id, source });
        }
        let count = self.endpoints.len();
        let keys = self.curve.as_ref().map(|curve| curve.prepare(count)).transpose()?;
        let window = self.config.window;
        let config = core::Config {
            session: SessionConfig {
                endpoints: self.endpoints.len(),
                seed: clock::seed(),
                ..self.config.session
            },
            ..self.config
        };
        let (commands, inbox) = mpsc::unbounded_channel();
        let (state_in, state) = watch::channel(ConnectionState::Connecting { endpoint: 0 });
        let runtime = self.runtime.unwrap_or_else(|| Runtime::global().clone());
        let way = peer::Way { runtime, endpoints: self.endpoints, keys };
        let mut driver = Driver::new(way, config, inbox, state_in);
        let faults = driver.faults();
        if let Some(form) = self.dialect.form() {
            driver = driver.over_plain(form);
        }
        let (timeouts, packing) = (self.timeouts, self.packing);
        let budget = RetryBudget::default();
        let link =
            Link { commands, state, faults, endpoints: count, timeouts, window, packing, budget };
        let client = Client { way: Way::Broker(Arc::new(link)) };
        Ok((client.through(self.interceptors), driver))
    }

    /// Makes a client whose calls go through a channel of your own. Of the settings it has the
    /// [`timeout`](Self::timeout), the [`stream_timeout`](Self::stream_timeout), the
    /// [`window`](Self::window) and the interceptors; the others are about connections.
    pub fn over(self, channel: impl Channel) -> Client {
        let joined = Joined::new(channel, self.timeouts, self.config.window);
        Client { way: Way::Channel(Arc::new(joined)) }.through(self.interceptors)
    }

    /// Makes the client and waits for a broker's WELCOME.
    ///
    /// # Errors
    ///
    /// As [`open_lazy`](Self::open_lazy); [`ConnectError::NoBroker`] when none answered within
    /// [`connect_timeout`](Self::connect_timeout); [`ConnectError::Handshake`] when that is so because the keys do not fit,
    /// and at once when all brokers say so.
    pub async fn open(self) -> Result<Client, ConnectError> {
        let within = self.connect_timeout;
        let endpoints = self.endpoints.clone();
        let client = self.open_lazy()?;
        let mut cause = None;
        match tokio::time::timeout(within, connected(&client, &mut cause)).await {
            Ok(true) => Ok(client),
            _ => Err(client.not_connected(endpoints, within, cause)),
        }
    }

    /// As [`open`](Self::open), for programs without tokio: the client has a thread of its own, and the
    /// caller's is blocked meanwhile.
    ///
    /// # Errors
    ///
    /// An endpoint is not one, the id is not a name, the thread could not be started, no broker answered
    /// within [`connect_timeout`](Self::connect_timeout), or this is async code, whose thread must not be blocked.
    pub fn open_blocking(self) -> Result<blocking::Client, ConnectError> {
        if blocking::in_async_code() {
            return Err(ConnectError::InAsyncCode);
        }
        let within = self.connect_timeout;
        let endpoints = self.endpoints.clone();
        let (client, driver) = self.parts()?;
        let client =
            blocking::Client::spawn(client, driving(driver)).map_err(ConnectError::Thread)?;
        let until = Instant::now().checked_add(within);
        let mut cause = None;
        match blocking::block_on(connected(&client.handle(), &mut cause), until) {
            Some(true) => Ok(client),
            _ => Err(client.handle().not_connected(endpoints, within, cause)),
        }
    }
}

/// Runs a driver. Should it panic, all calls end and the client counts as closed.
async fn driving(driver: Driver) {
    let state = driver.state();
    let ended = move |_| {
        state.send_replace(ConnectionState::Closed);
    };
    ends::task("mdp-client", driver.run(), ended).await;
}

/// Waits for a broker's WELCOME. `false`: there will be none.
async fn connected(client: &Client, cause: &mut Option<LossCause>) -> bool {
    let mut state = client.state();
    while state.changed().await.is_ok() {
        match &*state.borrow_and_update() {
            ConnectionState::Connected { .. } => return true,
            ConnectionState::Disconnected(why) => *cause = Some(*why),
            _ => {}
        }
        if client.is_refused() {
            return false;
        }
    }
    false
}
