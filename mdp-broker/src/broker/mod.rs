//! The broker: a ROUTER socket on its own thread around the protocol's state machine.

mod classic;
mod driver;
mod hook_pool;
mod monitor;
mod outbox;
mod pending_commands;
mod queue_spans;
mod refusals;
mod unread;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use mdp_protocol::Limits;
use mdp_protocol::broker as core;
pub use mdp_protocol::broker::{Report as BrokerReport, Stats as BrokerStats};
pub use monitor::Monitor;
use tokio::sync::{oneshot, watch};

use crate::error::{BindError, BrokerFailure};
use crate::hooks::BrokerHooks;
use crate::policy::{self, Policy, PolicyError, Watch};
use driver::{BrokerCommand, BrokerDriver};
use hook_pool::HookPool;
use mdp_transport::clock;
use mdp_transport::endpoint;
use mdp_transport::ends;
use mdp_transport::security::{AllowList, CurveServer, KeyPair, PublicKey};
use mdp_transport::{Context, NoHandler, Registration, Waker};
use queue_spans::QueueSpans;

/// The minimum of [`Limits::window`].
const LEAST_WINDOW: u32 = 16;
/// Default time that a call waits for the hooks.
const HOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// A running broker. Dropping it stops it without a grace period.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mdp_runtime::Broker;
/// use std::time::Duration;
///
/// let broker = Broker::builder().bind("tcp://127.0.0.1:*").bind("inproc://here").start()?;
/// println!("{}", broker.endpoints()[0]);      // with the port it took
/// broker.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker {
    endpoints: Vec<String>,
    line: Line,
    /// Watches the policy file, if there is one.
    watch: Option<Watch>,
    done: watch::Receiver<Option<Result<(), BrokerFailure>>>,
    curve: Option<CurveServer>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Returns a builder for the settings of a broker.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder {
            endpoints: Vec::new(),
            context: None,
            curve: None,
            insecure: false,
            config: core::Config::default(),
            policy: None,
            policy_file: None,
            hooks: None,
            hook_threads: None,
            hook_timeout: HOOK_TIMEOUT,
            queue_spans: queue_spans::Settings::default(),
        }
    }

    /// Returns the endpoints as they are bound, in the builder's order, each with its actual port.
    pub fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Returns the public key that connecting peers need, with CURVE; `None` without.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.curve.as_ref().map(CurveServer::public_key)
    }

    /// Returns the list of keys that may connect, with CURVE; `None` without. The list may be changed while the broker
    /// runs. See [`AllowList`].
    pub fn allowed_keys(&self) -> Option<&AllowList> {
        self.curve.as_ref().map(CurveServer::allowed)
    }

    /// Returns the counts of past events and the current state. All numbers are zero once the broker has stopped.
    pub async fn stats(&self) -> BrokerStats {
        let (answer, stats) = oneshot::channel();
        self.tell(BrokerCommand::Stats(answer));
        stats.await.unwrap_or_default()
    }

    /// Returns a monitor of the broker's state, which also works during the shutdown.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.line.clone())
    }

    /// Accepts no new calls, returns waiting calls to their clients, waits up to `grace` for running calls, sends
    /// DISCONNECT to all peers and stops.
    pub async fn shutdown(mut self, grace: Duration) {
        self.begin_shutdown(grace);
        // The caller asked for the shutdown, so the reason of the end does not matter.
        let _ = self.stopped().await;
        self.join();
    }

    /// Starts a [`shutdown`](Self::shutdown) without waiting for it. [`stopped`](Self::stopped) returns the result. A
    /// further call can end the grace period earlier, but not extend it. Dropping the broker ends it at once.
    pub fn begin_shutdown(&self, grace: Duration) {
        self.tell(BrokerCommand::Shutdown(clock::span(grace)));
    }

    /// Puts a policy in force, in place of the previous one. It applies to each peer from the peer's next message on. A
    /// peer that has lost all rights is disconnected, and so is a worker that may no longer serve the services it
    /// offers.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use mdp_runtime::{Broker, Policy};
    ///
    /// let broker = Broker::builder().bind("tcp://127.0.0.1:*").policy(Policy::parse("")?).start()?;
    /// // Nobody may do anything. From now on everybody may call the services below `auth.v1`.
    /// broker.set_policy(Policy::parse("[anonymous]\ncall = ['auth.v1.*']")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_policy(&self, policy: Policy) {
        enforce(policy, self.curve.as_ref(), &self.line);
    }

    /// Reads the policy file again at once, even if it has not changed.
    ///
    /// # Errors
    ///
    /// The file is wrong, empty, being written, or writable by group or others: the previous policy stays in force. Or
    /// there is no policy file.
    pub fn reload_policy(&self) -> Result<(), PolicyError> {
        self.watch.as_ref().ok_or(PolicyError::NoFile)?.reload()
    }

    /// Waits until the broker has stopped: after a [`shutdown`](Self::shutdown), after a failure, or after an operator has
    /// [drained](BrokerBuilder::allow_drain) it.
    ///
    /// # Errors
    ///
    /// The broker failed. A shutdown and a drain are no errors.
    pub async fn stopped(&mut self) -> Result<(), BrokerFailure> {
        match self.done.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(ended)) => ended.clone(),
            _ => Err(BrokerFailure::Panicked),
        }
    }

    /// Stops without a grace period, and does not wait for the thread.
    #[doc(hidden)]
    pub fn leave(&mut self) {
        self.tell(BrokerCommand::Shutdown(mdp_protocol::Span::ZERO));
        drop(self.thread.take());
    }

    fn tell(&self, command: BrokerCommand) {
        self.line.tell(command);
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // The thread's result is in the log already.
            let _ = thread.join();
        }
    }
}

/// Sends commands to the broker's thread.
#[derive(Clone, Debug)]
struct Line {
    commands: mpsc::Sender<BrokerCommand>,
    waker: Arc<Waker>,
}

impl Line {
    fn tell(&self, command: BrokerCommand) {
        if self.commands.send(command).is_ok() {
            self.waker.wake();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.tell(BrokerCommand::Shutdown(mdp_protocol::Span::ZERO));
        self.join();
    }
}

/// Settings of a [`Broker`]. The defaults are safe for production.
#[derive(Clone, Debug)]
#[must_use]
pub struct BrokerBuilder {
    endpoints: Vec<String>,
    context: Option<Context>,
    curve: Option<CurveServer>,
    insecure: bool,
    config: core::Config,
    policy: Option<Policy>,
    policy_file: Option<PathBuf>,
    hooks: Option<Hooks>,
    hook_threads: Option<usize>,
    hook_timeout: Duration,
    queue_spans: queue_spans::Settings,
}

/// The operator's hooks.
#[derive(Clone)]
struct Hooks(Arc<dyn BrokerHooks>);

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hooks")
    }
}

impl BrokerBuilder {
    /// Adds an endpoint to bind: `tcp://127.0.0.1:5555`, `tcp://127.0.0.1:*` for any free port, `ipc:///run/mdp.sock`
    /// or `inproc://name`. May be called several times.
    pub fn bind(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// Sets the ZeroMQ context. Default: [`Context::global`].
    pub fn context(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Sets the policy, which grants rights to peers. With a policy, a peer that the policy does not name may do
    /// nothing. Default: no policy; every peer may do everything.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self.policy_file = None;
        self
    }

    /// Sets the file of the [policy](Self::policy). The broker reads the file at the start and whenever it changes:
    /// within one second, once the file has stayed the same for 350 ms. A file that is wrong or empty, or that group or
    /// others can write, is reported in the log, and the previous policy stays in force. Replace the file by renaming a
    /// complete one.
    pub fn policy_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.policy_file = Some(path.into());
        self
    }

    /// Records a span for the time that each call waits in the broker, if the call's client records a trace. See
    /// `otel`. Default: no spans.
    #[cfg(feature = "opentelemetry")]
    pub fn telemetry(mut self, telemetry: mdp_call::otel::Telemetry) -> Self {
        self.queue_spans.telemetry = Some(telemetry);
        self
    }

    /// Sets the hooks, which decide on each request and each reply, and are notified when peers connect and leave. See
    /// [`BrokerHooks`].
    pub fn hooks(mut self, hooks: impl BrokerHooks) -> Self {
        self.hooks = Some(Hooks(Arc::new(hooks)));
        self
    }

    /// Sets the number of threads that run the [hooks](Self::hooks). 0 counts as 1. Default: the number of cores,
    /// at least 2.
    pub fn hook_threads(mut self, threads: usize) -> Self {
        self.hook_threads = Some(threads);
        self
    }

    /// Sets how long a call may wait for the [hooks](Self::hooks) before it ends with INTERNAL. Default: 1 s.
    pub fn hook_timeout(mut self, timeout: Duration) -> Self {
        self.hook_timeout = timeout;
        self
    }

    /// Encrypts connections over tcp and ipc with CURVE, and accepts only connections with keys that `curve` allows.
    /// Peers without CURVE then cannot connect. Default: no encryption; every peer that reaches the endpoints may
    /// connect.
    pub fn curve(mut self, curve: CurveServer) -> Self {
        self.curve = Some(curve);
        self
    }

    /// Sets whether the broker may bind endpoints that other machines can reach without [`curve`](Self::curve). If
    /// `false`, the broker does not start with such an endpoint. Default: `false`.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.insecure = insecure;
        self
    }

    /// Sets how often the broker sends a heartbeat and expects one. A peer may ask for a longer interval. Default: 1 s.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.heartbeat = clock::span(interval);
        self
    }

    /// Sets after how many intervals without a heartbeat a peer counts as lost. 0 counts as 1. Default: 3.
    pub fn liveness(mut self, intervals: u8) -> Self {
        self.config.liveness = intervals.max(1);
        self
    }

    /// Sets whether a call for a service without any worker waits for one: for up to 5 s, or
    /// [`unserved_wait`](Self::unserved_wait). If `false`, the call ends with UNAVAILABLE at once. Default: `true`.
    pub fn wait_for_worker(mut self, wait: bool) -> Self {
        self.config.unserved_wait =
            if wait { core::Config::default().unserved_wait } else { mdp_protocol::Span::ZERO };
        self
    }

    /// Sets how long a call for a service without any worker waits for one, at most until shortly before its deadline
    /// (`Call::timeout`). Default: 5 s.
    pub fn unserved_wait(mut self, wait: Duration) -> Self {
        self.config.unserved_wait = clock::span(wait);
        self
    }

    /// Sets how long a worker may keep a slot after its call's deadline, before the slot is given to another call.
    /// Default: 1 s.
    pub fn overrun(mut self, overrun: Duration) -> Self {
        self.config.overrun = clock::span(overrun);
        self
    }

    /// Sets whether the broker refuses calls that would wait too long for a worker to end before their deadline. Such a
    /// call ends at once with RESOURCE_EXHAUSTED, the reason `OVERLOADED`, and a
    /// [`RetryInfo`](mdp_call::codec::details::RetryInfo); no handler was started. The broker learns how fast the calls of a
    /// service are served and how long each method takes (`docs/wire.md` R106). If `false`, a call waits until its
    /// deadline, and an overloaded service ends most calls too late. Default: `true`.
    pub fn admission(mut self, admission: bool) -> Self {
        self.config.admission = admission;
        self
    }

    /// Sets how long a request of a classic client waits for a worker (RFC 7 and RFC 18, "Client"). Default: 30 s.
    pub fn classic_queue_expiry(mut self, wait: Duration) -> Self {
        self.config.classic.queue_expiry = clock::span(wait);
        self
    }

    /// Sets how long a worker may take for a raw request of a classic client (MDP/0.1 or MDP/0.2). When the broker gives
    /// the request to another worker, the time begins again. When the time is over, the broker ends the call, and the
    /// client gets no answer: classic MDP has no message for a failure (`docs/wire.md` R89). Default: 10 min.
    pub fn classic_run_timeout(mut self, timeout: Duration) -> Self {
        self.config.classic.run_timeout = clock::span(timeout);
        self
    }

    /// Sets how long a classic worker without a request may be silent before it counts as lost. Default: 10 s.
    pub fn classic_idle_expiry(mut self, silence: Duration) -> Self {
        self.config.classic.idle_expiry = clock::span(silence);
        self
    }

    /// Sets how long a classic worker with a request may be silent, and how long it may hold a request after the caller
    /// has gone. The default is long because many classic workers cannot send anything while they work. Default: 60 s.
    pub fn classic_busy_expiry(mut self, silence: Duration) -> Self {
        self.config.classic.busy_expiry = clock::span(silence);
        self
    }

    /// Sets whether a request of a classic client goes to another worker after its worker is lost. RFC 7 assumes that a
    /// repeated request does no harm. Default: `true`.
    pub fn classic_redispatch(mut self, redispatch: bool) -> Self {
        self.config.classic.redispatch = redispatch;
        self
    }

    /// Sets whether, without a policy, every peer may drain workers or the broker, as `mdp drain` does. With a policy,
    /// the peer needs the right `drain` of the [`Policy`], regardless of this setting. Default: `false`.
    pub fn allow_drain(mut self, allow: bool) -> Self {
        self.config.drain.anybody = allow;
        self
    }

    /// Sets how long calls may still run when a peer drains the broker; see [`allow_drain`](Self::allow_drain).
    /// Default: 10 s.
    pub fn drain_grace(mut self, grace: Duration) -> Self {
        self.config.drain.grace = clock::span(grace);
        self
    }

    /// Sets the limits; see [`Limits`] for each limit and its default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// Binds the endpoints and starts the broker's thread.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid, cannot be bound or is [insecure](Self::insecure), the policy file cannot be used, libzmq
    /// has no CURVE, or the thread or its sockets cannot be made.
    pub fn start(self) -> Result<Broker, BindError> {
        endpoint::check_all(&self.endpoints)?;
        if !self.insecure
            && self.curve.is_none()
            && let Some(endpoint) = endpoint::open_to_others(&self.endpoints)
        {
            return Err(BindError::Insecure { endpoint: endpoint.clone() });
        }
        let context = self.context.unwrap_or_else(|| Context::global().clone());
        let mut config = self.config;
        config.seed = clock::seed();
        let policy = match &self.policy_file {
            Some(path) => Some(Policy::read(path)?),
            None => self.policy,
        };
        if let (Some(policy), Some(curve)) = (&policy, &self.curve) {
            policy.admit(curve.allowed());
        }
        config.policy = policy.map(|policy| policy.core);
        // With a smaller window, receivers may wait for more before they return credit (wire.md R71).
        config.limits.window = config.limits.window.max(LEAST_WINDOW);
        let (threads, timeout) = (self.hook_threads, self.hook_timeout);
        let hooks = self.hooks.map(|Hooks(hooks)| hook_pool::Settings { hooks, threads, timeout });
        if let Some(hooks) = &hooks {
            config.hooks = hooks.config();
        }
        let (waker, wakeups) = Waker::new(&context).map_err(BindError::Socket)?;
        let waker = Arc::new(waker);
        let curve = self.curve;
        let secured = curve.as_ref().map(|curve| secure(curve, &context, &waker)).transpose()?;
        let (commands, inbox) = mpsc::channel();
        let line = Line { commands, waker };
        let (finished, done) = watch::channel(None);
        let hook_pool = match hooks {
            Some(hooks) => {
                let hook_pool = HookPool::start(hooks, &config.limits, line.clone());
                Some(hook_pool.map_err(BindError::Thread)?)
            }
            None => None,
        };
        let waker = Arc::clone(&line.waker);
        let queue_spans = QueueSpans::new(self.queue_spans, &config.limits);
        let driver = BrokerDriver::bind(
            &context,
            config,
            &self.endpoints,
            secured,
            hook_pool,
            waker,
            wakeups,
        )?;
        let driver = driver.with_queue_spans(queue_spans);
        let endpoints = driver.endpoints().to_vec();
        let run = move || driver.run(&inbox);
        let ended = move |end: Result<_, _>| {
            let end = end.unwrap_or(Err(BrokerFailure::Panicked));
            let _ = finished.send(Some(end)); // nobody may be waiting
        };
        let thread = ends::thread("mdp-broker", run, ended).map_err(BindError::Thread)?;
        match &curve {
            Some(curve) => {
                tracing::info!(?endpoints, public_key = %curve.public_key(), "broker started");
            }
            None => tracing::info!(?endpoints, "broker started"),
        }
        let thread = Some(thread);
        let mut broker = Broker { endpoints, line, watch: None, done, curve, thread };
        if let Some(path) = &self.policy_file {
            let (line, curve) = (broker.line.clone(), broker.curve.clone());
            let failed = line.clone();
            let ended = move || {
                failed.tell(BrokerCommand::Failed(BrokerFailure::Thread { name: policy::WATCH }));
            };
            let take = move |policy| enforce(policy, curve.as_ref(), &line);
            let watch = Watch::start(path, take, ended);
            broker.watch = Some(watch.map_err(BindError::Thread)?);
        }
        Ok(broker)
    }
}

/// Puts a policy in force, for new connections and for the messages of existing ones.
fn enforce(policy: Policy, curve: Option<&CurveServer>, line: &Line) {
    if let Some(curve) = curve {
        policy.admit(curve.allowed());
    }
    line.tell(BrokerCommand::Policy(policy));
}

/// Prepares CURVE before the socket is made: the ZAP handler must exist first.
fn secure<'a>(
    curve: &'a CurveServer,
    context: &Context,
    waker: &Arc<Waker>,
) -> Result<(&'a KeyPair, Registration), BindError> {
    curve.check(context.has_curve())?;
    let waker = Arc::clone(waker);
    let registration = Registration::new(context, curve.allowed().clone(), move || waker.wake());
    let registration = registration.map_err(|failed| match failed {
        NoHandler::Socket(error) => BindError::Authenticator(error),
        NoHandler::Thread(error) => BindError::Thread(error),
    })?;
    Ok((curve.keys(), registration))
}
