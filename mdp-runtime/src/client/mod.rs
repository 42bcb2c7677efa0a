//! The client: one connection for any number of calls and tasks.

mod call;
mod channel;
mod driver;
mod forward;
mod kinds;
mod raw;
mod reply;
mod sessions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mdp_protocol::client as core;
use mdp_protocol::names;
use mdp_protocol::{ConnectionState, LossCause, SessionConfig, Span};
use tokio::sync::{mpsc, watch};

pub use call::{Call, CallFuture, Response, SendFuture};
pub(crate) use call::{Ending, answered, at_client, metadata};
pub(crate) use channel::handled;
pub(crate) use driver::ClientCommand;
pub use forward::{forward, forward_both};
pub use kinds::{BidiStreaming, ClientStreaming, OpenFuture, ServerStreaming, Unary};
pub(crate) use raw::RawCall;
pub use reply::{CallReply, ValueOf, ValueRecord, reply_of};

use crate::blocking;
use crate::call::{Channel, Service};
use crate::classic::Dialect;
use crate::error::ConnectError;
use crate::intercept::{Added, AnyInterceptor, Interceptor};
use crate::peer::ConnectSettings;
use crate::retry::{HedgePolicy, Hedging, RetryBudget, RetryPolicy, Retrying};
use crate::testing::InMemory;
use channel::Joined;
use driver::ClientDriver;
use mdp_call::compress::{Compression, Packing};
use mdp_transport::Context;
use mdp_transport::Faults;
use mdp_transport::clock;
use mdp_transport::ends;
use mdp_transport::security::CurveClient;

/// Default time limit of a call with one request and one reply: 10 s.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Default time limit of a call with a stream: 24 h.
pub const DEFAULT_STREAM_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a broker, for any number of calls at once. Cloning is cheap and gives another handle on the same
/// connection. After the last handle is dropped, running calls still end. Dropping a call's future cancels the call:
/// the broker discards a call that still waits there, and the handler of a running call is stopped.
///
/// Generated clients are made from a `Client`:
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
/// In tests, a client works without a connection: [`in_memory`](Client::in_memory) connects it directly to a worker's
/// service, [`over`](Client::over) to any type that implements [`Channel`]. All code that takes a `Client` accepts
/// either kind.
#[derive(Clone, Debug)]
pub struct Client {
    destination: Destination,
}

/// Where calls go. This is not a type parameter, so that code with a generated client can be tested without generics.
#[derive(Clone, Debug)]
enum Destination {
    Broker(Arc<ClientLink>),
    Channel(Arc<Joined>),
}

/// The handles' end of a connection.
#[derive(Debug)]
struct ClientLink {
    commands: mpsc::UnboundedSender<ClientCommand>,
    state: watch::Receiver<ConnectionState>,
    faults: Faults,
    /// The number of endpoints.
    endpoints: usize,
    /// Each endpoint is a broker.
    many: bool,
    timeouts: Timeouts,
    window: u32,
    packing: Packing,
    budget: RetryBudget,
}

/// The default time limits of calls, and whether calls wait for a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    unary: Duration,
    stream: Duration,
    /// Calls end at once if no worker offers their service.
    no_wait: bool,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { unary: DEFAULT_TIMEOUT, stream: DEFAULT_STREAM_TIMEOUT, no_wait: false }
    }
}

impl ClientLink {
    fn command(&self, command: ClientCommand) -> Result<(), ClientCommand> {
        self.commands.send(command).map_err(|error| error.0)
    }
}

impl Client {
    /// Connects to a broker and waits for the broker's WELCOME, for up to 5 s.
    ///
    /// # Errors
    ///
    /// The endpoint is invalid, no broker answered, or there is no tokio runtime.
    pub async fn connect(endpoint: impl Into<String>) -> Result<Client, ConnectError> {
        Client::builder().connect(endpoint).open().await
    }

    /// Returns a builder for the settings of a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            to: ConnectSettings::default(),
            many: false,
            config: core::Config::default(),
            timeouts: Timeouts::default(),
            packing: Packing::default(),
            connect_timeout: CONNECT_TIMEOUT,
            dialect: Dialect::default(),
            interceptors: Added::default(),
        }
    }

    /// Makes a client whose calls go to this service in the same process, without a broker and without sockets. The
    /// generated `AuthClient::in_memory(..)` does the same in one step. See
    /// [`testing::InMemory`](crate::testing::InMemory).
    pub fn in_memory(service: impl Service) -> Client {
        InMemory::new().serve(service).client()
    }

    /// Makes a client whose calls go through your own channel, for instance a test double. See [`Channel`].
    pub fn over(channel: impl Channel) -> Client {
        Client::builder().over(channel)
    }

    /// Returns a handle on the same connection that runs an interceptor around each call made through this handle and
    /// through clients made from the handle. The original handle does not change. The interceptor added first is the
    /// outermost; later ones are nearer to the connection. See [`Interceptor`].
    #[must_use]
    pub fn intercept(&self, interceptor: impl Interceptor) -> Client {
        self.with(Arc::new(interceptor))
    }

    /// Returns a handle on the same connection that retries failed calls with one request and one reply. A call is retried
    /// only where this is safe: its method is idempotent, or its handler was not started; [`RetryPolicy`] has the rules.
    /// Interceptors added before this see a call once; interceptors added after it see each attempt. Of several
    /// policies the one that was added first applies.
    #[must_use]
    pub fn retry(&self, policy: RetryPolicy) -> Client {
        self.intercept(Retrying::new(policy, None))
    }

    /// Retries like [`retry`](Self::retry), but only calls of the method with this path (`package.Service/Method`). To
    /// override a policy for all methods, add this policy before that one.
    #[must_use]
    pub fn retry_method(&self, path: impl Into<String>, policy: RetryPolicy) -> Client {
        self.intercept(Retrying::new(policy, Some(path.into())))
    }

    /// Returns a handle on the same connection that enables hedging: a call of a method without side effects is sent a
    /// second time when the first attempt is slow. Calls of other methods are not hedged. See [`HedgePolicy`].
    #[must_use]
    pub fn hedge(&self, policy: HedgePolicy) -> Client {
        self.intercept(Hedging::new(policy))
    }

    /// Returns a handle on the same connection that runs a tower layer around each call, as
    /// [`intercept`](Self::intercept) does with an interceptor. The layer's service is cloned for each call, so state
    /// that calls share must be shared between clones, as in tower's own layers. An error that is not a
    /// [`Status`](crate::Status), and was not made from one, becomes UNKNOWN; map the error inside the layers to get
    /// another code.
    ///
    /// A call with streams passes through the layer as one call, from the call's start to its end.
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
        let (below, before) = match &self.destination {
            Destination::Channel(joined) => joined.below().unzip(),
            Destination::Broker(_) => (None, None),
        };
        let before = before.into_iter().flat_map(|before| before.iter().cloned());
        let all = before.chain([interceptor]).collect();
        let joined = Joined::intercepted(below.unwrap_or(self), all);
        Client { destination: Destination::Channel(Arc::new(joined)) }
    }

    fn through(self, interceptors: Added) -> Client {
        let interceptors = interceptors.into_list();
        if interceptors.is_empty() {
            return self;
        }
        let joined = Joined::intercepted(&self, interceptors);
        Client { destination: Destination::Channel(Arc::new(joined)) }
    }

    /// Returns the state of the connection; the receiver also reports each change. A client without a broker is
    /// connected until it is shut down.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        match &self.destination {
            Destination::Broker(link) => link.state.clone(),
            Destination::Channel(joined) => joined.state(),
        }
    }

    /// Waits up to `grace` for running calls, ends the remaining ones with CANCELLED, and closes the connection for all
    /// handles. Later calls end with CANCELLED.
    pub async fn shutdown(&self, grace: Duration) {
        if let Destination::Channel(joined) = &self.destination {
            return joined.shutdown(grace).await;
        }
        let mut state = self.state();
        if self.close(grace) {
            // An error means that the driver is gone, which has the same result.
            let _ = state.wait_for(|state| *state == ConnectionState::Closed).await;
        }
    }

    /// Starts the shutdown. Returns `false` if the client is already closed or has no connection.
    pub(crate) fn close(&self, grace: Duration) -> bool {
        match &self.destination {
            Destination::Broker(link) => {
                link.command(ClientCommand::Close(clock::span(grace))).is_ok()
            }
            Destination::Channel(joined) => joined.close(grace),
        }
    }

    /// Whether every endpoint has refused the handshake permanently.
    fn is_refused(&self) -> bool {
        match &self.destination {
            Destination::Broker(link) => link.faults.are_final(link.endpoints),
            Destination::Channel(joined) => {
                joined.below().is_some_and(|(client, _)| client.is_refused())
            }
        }
    }

    fn not_connected(
        &self,
        endpoints: Vec<String>,
        within: Duration,
        cause: Option<LossCause>,
    ) -> ConnectError {
        let fault = match &self.destination {
            Destination::Broker(link) => link.faults.first(),
            Destination::Channel(joined) => match joined.below() {
                Some((client, _)) => return client.not_connected(endpoints, within, cause),
                None => None,
            },
        };
        match fault.and_then(|(number, fault)| Some((endpoints.get(number)?.clone(), fault))) {
            Some((endpoint, fault)) => ConnectError::Handshake { endpoint, fault },
            None => ConnectError::NoBroker { endpoints, within, cause },
        }
    }

    fn timeouts(&self) -> Timeouts {
        match &self.destination {
            Destination::Broker(link) => link.timeouts,
            Destination::Channel(joined) => joined.timeouts(),
        }
    }

    fn window(&self) -> u32 {
        match &self.destination {
            Destination::Broker(link) => link.window,
            Destination::Channel(joined) => joined.window(),
        }
    }

    /// The retry budget that all clones share, for policies without their own budget.
    pub(crate) fn budget(&self) -> &RetryBudget {
        match &self.destination {
            Destination::Broker(link) => &link.budget,
            Destination::Channel(joined) => joined.budget(),
        }
    }

    fn compression(&self) -> Option<Compression> {
        match &self.destination {
            Destination::Broker(link) => link.packing.with,
            Destination::Channel(joined) => {
                joined.below().and_then(|(client, _)| client.compression())
            }
        }
    }
}

/// Settings of a [`Client`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ClientBuilder {
    to: ConnectSettings,
    /// Each endpoint is a broker.
    many: bool,
    config: core::Config,
    timeouts: Timeouts,
    packing: Packing,
    connect_timeout: Duration,
    dialect: Dialect,
    interceptors: Added,
}

impl ClientBuilder {
    /// Connects as these settings say.
    pub(crate) fn to(self, to: ConnectSettings) -> Self {
        ClientBuilder { to, ..self }
    }

    /// Adds a broker's endpoint. May be called several times: the client tries the endpoints in turn, at the start and
    /// whenever a connection is lost.
    pub fn connect(mut self, endpoint: impl Into<String>) -> Self {
        self.to.endpoints.push(endpoint.into());
        self
    }

    /// Adds brokers, and opens a session with each of them, at most 64. With [`connect`](Self::connect) alone the client
    /// has one session at a time.
    ///
    /// A call goes to one of two brokers that are taken by chance, the one with fewer calls of this client. When a broker
    /// is lost, drains, or has no worker for a service, the call goes to another one: if it is certain that no handler was
    /// started, or if the method is idempotent. A call ends with UNAVAILABLE and the reason `NO_SERVICE` only when all
    /// brokers have said so; by default it asks all of them again for 5 s, with [`no_wait`](Self::no_wait) it does not.
    ///
    /// Brokers share nothing: workers have to [be at all of them](crate::WorkerBuilder::brokers) too. The state of the
    /// client is connected while one session is open. Over classic MDP, [`open`](Self::open) fails with
    /// [`ConnectError::Brokers`].
    ///
    /// ```no_run
    /// # async fn doc() -> Result<(), mdp_runtime::ConnectError> {
    /// use mdp_runtime::Client;
    ///
    /// let client = Client::builder().brokers(["tcp://a:5555", "tcp://b:5555"]).open().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn brokers<E: Into<String>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        self.to.endpoints.extend(endpoints.into_iter().map(Into::into));
        self.many = true;
        self
    }

    /// Sets the protocol between the client and the broker. Default: MDP/RPC.
    ///
    /// Over classic MDP the broker sends no heartbeats to clients. [`Client::state`] then reports only whether the
    /// transport connection exists, and [`open`](Self::open) waits for no more than that.
    /// [`heartbeat`](Self::heartbeat), [`liveness`](Self::liveness) and [`id`](Self::id) have no effect. See
    /// [`Dialect`] for the other differences.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
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

    /// Sets the id by which workers and logs identify this client: 1 to 255 bytes of printable ASCII. Default: the
    /// broker assigns an id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.config.session.id = id.into().into_bytes();
        self
    }

    /// Sets the default time limit of a call with one request and one reply. Default: 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.unary = timeout;
        self
    }

    /// Sets the default time limit of a call with a stream, from the call's start to its end. A worker must begin the
    /// call within [`timeout`](Self::timeout); otherwise the call ends with DEADLINE_EXCEEDED. Default: 24 h.
    pub fn stream_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.stream = timeout;
        self
    }

    /// Ends calls at once if no worker offers their service, as [`Call::no_wait`] does for one call. Default: calls
    /// wait for as long as the broker allows ([`unserved_wait`](crate::BrokerBuilder::unserved_wait)).
    pub fn no_wait(mut self) -> Self {
        self.timeouts.no_wait = true;
        self
    }

    /// Sets how many messages may wait here for the reader of each stream of replies. Each started block of 256 bytes
    /// counts as one message, so the window bounds both messages and bytes. 0 counts as 1. The broker's limit
    /// `window` caps the value. Default: 4,096, which is at most 4,096 messages, or 1 MiB plus one message.
    pub fn window(mut self, window: u32) -> Self {
        self.config.window = window.max(1);
        self
    }

    /// Compresses requests, and asks workers to compress replies. A call can override this setting with
    /// [`Call::compress`] and [`Call::uncompressed`]. Default: no compression.
    pub fn compress(mut self, with: Compression) -> Self {
        self.packing.with = Some(with);
        self
    }

    /// Sets the maximum size of a reply after decompression, in bytes. A larger reply ends its call with
    /// RESOURCE_EXHAUSTED, before memory is allocated for it. Default: 16 MiB.
    pub fn max_decompressed(mut self, bytes: usize) -> Self {
        self.packing.max = bytes;
        self
    }

    /// Runs an interceptor around the client's calls, as [`Client::intercept`] does. The interceptor added first is the
    /// outermost.
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.add(interceptor);
        self
    }

    /// Records a span and a measurement for each call, as an [interceptor](Self::intercept). If exactly one endpoint
    /// was added before this, that endpoint is recorded as the broker's address. See [`otel`](crate::otel).
    #[cfg(feature = "opentelemetry")]
    pub fn telemetry(self, telemetry: crate::otel::Telemetry) -> Self {
        let telemetry = telemetry.towards(&self.to.endpoints);
        self.intercept(telemetry)
    }

    /// Retries failed calls, as [`Client::retry`] does.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.intercept(Retrying::new(policy, None))
    }

    /// Enables hedging: sends a second attempt when the first is slow, as [`Client::hedge`] does.
    pub fn hedge(self, policy: HedgePolicy) -> Self {
        self.intercept(Hedging::new(policy))
    }

    /// Sets how long [`open`](Self::open) waits for a broker. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how often the client sends a heartbeat and expects one. The broker may require a longer interval. Default:
    /// 1 s.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.session.heartbeat = clock::span(interval);
        self
    }

    /// Sets after how many intervals without a heartbeat the broker counts as lost. 0 counts as 1. Default: 3.
    pub fn liveness(mut self, intervals: u8) -> Self {
        self.config.session.liveness = intervals.max(1);
        self
    }

    /// Sets the maximum number of concurrent calls over all handles. One more call ends at once with
    /// RESOURCE_EXHAUSTED. Default: 10,000.
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.config.calls = calls;
        self
    }

    /// Sets the maximum number of times that a call of an idempotent method is sent when connections are lost during
    /// the call. 0 counts as 1. Default: 3.
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.config.attempts = attempts.max(1);
        self
    }

    /// How long an endpoint may take for the first answer.
    pub(crate) fn handshake(mut self, handshake: Span) -> Self {
        self.config.session.handshake = handshake;
        self
    }

    /// Makes the client and connects in the background. Calls wait for the connection, each until its own deadline.
    ///
    /// # Errors
    ///
    /// An endpoint or the id is invalid, the CURVE settings cannot be used, or there is no tokio runtime.
    pub fn open_lazy(self) -> Result<Client, ConnectError> {
        let tokio = tokio::runtime::Handle::try_current().map_err(|_| ConnectError::NoTokio);
        let (client, driver) = self.parts()?;
        tokio?.spawn(driving(driver));
        Ok(client)
    }

    /// The handle, and the driver that the caller has to run.
    fn parts(self) -> Result<(Client, ClientDriver), ConnectError> {
        self.to.check()?;
        let id = &self.config.session.id;
        if !id.is_empty()
            && let Err(source) = names::check(id)
        {
            let id = String::from_utf8_lossy(id).into_owned();
            return Err(ConnectError::Id { id, source });
        }
        let options = self.to.into_options()?;
        let (endpoints, many) = (options.endpoints.len(), self.many);
        if many && (endpoints > core::MAX_BROKERS || self.dialect.form().is_some()) {
            return Err(ConnectError::Brokers { brokers: endpoints });
        }
        let window = self.config.window;
        let tried = if many { 1 } else { endpoints };
        let config = core::Config {
            session: SessionConfig { endpoints: tried, seed: clock::seed(), ..self.config.session },
            ..self.config
        };
        let (commands, inbox) = mpsc::unbounded_channel();
        let (state_in, state) = watch::channel(ConnectionState::Connecting { endpoint: 0 });
        let brokers = many.then(|| (options.clone(), config.clone()));
        let mut driver = ClientDriver::new(options, config, inbox, state_in);
        if let Some((options, config)) = brokers {
            driver = driver.over_brokers(&options, config);
        }
        let faults = driver.faults();
        if let Some(form) = self.dialect.form() {
            driver = driver.over_classic(form);
        }
        let (timeouts, packing) = (self.timeouts, self.packing);
        let budget = RetryBudget::default();
        let link = ClientLink {
            commands,
            state,
            faults,
            endpoints,
            many,
            timeouts,
            window,
            packing,
            budget,
        };
        let client = Client { destination: Destination::Broker(Arc::new(link)) };
        Ok((client.through(self.interceptors), driver))
    }

    /// Makes a client whose calls go through your own channel. Only the [`timeout`](Self::timeout), the
    /// [`stream_timeout`](Self::stream_timeout), the [`window`](Self::window) and the interceptors apply; the other
    /// settings are for connections.
    pub fn over(self, channel: impl Channel) -> Client {
        let joined = Joined::new(channel, self.timeouts, self.config.window);
        Client { destination: Destination::Channel(Arc::new(joined)) }.through(self.interceptors)
    }

    /// Makes the client and waits for a broker's WELCOME.
    ///
    /// # Errors
    ///
    /// The errors of [`open_lazy`](Self::open_lazy). [`ConnectError::NoBroker`]: no broker answered within
    /// [`connect_timeout`](Self::connect_timeout). [`ConnectError::Handshake`]: no broker answered because the keys do
    /// not match; this error comes at once when all brokers refuse the keys.
    pub async fn open(self) -> Result<Client, ConnectError> {
        let within = self.connect_timeout;
        let endpoints = self.to.endpoints.clone();
        let client = self.open_lazy()?;
        let mut cause = None;
        match tokio::time::timeout(within, connected(&client, &mut cause)).await {
            Ok(true) => Ok(client),
            _ => Err(client.not_connected(endpoints, within, cause)),
        }
    }

    /// Makes the client like [`open`](Self::open), for programs without tokio. The client runs on its own thread. This
    /// function blocks the calling thread until a broker answers.
    ///
    /// # Errors
    ///
    /// An endpoint or the id is invalid, the CURVE settings cannot be used, the client's thread could not be started,
    /// no broker answered within [`connect_timeout`](Self::connect_timeout), or the caller is async code, whose thread
    /// must not be blocked.
    pub fn open_blocking(self) -> Result<blocking::Client, ConnectError> {
        if blocking::in_async_code() {
            return Err(ConnectError::InAsyncCode);
        }
        let within = self.connect_timeout;
        let endpoints = self.to.endpoints.clone();
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

/// Runs a driver. If the driver panics, all calls end and the client counts as closed.
async fn driving(driver: ClientDriver) {
    let state = driver.state();
    let ended = move |_| {
        state.send_replace(ConnectionState::Closed);
    };
    ends::task("mdp-client", driver.run(), ended).await;
}

/// Waits for a broker's WELCOME. `false`: no broker will answer.
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
