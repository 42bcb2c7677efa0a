//! A worker for raw requests.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use mdp_protocol::classic::HEARTBEAT;
use mdp_protocol::names;
use mdp_protocol::{ConnectionState, SessionConfig, Span};
use tokio::sync::{Semaphore, mpsc, watch};

use super::open_requests::{OpenRequests, Opened, Request};
use super::replier::Replier;
use crate::call::ServicePermits;
use crate::classic::slots::{Event, Slots};
use crate::classic::{Dialect, check_sockets};
use crate::connection::{self, Connection};
use crate::error::{ServeError, WorkerFailure};
use crate::peer::{Alarm, ConnectSettings};
use crate::signal::ShutdownSignals;
use crate::worker::Worker;
use mdp_transport::clock::{self, Clock};
use mdp_transport::ends;
use mdp_transport::security::CurveClient;
use mdp_transport::{Context, close_all};

/// A worker that receives the frames of requests and answers with frames. It needs no schema, and works with any broker
/// of RFC 7 or RFC 18, or over MDP/RPC with a broker of this project.
///
/// The sockets have their own thread, so heartbeats continue regardless of the requests. Dropping the worker leaves the
/// broker at once.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::{Dialect, RawWorker};
///
/// let mut worker = RawWorker::builder("echo")
///     .dialect(Dialect::Mdp02)
///     .connect("tcp://127.0.0.1:5555")
///     .start()?;
/// while let Some((frames, replier)) = worker.recv().await {
///     replier.finish(frames)?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct RawWorker {
    requests: mpsc::UnboundedReceiver<(Vec<Bytes>, Replier)>,
    inner: WorkerInner,
    /// The number of functions that [`serve`](Self::serve) may run at once.
    room: Arc<Semaphore>,
}

enum WorkerInner {
    Classic {
        commands: mpsc::UnboundedSender<Span>,
        state: watch::Receiver<ConnectionState>,
        failure: Arc<OnceLock<WorkerFailure>>,
    },
    Rpc(Worker),
}

impl RawWorker {
    /// Returns a builder for the settings of a worker of this service.
    pub fn builder(service: impl Into<String>) -> RawWorkerBuilder {
        RawWorkerBuilder {
            service: service.into(),
            dialect: Dialect::Mdp02,
            to: ConnectSettings::default(),
            heartbeat: None,
            liveness: SessionConfig::default().liveness,
            capacity: 1,
            grace: Duration::from_secs(10),
        }
    }

    /// Returns the next request with its replier. At most [`capacity`](RawWorkerBuilder::capacity) requests are open at
    /// once. `None`: the worker was stopped or has failed; [`stopped`](Self::stopped) returns the reason.
    pub async fn recv(&mut self) -> Option<(Vec<Bytes>, Replier)> {
        self.requests.recv().await
    }

    /// Answers all requests with a function, each in its own task, until the worker is stopped. At most
    /// [`capacity`](RawWorkerBuilder::capacity) functions run at once, including those that have answered and continue.
    pub async fn serve<F, Fut>(&mut self, handler: F)
    where
        F: Fn(Vec<Bytes>, Replier) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        // The semaphore is never closed.
        while let Ok(room) = Arc::clone(&self.room).acquire_owned().await {
            let Some((frames, replier)) = self.recv().await else { return };
            let answers = handler(frames, replier);
            let ended = async move {
                answers.await;
                drop(room);
            };
            // A panic drops the replier, which notifies the broker.
            tokio::spawn(ends::task("raw handler", ended, drop));
        }
    }

    /// Returns the combined state of the connections; the receiver also reports each change. The worker is connected
    /// while a broker answers on one of them. Over classic MDP this may take the broker's heartbeat interval, because
    /// classic MDP has no answer to READY and no id.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        match &self.inner {
            WorkerInner::Classic { state, .. } => state.clone(),
            WorkerInner::Rpc(worker) => worker.state(),
        }
    }

    /// Waits until the broker has answered. Returns `false` if the worker was stopped first.
    pub async fn connected(&self) -> bool {
        let mut state = self.state();
        let found = state.wait_for(|state| {
            matches!(state, ConnectionState::Connected { .. } | ConnectionState::Closed)
        });
        found.await.is_ok_and(|state| *state != ConnectionState::Closed)
    }

    /// Waits until the worker has left its broker permanently: it was stopped or
    /// [drained](crate::BrokerBuilder::allow_drain), or it has failed.
    ///
    /// # Errors
    ///
    /// The reason why the worker stopped without being asked to.
    pub async fn stopped(&self) -> Result<(), WorkerFailure> {
        match &self.inner {
            WorkerInner::Classic { state, failure, .. } => {
                // An error means that the thread is gone, which has the same result.
                let _ = state.clone().wait_for(|state| *state == ConnectionState::Closed).await;
                failure.get().map_or(Ok(()), |failure| Err(failure.clone()))
            }
            WorkerInner::Rpc(worker) => worker.stopped().await,
        }
    }

    /// Waits up to `grace` for the answers to open requests, and leaves the broker. A request that the broker sends at
    /// that moment is lost, or goes to another worker if the broker supports that: with classic MDP a worker cannot
    /// announce its departure.
    pub async fn shutdown(&self, grace: Duration) {
        self.stop(grace);
        // An error means that the thread has ended already.
        let _ = self.state().wait_for(|state| *state == ConnectionState::Closed).await;
    }

    fn stop(&self, grace: Duration) {
        match &self.inner {
            // Without a receiver the thread has ended already.
            WorkerInner::Classic { commands, .. } => drop(commands.send(clock::span(grace))),
            WorkerInner::Rpc(worker) => worker.drain(grace),
        }
    }
}

impl fmt::Debug for RawWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawWorker").field("state", &*self.state().borrow()).finish_non_exhaustive()
    }
}

/// Settings of a [`RawWorker`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RawWorkerBuilder {
    service: String,
    dialect: Dialect,
    to: ConnectSettings,
    heartbeat: Option<Duration>,
    liveness: u8,
    capacity: u32,
    grace: Duration,
}

impl RawWorkerBuilder {
    /// Sets the protocol. Default: MDP/0.2.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Adds a broker's endpoint. May be called several times: the worker tries the endpoints in turn, at the start and
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

    /// Encrypts the connection with CURVE. The worker connects only to brokers with one of these public keys. Default:
    /// no encryption.
    pub fn curve(mut self, curve: CurveClient) -> Self {
        self.to.curve = Some(curve);
        self
    }

    /// Sets the number of concurrent requests, 1 to 256: classic MDP has one request for each connection, so the worker
    /// opens this many connections. Over MDP/RPC up to 65,535. Default: 1.
    pub fn capacity(mut self, requests: u32) -> Self {
        self.capacity = requests;
        self
    }

    /// Sets how often the worker sends a heartbeat and expects one; use the broker's own interval. Default: 2.5 s, as
    /// in the examples of RFC 7; over MDP/RPC 1 s.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = Some(interval);
        self
    }

    /// Sets after how many intervals without a heartbeat the broker counts as lost. 0 counts as 1. Default: 3.
    pub fn liveness(mut self, intervals: u8) -> Self {
        self.liveness = intervals.max(1);
        self
    }

    /// Sets how long [`run`](Self::run) waits for open requests after a signal. Default: 10 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Starts the worker. It connects in the background and reconnects whenever necessary.
    ///
    /// # Errors
    ///
    /// A setting is invalid, or the thread cannot be started. Over MDP/RPC: there is no tokio runtime.
    pub fn start(self) -> Result<RawWorker, ServeError> {
        let Some(form) = self.dialect.form() else { return self.start_rpc() };
        self.to.check()?;
        names::check(self.service.as_bytes())
            .map_err(|source| ServeError::Name { name: self.service.clone(), source })?;
        let service: Arc<[u8]> = Arc::from(self.service.as_bytes());
        let services = [(service, self.capacity)];
        check_sockets(&services)?;
        let session = SessionConfig {
            endpoints: self.to.endpoints.len(),
            heartbeat: self.heartbeat.map_or(HEARTBEAT, clock::span),
            liveness: self.liveness,
            seed: clock::seed(),
            ..SessionConfig::default()
        };
        let options = self.to.into_options()?;
        let context = options.context.clone();
        let (commands, orders) = mpsc::unbounded_channel();
        let (requests_in, requests) = mpsc::unbounded_channel();
        let (state_in, state) = watch::channel(ConnectionState::Connecting { endpoint: 0 });
        let slots = Slots::new(options, form, &session, &services);
        let told = state_in.clone();
        let mut connection = Connection::new("worker");
        connection.set_services(services.iter().map(|(name, _)| &**name));
        let driver = RawWorkerDriver {
            context,
            clock: Clock::start(),
            slots,
            open_requests: OpenRequests::new(self.dialect == Dialect::Mdp02),
            // Messages of repliers wake the driver, so no task waits for the bell.
            permits: Arc::new(ServicePermits::new(0, self.capacity, &Arc::default())),
            orders: Some(orders),
            requests: requests_in,
            state: state_in,
            connection,
        };
        let io = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(ServeError::Thread)?;
        let run = move || io.block_on(driver.run());
        let failure = Arc::new(OnceLock::new());
        let ended = {
            let failure = Arc::clone(&failure);
            move |end: Result<(), _>| {
                if end.is_err() {
                    // The failure is set once.
                    let _ = failure.set(WorkerFailure::Panicked);
                    told.send_replace(ConnectionState::Closed);
                }
            }
        };
        ends::thread("mdp-raw-worker", run, ended).map_err(ServeError::Thread)?;
        let room = room_for(self.capacity);
        Ok(RawWorker { requests, inner: WorkerInner::Classic { commands, state, failure }, room })
    }

    fn start_rpc(self) -> Result<RawWorker, ServeError> {
        let (requests_in, requests) = mpsc::unbounded_channel();
        let mut builder =
            Worker::builder().to(self.to).capacity(self.capacity).liveness(self.liveness);
        if let Some(interval) = self.heartbeat {
            builder = builder.heartbeat(interval);
        }
        let builder = builder.serve_raw(self.service, move |frames, replier| {
            // Without a receiver the replier is dropped; the worker is being stopped then anyway.
            let _ = requests_in.send((frames, replier));
            std::future::ready(())
        });
        let room = room_for(self.capacity);
        Ok(RawWorker { requests, inner: WorkerInner::Rpc(builder.start()?), room })
    }

    /// Starts the worker and answers all requests with a function, each in its own task, until SIGINT or SIGTERM. Then
    /// waits up to [`grace`](Self::grace) for open requests.
    ///
    /// Signals within 0.5 s count as one. A later signal ends the process at once
    /// ([`ShutdownSignals`](crate::ShutdownSignals)).
    ///
    /// # Errors
    ///
    /// The errors of [`start`](Self::start). [`ServeError::Signals`]: the signals cannot be handled.
    /// [`ServeError::Stopped`]: the worker stopped without being asked to.
    pub async fn run<F, Fut>(self, handler: F) -> Result<(), ServeError>
    where
        F: Fn(Vec<Bytes>, Replier) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let grace = self.grace;
        // The signals are set up before the worker is visible, so that no signal is missed.
        let mut signals = ShutdownSignals::listen().map_err(ServeError::Signals)?;
        let mut worker = self.start()?;
        tokio::select! {
            () = worker.serve(&handler) => {}
            () = signals.recv() => {}
        }
        // The next signal ends the process, even if a handler hangs.
        drop(signals);
        worker.stop(grace);
        // Requests that have arrived by now are answered too.
        worker.serve(&handler).await;
        Ok(worker.stopped().await?)
    }
}

fn room_for(capacity: u32) -> Arc<Semaphore> {
    let max = usize::try_from(capacity).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)))
}

struct RawWorkerDriver {
    context: Context,
    clock: Clock,
    slots: Slots,
    open_requests: OpenRequests,
    /// The capacity; every existing replier counts.
    permits: Arc<ServicePermits>,
    /// `None` after the worker's handle was dropped.
    orders: Option<mpsc::UnboundedReceiver<Span>>,
    requests: mpsc::UnboundedSender<(Vec<Bytes>, Replier)>,
    state: watch::Sender<ConnectionState>,
    connection: Connection,
}

impl RawWorkerDriver {
    async fn run(mut self) {
        let mut alarm = Alarm::new();
        loop {
            self.work();
            if self.slots.are_closed() {
                break;
            }
            self.wait(&mut alarm).await;
        }
        let RawWorkerDriver {
            context,
            clock,
            mut slots,
            open_requests,
            requests,
            state,
            mut connection,
            ..
        } = self;
        drop((open_requests, requests));
        close_all(&context, slots.take_sockets()).await;
        connection.changed(clock.now(), &ConnectionState::Closed, "", None);
        state.send_replace(ConnectionState::Closed);
    }

    fn work(&mut self) {
        let now = self.clock.now();
        self.open_requests.take_told(now, &mut self.slots);
        self.slots.tick(now);
        while let Some(event) = self.slots.next_event() {
            match event {
                Event::Start { slot, task, body } => {
                    let permits = Arc::clone(&self.permits);
                    self.open_requests.put(Request { slot, task, frames: body, permits });
                }
                Event::Abort { slot } => self.open_requests.abort(slot),
            }
        }
        while let Some(Opened { frames, replier, .. }) = self.open_requests.next() {
            // Without a receiver the replier is dropped; the worker is being stopped then anyway.
            let _ = self.requests.send((frames, replier));
        }
        self.slots.flush(now);
        self.open_requests.flushed(&self.slots);
        let state = self.slots.state();
        if *self.state.borrow() != *state {
            let endpoint = connection::endpoint(state, self.slots.endpoints(), None);
            self.connection.changed(now, state, &endpoint, self.slots.next_deadline());
            self.state.send_replace(state.clone());
        }
        self.connection.settle(&self.clock);
    }

    async fn wait(&mut self, alarm: &mut Alarm) {
        let (slots, open_requests) = (&mut self.slots, &mut self.open_requests);
        let deadline = slots.next_deadline();
        let ordered = async {
            match &mut self.orders {
                Some(orders) => orders.recv().await,
                None => std::future::pending().await,
            }
        };
        let mut order = None;
        tokio::select! {
            biased;
            ordered = ordered => order = Some(ordered),
            () = poll_fn(|cx| {
                if slots.has_events() || open_requests.poll_told(cx).is_ready() {
                    return Poll::Ready(());
                }
                slots.poll_ready(cx)
            }) => {}
            () = alarm.wait(&self.clock, deadline) => {}
        }
        let Some(grace) = order else { return };
        if grace.is_none() {
            self.orders = None;
        }
        self.slots.stop(self.clock.now(), grace.unwrap_or(Span::ZERO));
    }
}
