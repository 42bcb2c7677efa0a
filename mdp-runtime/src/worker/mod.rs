//! The worker: services, a capacity, and a separate thread for the socket.

mod admission;
mod deferred;
mod driver;
mod hand_off;
pub(crate) mod handler;
mod pool;
mod session;
mod sharing;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::names;
use mdp_protocol::wire::classic::Form;
use mdp_protocol::worker as core;
use mdp_protocol::{ConnectionState, SessionConfig};
use tokio::sync::{mpsc, watch};

pub use deferred::{Deferred, Responder};
pub use handler::blocking;

use crate::call::Service;
use crate::classic::raw::{Handlers, RawHandler, Replier};
use crate::classic::serving::Serving;
use crate::classic::{self, Dialect};
use crate::error::{ServeError, WorkerFailure};
use crate::intercept::{self, Added, Interceptor};
use crate::peer::ConnectSettings;
use crate::signal::ShutdownSignals;
use driver::{WorkerCommand, WorkerDriver};
use mdp_call::compress::Packing;
use mdp_transport::Context;
use mdp_transport::clock;
use mdp_transport::security::CurveClient;
use pool::Pool;
use session::{Session, together};
use sharing::{SharedPool, Sharing};

/// Default number of concurrent calls for each service.
const DEFAULT_CAPACITY: u32 = 64;
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(60);
const DEFAULT_STALLED_AFTER: Duration = Duration::from_secs(5);

/// A running worker. The socket has its own thread, so heartbeats continue regardless of the handlers. Handlers run on
/// the tokio runtime on which the worker was started.
///
/// A handler of a method that is usually quick is first polled on the socket's thread, within that runtime; if the
/// handler blocks there, another thread takes over the socket. Handlers of blocking methods run on the runtime's
/// threads for blocking work. Dropping the worker stops it without a grace period.
///
/// ```no_run
/// # async fn doc(service: impl mdp_runtime::codegen::Service) -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::Worker;
///
/// Worker::builder()
///     .connect("tcp://127.0.0.1:5555")
///     .capacity(64)
///     .serve(service)             // AuthWorker::new(Accounts::open()?)
///     .run()
///     .await?;                    // until SIGINT or SIGTERM; finishes what runs first
/// # Ok(())
/// # }
/// ```
pub struct Worker {
    /// One for each broker at once.
    sessions: Vec<Session>,
    state: watch::Receiver<ConnectionState>,
}

impl Worker {
    /// Returns a builder for the settings of a worker.
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder {
            to: ConnectSettings::default(),
            many: false,
            session: SessionConfig::default(),
            dialect: Dialect::default(),
            heartbeat: None,
            capacity: None,
            grace: DEFAULT_GRACE,
            give_up_after: DEFAULT_GIVE_UP_AFTER,
            stalled_after: DEFAULT_STALLED_AFTER,
            end_streams_on_drain: false,
            window: core::Config::default().window,
            max_decompressed: Packing::default().max,
            reflects: true,
            services: Vec::new(),
            raw: Vec::new(),
            interceptors: Added::default(),
        }
    }

    /// Returns the state of the connection; the receiver also reports each change. [`ConnectionState::Connected`] has
    /// the id under which the broker knows the worker. When the worker has come back after a loss, the broker may read its
    /// offers a moment after that. Over classic MDP there is no id, and there are several
    /// connections: the worker is connected while a broker answers on one of them.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.clone()
    }

    /// Waits until the broker has sent WELCOME, and returns the worker's id. Over classic MDP, which has neither, waits
    /// until the broker sends anything, which may take the broker's heartbeat interval. Returns `None` if the worker
    /// stops first.
    pub async fn connected(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        let found = state
            .wait_for(|state| {
                matches!(state, ConnectionState::Connected { .. } | ConnectionState::Closed)
            })
            .await
            .ok()?;
        match &*found {
            ConnectionState::Connected { id, .. } => Some(id.to_vec()),
            _ => None,
        }
    }

    /// Waits until the worker has left its broker permanently: because a peer
    /// [drains](crate::BrokerBuilder::allow_drain) the worker and its calls have ended, or because the worker has
    /// failed. Call [`shutdown`](Self::shutdown) afterwards to wait for handlers that still run.
    ///
    /// # Errors
    ///
    /// The reason why the worker stopped without being asked to.
    ///
    /// ```no_run
    /// # async fn doc(worker: mdp_runtime::Worker) -> Result<(), mdp_runtime::WorkerFailure> {
    /// use std::time::Duration;
    ///
    /// tokio::select! {
    ///     () = mdp_runtime::shutdown_signal() => {}
    ///     ended = worker.stopped() => ended?,
    /// }
    /// worker.shutdown(Duration::from_secs(10)).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stopped(&self) -> Result<(), WorkerFailure> {
        // An error means that the thread is gone, which has the same result.
        let _ = self.state().wait_for(|state| *state == ConnectionState::Closed).await;
        self.end()
    }

    /// How the worker ended.
    fn end(&self) -> Result<(), WorkerFailure> {
        let mut failures = self.sessions.iter().filter_map(|session| session.failure.get());
        failures.next().map_or(Ok(()), |failure| Err(failure.clone()))
    }

    /// Accepts no new calls, waits up to `grace` for running calls, ends the remaining ones with UNAVAILABLE, and
    /// leaves the broker. Within the grace period this also waits for handlers that outlive their calls: handlers that
    /// block their thread or detach, and raw handlers.
    pub async fn shutdown(self, grace: Duration) {
        self.drain(grace);
        self.over().await;
    }

    async fn over(&self) {
        for session in &self.sessions {
            let mut over = session.over.clone();
            // An error means that the thread is gone, which has the same result.
            let _ = over.wait_for(|over| *over).await;
        }
    }

    pub(crate) fn drain(&self, grace: Duration) {
        for session in &self.sessions {
            // Without a receiver the thread has ended already.
            let _ = session.commands.send(WorkerCommand::Drain(clock::span(grace)));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.drain(Duration::ZERO);
        for session in &self.sessions {
            session.hand_off.finished();
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}

/// Settings of a [`Worker`].
#[derive(Clone)]
#[must_use]
pub struct WorkerBuilder {
    to: ConnectSettings,
    /// Each endpoint is a broker.
    many: bool,
    session: SessionConfig,
    dialect: Dialect,
    heartbeat: Option<Duration>,
    /// `None`: the dialect's default.
    capacity: Option<u32>,
    grace: Duration,
    give_up_after: Duration,
    stalled_after: Duration,
    end_streams_on_drain: bool,
    window: u32,
    max_decompressed: usize,
    reflects: bool,
    services: Vec<(Arc<dyn Service>, Option<u32>)>,
    raw: Vec<(String, RawHandler, Option<u32>)>,
    interceptors: Added,
}

impl WorkerBuilder {
    /// Connects as these settings say.
    pub(crate) fn to(self, to: ConnectSettings) -> Self {
        WorkerBuilder { to, ..self }
    }

    /// Adds a broker's endpoint. May be called several times: the worker tries the endpoints in the order in which
    /// they were added, and after the last one the first. If an attempt fails or the connection is lost, the worker
    /// tries the next endpoint. Over classic MDP each connection of the worker does this separately.
    /// [`start`](Self::start) checks the endpoints.
    pub fn connect(mut self, endpoint: impl Into<String>) -> Self {
        self.to.endpoints.push(endpoint.into());
        self
    }

    /// Adds brokers, and opens a session with each of them, at most 64. With [`connect`](Self::connect) alone the worker
    /// has one session at a time. Each session has a thread of its own.
    ///
    /// The worker has its slots, as many as its [`capacity`](Self::capacity) says, once for all brokers: it grants each
    /// broker some of them, and moves them to where calls wait. So never more calls run at once than the capacity says,
    /// and a busy broker can have all slots. A broker that is lost, or drained, leaves the sessions with the others alone.
    /// The state of the worker is connected while one session is open; it [stops](Worker::stopped) when all have ended.
    /// The id is the same at all brokers.
    ///
    /// Over classic MDP, [`start`](Self::start) fails with [`ServeError::Brokers`].
    ///
    /// ```no_run
    /// # async fn doc(service: impl mdp_runtime::codegen::Service) -> Result<(), mdp_runtime::ServeError> {
    /// use mdp_runtime::Worker;
    ///
    /// Worker::builder().brokers(["tcp://a:5555", "tcp://b:5555"]).serve(service).run().await
    /// # }
    /// ```
    pub fn brokers<E: Into<String>>(mut self, endpoints: impl IntoIterator<Item = E>) -> Self {
        self.to.endpoints.extend(endpoints.into_iter().map(Into::into));
        self.many = true;
        self
    }

    /// Sets the ZeroMQ context. Default: [`Context::global`].
    pub fn context(mut self, context: &Context) -> Self {
        self.to.context = Some(context.clone());
        self
    }

    /// Encrypts the connection with CURVE. The worker connects only to brokers with one of these public keys. Default:
    /// no encryption.
    pub fn curve(mut self, curve: CurveClient) -> Self {
        self.to.curve = Some(curve);
        self
    }

    /// Sets the id by which clients may select this worker: 1 to 255 bytes of printable ASCII, unique among live
    /// workers. Default: the broker assigns an id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.session.id = id.into().into_bytes();
        self
    }

    /// Sets the protocol between the worker and the broker. See [`Dialect`] for the differences of classic MDP; there
    /// the [`id`](Self::id) has no effect. Default: MDP/RPC.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets the number of concurrent calls for each service that is added after this, 1 to 65,535. Default: 64. Over
    /// classic MDP each concurrent call needs its own connection, so the default is the number of processors, and all
    /// services together may have at most 256.
    ///
    /// A call counts until both the call and its handler have ended: a handler that blocks its thread or detaches, or a
    /// raw handler, may outlive its call. A new call without a free place waits for half of its time, at most 5 s. Then
    /// the call ends with UNAVAILABLE and [`not_started`](crate::Status::not_started), or goes to another worker if it
    /// is idempotent, and a warning is logged. Tasks and threads that a handler starts do not count.
    pub fn capacity(mut self, calls: u32) -> Self {
        self.capacity = Some(calls);
        self
    }

    /// Adds a service to offer: the generated `AuthWorker::new(..)`. May be called several times.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.services.push((Arc::new(service), self.capacity));
        self
    }

    /// Adds a handler for raw requests to a service: frames in, frames out, without a method. A service may have this
    /// handler as well as the typed one of [`serve`](Self::serve). At a worker without this handler a raw request ends
    /// with UNIMPLEMENTED, which a classic client does not see (`docs/wire.md` R89). Interceptors and layers do not run
    /// around the handler, so it has to check rights itself. May be called once for each service.
    ///
    /// ```no_run
    /// # async fn doc() -> Result<(), mdp_runtime::ServeError> {
    /// use mdp_runtime::{Dialect, Worker};
    ///
    /// Worker::builder()
    ///     .dialect(Dialect::Mdp02)
    ///     .connect("tcp://127.0.0.1:5555")
    ///     .serve_raw("echo", async |frames, replier| {
    ///         // An error means that nobody waits for it any more.
    ///         let _ = replier.finish(frames);
    ///     })
    ///     .run()
    ///     .await
    /// # }
    /// ```
    pub fn serve_raw<F, Fut>(mut self, service: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Vec<Bytes>, Replier) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.raw.push((service.into(), classic::raw::raw_handler(handler), self.capacity));
        self
    }

    /// Runs an interceptor around the handlers of all typed services ([`serve`](Self::serve)), including services added
    /// later. Raw handlers ([`serve_raw`](Self::serve_raw)) have no interceptors. The interceptor added first is the
    /// outermost. Handlers see the metadata that the last interceptor passes on, and the deadline if it is not later
    /// than the caller's. See [`Interceptor`].
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.add(interceptor);
        self
    }

    /// Records a span and a measurement for each call, as an [interceptor](Self::intercept). See [`otel`](crate::otel).
    #[cfg(feature = "opentelemetry")]
    pub fn telemetry(self, telemetry: crate::otel::Telemetry) -> Self {
        self.intercept(telemetry)
    }

    /// Runs a tower layer around the handlers of all services, as [`intercept`](Self::intercept) does with an
    /// interceptor. See [`Client::layer`](crate::Client::layer).
    #[cfg(feature = "tower")]
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: tower_layer::Layer<crate::tower::Onward>,
        L::Service: crate::tower::Stack,
    {
        self.intercept(intercept::Layered::new(layer))
    }

    /// Sets how often the worker sends a heartbeat and expects one. The broker may require a longer interval. Default:
    /// 1 s. Classic MDP has no negotiation, so set the broker's own interval there; default over classic MDP: 2.5 s, as
    /// in the examples of RFC 7.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = Some(interval);
        self
    }

    /// Sets after how many intervals without a heartbeat the broker counts as lost. 0 counts as 1. Default: 3.
    pub fn liveness(mut self, intervals: u8) -> Self {
        self.session.liveness = intervals.max(1);
        self
    }

    /// Sets how many messages may wait here for the handler of each stream of requests. Each started block of 256 bytes
    /// counts as one message, so the window bounds both messages and bytes. 0 counts as 1. The broker's limit
    /// `window` caps the value. Default: 4,096, which is at most 4,096 messages, or 1 MiB plus one message.
    pub fn window(mut self, window: u32) -> Self {
        self.window = window.max(1);
        self
    }

    /// Sets the maximum size of a request after decompression, in bytes. A larger request ends its call with
    /// RESOURCE_EXHAUSTED, before memory is allocated for it. Replies are compressed if the caller asks for it.
    /// Default: 16 MiB.
    pub fn max_decompressed(mut self, bytes: usize) -> Self {
        self.max_decompressed = bytes;
        self
    }

    /// Sets whether the worker returns the schemas of its services to callers of those services, so that tools can call
    /// them ([`dynamic::schema`](crate::dynamic::schema)). Interceptors do not see these requests. Default: `true`.
    pub fn reflection(mut self, reflects: bool) -> Self {
        self.reflects = reflects;
        self
    }

    /// Sets how long [`run`](Self::run) waits for running calls after a signal. Default: 10 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets whether calls with streams end as soon as the worker or its broker is drained or shut down. Callers then
    /// get UNAVAILABLE with the reason `DRAINING`, and may call again to reach another worker. If `false`, such a call
    /// continues until its own end, at most for the grace period, and its handler is notified
    /// ([`CallContext::draining`](crate::CallContext::draining)). Use `true` for services whose streams have no end of
    /// their own, such as subscriptions; an upload would be cut off. Default: `false`.
    pub fn end_streams_on_drain(mut self, ends: bool) -> Self {
        self.end_streams_on_drain = ends;
        self
    }

    /// Sets how long the handlers' tokio runtime may be stalled before the worker disconnects from its broker. Calls
    /// whose handlers have not begun then end as not started, calls of idempotent methods go to another worker, and the
    /// others end with UNAVAILABLE. The worker reconnects as soon as the runtime runs again. A handler that blocks one
    /// thread of the runtime does not stall it while another thread is free; use `#[mdp(blocking)]` for handlers that
    /// must block. [`Duration::MAX`] turns this off. Default: 5 s.
    pub fn stalled_after(mut self, still: Duration) -> Self {
        self.stalled_after = still;
        self
    }

    /// Sets for how long every broker may refuse the worker before the worker stops with [`WorkerFailure::Refused`].
    /// Brokers refuse a worker if their policy does not allow it to serve, if another live worker has its id, if a
    /// limit of the broker is reached, or if the broker does not know its key. Until then the worker retries after
    /// pauses that grow to 5 s, so it continues once an operator grants the right. Zero stops it at the first refusal,
    /// [`Duration::MAX`] never. A broker that does not answer does not count as a refusal. Default: 60 s.
    ///
    /// Over classic MDP this has no effect: a DISCONNECT there has no reason.
    pub fn give_up_after(mut self, refused: Duration) -> Self {
        self.give_up_after = refused;
        self
    }

    /// Starts the worker. It connects in the background and reconnects whenever necessary. If the worker stops without
    /// being asked to, [`Worker::stopped`] returns the reason.
    ///
    /// # Errors
    ///
    /// A setting is invalid, the thread cannot be started, or there is no tokio runtime.
    pub fn start(self) -> Result<Worker, ServeError> {
        let config = self.check()?;
        let classic = self.classic_services(&config)?;
        let options = self.to.into_options()?;
        let handlers = tokio::runtime::Handle::try_current().map_err(|_| ServeError::NoTokio)?;
        let interceptors = self.interceptors.into_list();
        let around = |(service, _)| intercept::around(service, &interceptors);
        let services: Vec<_> = self.services.into_iter().map(around).collect();
        let raw = self.raw.into_iter();
        let raw: Vec<_> =
            raw.map(|(name, handler, _)| (Arc::from(name.as_bytes()), handler)).collect();
        let watched = (self.stalled_after < Duration::MAX).then_some(self.stalled_after);
        let (reflects, max_decompressed) = (self.reflects, self.max_decompressed);
        if self.many {
            let brokers = options.endpoints.len();
            if brokers > core::MAX_BROKERS || classic.is_some() {
                return Err(ServeError::Brokers { brokers });
            }
            let channels: Vec<_> = (0..brokers).map(|_| mpsc::unbounded_channel()).collect();
            let capacities: Vec<u32> = config.services.iter().map(|it| it.capacity).collect();
            let drivers = channels.iter().map(|(commands, _)| commands.downgrade()).collect();
            let shared = SharedPool::new(&capacities, drivers);
            let mut sessions = Vec::with_capacity(brokers);
            for (place, (commands, inbox)) in channels.into_iter().enumerate() {
                let session =
                    SessionConfig { endpoints: 1, seed: clock::seed(), ..config.session.clone() };
                let config = core::Config { session, shares_slots: true, ..config.clone() };
                let (state_in, state) = watch::channel(ConnectionState::Connecting { endpoint: 0 });
                let pool = Pool::new(handlers.clone(), max_decompressed);
                let told = state_in.clone();
                let (options, services) = (options.clone(), services.clone());
                let driver = WorkerDriver::new(options, config, services, pool, state_in, inbox)
                    .reflecting(reflects)
                    .watching_if(watched)
                    .with_raw(raw.clone())
                    .sharing(Sharing::new(Arc::clone(&shared), place, capacities.len()), place);
                sessions.push(Session::start(driver, commands, state, told)?);
            }
            let state = together(&handlers, &sessions);
            return Ok(Worker { sessions, state });
        }
        let (commands, inbox) = mpsc::unbounded_channel();
        let (state_in, state) = watch::channel(ConnectionState::Connecting { endpoint: 0 });
        let pool = Pool::new(handlers.clone(), max_decompressed);
        let session = config.session.clone();
        let same = options.clone();
        let told = state_in.clone();
        let mut driver = WorkerDriver::new(options, config, services, pool, state_in, inbox);
        driver = driver.reflecting(reflects).watching_if(watched);
        if classic.is_none() {
            driver = driver.with_raw(raw);
        } else if let Some((form, offers)) = classic {
            let raw = Handlers::new(raw, handlers, form == Form::V02);
            driver = driver.over_classic(|clock, permits| {
                Serving::new(same, form, &session, &offers, raw.within(permits), clock)
            });
        }
        let session = Session::start(driver, commands, state.clone(), told)?;
        Ok(Worker { sessions: vec![session], state })
    }

    /// Starts the worker and serves until SIGINT or SIGTERM, or until a peer
    /// [drains](crate::BrokerBuilder::allow_drain) the worker. Then waits up to [`grace`](Self::grace) for running
    /// calls.
    ///
    /// Signals within 0.5 s count as one. A later signal ends the process at once
    /// ([`ShutdownSignals`](crate::ShutdownSignals)).
    ///
    /// # Errors
    ///
    /// The errors of [`start`](Self::start). [`ServeError::Signals`]: the signals cannot be handled.
    /// [`ServeError::Stopped`]: the worker stopped without being asked to.
    pub async fn run(self) -> Result<(), ServeError> {
        let grace = self.grace;
        // The signals are set up before the worker is visible, so that no signal is missed.
        let mut signals = ShutdownSignals::listen().map_err(ServeError::Signals)?;
        let worker = self.start()?;
        tokio::select! {
            () = signals.recv() => {}
            // The result is returned below.
            _ = worker.stopped() => {}
        }
        // The next signal ends the process, even if a handler hangs.
        drop(signals);
        worker.drain(grace);
        worker.over().await;
        Ok(worker.end()?)
    }

    fn check(&self) -> Result<core::Config, ServeError> {
        self.to.check()?;
        if self.services.is_empty() && self.raw.is_empty() {
            return Err(ServeError::NoService);
        }
        check_name(&self.session.id, true)?;
        let mut offers: Vec<core::Offer> = Vec::with_capacity(self.services.len());
        for (service, capacity) in &self.services {
            let name = service.spec().name.as_bytes();
            check_name(name, false)?;
            if offers.iter().any(|offer| *offer.service == *name) {
                return Err(ServeError::Twice(service.spec().name.to_owned()));
            }
            let capacity = self.checked_capacity(*capacity)?;
            let schema = service.schema().hash().map_err(|source| ServeError::Schema {
                service: service.spec().name.to_owned(),
                source,
            })?;
            offers.push(core::Offer { service: Arc::from(name), capacity, schema });
        }
        self.add_raw(&mut offers)?;
        let heartbeat = match (self.heartbeat, self.dialect) {
            (Some(interval), _) => clock::span(interval),
            (None, Dialect::Rpc) => self.session.heartbeat,
            (None, _) => mdp_protocol::classic::HEARTBEAT,
        };
        let session = SessionConfig {
            endpoints: self.to.endpoints.len(),
            heartbeat,
            seed: clock::seed(),
            ..self.session.clone()
        };
        let gives_up = self.give_up_after < Duration::MAX;
        let give_up_after = gives_up.then(|| clock::span(self.give_up_after));
        Ok(core::Config {
            session,
            services: offers,
            methods: Vec::new(),
            window: self.window,
            give_up_after,
            shares_slots: false,
            end_streams_on_drain: self.end_streams_on_drain,
        })
    }
}

impl WorkerBuilder {
    fn default_capacity(&self) -> u32 {
        match self.dialect {
            Dialect::Rpc => DEFAULT_CAPACITY,
            _ => {
                let processors = std::thread::available_parallelism();
                processors.map_or(1, |number| u32::try_from(number.get()).unwrap_or(u32::MAX))
            }
        }
    }

    /// The services that are offered over classic MDP, each with its number of sockets; `None` over MDP/RPC.
    fn classic_services(
        &self,
        config: &core::Config,
    ) -> Result<Option<(Form, Offers)>, ServeError> {
        let Some(form) = self.dialect.form() else { return Ok(None) };
        let offers = config.services.iter();
        let offers: Offers =
            offers.map(|offer| (Arc::clone(&offer.service), offer.capacity)).collect();
        classic::check_sockets(&offers)?;
        Ok(Some((form, offers)))
    }

    /// Adds the services that are offered for raw requests only.
    fn add_raw(&self, offers: &mut Vec<core::Offer>) -> Result<(), ServeError> {
        for (place, (name, _, capacity)) in self.raw.iter().enumerate() {
            check_name(name.as_bytes(), false)?;
            if self.raw.iter().take(place).any(|(other, ..)| other == name) {
                return Err(ServeError::Twice(name.clone()));
            }
            if !offers.iter().any(|offer| *offer.service == *name.as_bytes()) {
                let capacity = self.checked_capacity(*capacity)?;
                let service = Arc::from(name.as_bytes());
                offers.push(core::Offer { service, capacity, schema: None });
            }
        }
        Ok(())
    }

    fn checked_capacity(&self, capacity: Option<u32>) -> Result<u32, ServeError> {
        let capacity = capacity.unwrap_or_else(|| self.default_capacity());
        match capacity {
            1..=65_535 => Ok(capacity),
            _ => Err(ServeError::Capacity(capacity)),
        }
    }
}

/// Services, each with its number of concurrent requests.
type Offers = Vec<(Arc<[u8]>, u32)>;

fn check_name(name: &[u8], may_be_empty: bool) -> Result<(), ServeError> {
    if name.is_empty() && may_be_empty {
        return Ok(());
    }
    names::check(name).map(|_| ()).map_err(|source| ServeError::Name {
        name: String::from_utf8_lossy(name).into_owned(),
        source,
    })
}

impl std::fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let services: Vec<&str> =
            self.services.iter().map(|(service, _)| service.spec().name).collect();
        f.debug_struct("WorkerBuilder")
            .field("endpoints", &self.to.endpoints)
            .field("services", &services)
            .finish_non_exhaustive()
    }
}
