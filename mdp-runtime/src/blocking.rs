//! A client for programs without tokio.
//!
//! [`blocking::Client`](Client) is a connection with its own thread, on which all async work runs. Clients of services
//! are made from the connection's [`handle`](Client::handle), and their calls end in [`wait`](crate::Call::wait) in
//! place of `.await`.
//!
//! ```
//! # use mdp_runtime::{Broker, MdpRecord, Status, Worker, mdp_service};
//! # #[derive(MdpRecord, Clone, Debug, PartialEq)]
//! # pub struct Greeting {
//! #     #[mdp(1)]
//! #     pub text: String,
//! # }
//! # #[mdp_service(package = "greet.v1")]
//! # pub trait Greeter {
//! #     async fn greet(&self, req: Greeting) -> Result<Greeting, Status>;
//! # }
//! # struct Polite;
//! # impl Greeter for Polite {
//! #     async fn greet(&self, req: Greeting) -> Result<Greeting, Status> {
//! #         Ok(Greeting { text: format!("Good day, {}.", req.text) })
//! #     }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
//! # let endpoint = &broker.endpoints()[0];
//! # let tokio = tokio::runtime::Runtime::new()?;
//! # let entered = tokio.enter();
//! # let _worker = Worker::builder().connect(endpoint).serve(GreeterWorker::new(Polite)).start()?;
//! # drop(entered);
//! use std::time::Duration;
//! use mdp_runtime::blocking::Client;
//!
//! let client = Client::connect(endpoint)?;
//! let greeter = GreeterClient::new(client.handle());
//! let reply = greeter.greet(Greeting { text: "Ann".into() }).timeout(Duration::from_secs(3)).wait()?;
//! assert_eq!(reply.text, "Good day, Ann.");
//! client.shutdown(Duration::from_secs(1));
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::call::{TypedMessage, current};
use crate::client;
use crate::error::ConnectError;
use mdp_call::status::Status;
use mdp_transport::ends;

/// More units of work than tokio lets a task do before the task must yield.
const BUDGET: usize = 1024;

/// A connection to a broker for code that is not async, for any number of calls and threads at once.
///
/// Cloning is cheap and gives another handle on the same connection. Each connection has its own thread, so connections
/// do not delay each other's calls. The thread ends with the connection: after the last handle is dropped, or after
/// [`shutdown`](Self::shutdown).
#[derive(Clone, Debug)]
pub struct Client {
    client: client::Client,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Client {
    /// Connects to a broker and waits for the broker's WELCOME, for up to 5 s.
    ///
    /// # Errors
    ///
    /// The endpoint is invalid, no broker answered, the client's thread could not be started, or the caller is async
    /// code.
    pub fn connect(endpoint: impl Into<String>) -> Result<Client, ConnectError> {
        Client::builder().connect(endpoint).open_blocking()
    }

    /// Returns a builder for the settings of a client; [`open_blocking`](client::ClientBuilder::open_blocking) makes
    /// the client.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use mdp_runtime::blocking::Client;
    ///
    /// let client = Client::builder()
    ///     .connect("tcp://127.0.0.1:5555")
    ///     .timeout(Duration::from_secs(2))
    ///     .open_blocking()?;
    /// # Ok::<(), mdp_runtime::ConnectError>(())
    /// ```
    pub fn builder() -> client::ClientBuilder {
        client::Client::builder()
    }

    /// Returns the same connection for generated clients, as in `AuthClient::new(client.handle())`, and for async code.
    pub fn handle(&self) -> client::Client {
        self.client.clone()
    }

    /// Waits up to `grace` for running calls, ends the remaining ones with CANCELLED, closes the connection for all
    /// handles, and ends the connection's thread. Later calls end with CANCELLED.
    ///
    /// In async code this blocks the calling thread; use the async `shutdown` of the [`handle`](Self::handle) there.
    pub fn shutdown(&self, grace: Duration) {
        self.client.close(grace);
        // A second caller waits for the lock until the first has joined the thread.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // An error means that the thread panicked, so it has ended too.
            let _ = thread.join();
        }
    }

    /// Runs the driver of a client on its own thread.
    pub(crate) fn spawn(
        client: client::Client,
        driver: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Client> {
        let (ready, built) = mpsc::sync_channel(1);
        // The runtime is made on the thread that drops it: async code must not drop a runtime if no thread starts.
        let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(tokio) => {
                drop(ready.send(Ok(())));
                tokio.block_on(driver);
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        // A panic of the driver is logged by the driver's own task.
        let thread = ends::thread("mdp-client", run, drop)?;
        built.recv().map_err(io::Error::other)??;
        Ok(Client { client, thread: Arc::new(Mutex::new(Some(thread))) })
    }
}

/// The replies of a call, in order. The iterator blocks until the next reply arrives or the call ends. In async code
/// each step returns FAILED_PRECONDITION. See [`Call::wait`](client::Call::wait).
#[derive(Debug)]
pub struct Streaming<T> {
    inner: crate::Streaming<T>,
}

impl<T> Streaming<T> {
    pub(crate) fn new(inner: crate::Streaming<T>) -> Self {
        Streaming { inner }
    }

    /// Returns the stream, for async code.
    pub fn into_inner(self) -> crate::Streaming<T> {
        self.inner
    }
}

impl<T: TypedMessage> Iterator for Streaming<T> {
    type Item = Result<T, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(status) = check(self.inner.method().path) {
            return Some(Err(status));
        }
        block_on(self.inner.message(), None)?.transpose()
    }
}

/// Checks that this thread may block.
///
/// # Errors
///
/// FAILED_PRECONDITION: the thread runs async code.
pub(crate) fn check(method: &str) -> Result<(), Status> {
    if !in_async_code() {
        return Ok(());
    }
    let status = Status::failed_precondition(
        "`wait` would block the thread of async code; `.await` the call, or use `spawn_blocking`",
    );
    Err(status.with_not_started(true).with_method(method))
}

/// The error of a call whose client did not run, not even to end the call at its deadline.
pub(crate) fn no_client(method: &str) -> Status {
    Status::deadline_exceeded("the client does not run; does its runtime?").with_method(method)
}

/// Whether this thread runs async code now, so that blocking would delay the other tasks of the thread.
pub(crate) fn in_async_code() -> bool {
    if current::is_polled() {
        return true;
    }
    if tokio::runtime::Handle::try_current().is_err() {
        return false;
    }
    // tokio has no query for this, and panics where it checks by itself. But async code has a budget, and code that may
    // block has none: `spawn_blocking`, `block_in_place`, a thread that only entered a runtime. Spending the budget
    // affects only code that made this mistake.
    let mut cx = Context::from_waker(Waker::noop());
    (0..BUDGET).any(|_| pin!(tokio::task::consume_budget()).poll(&mut cx).is_pending())
}

/// Polls a future on this thread until the future is ready, or until the given moment.
pub(crate) fn block_on<F: Future>(future: F, until: Option<Instant>) -> Option<F::Output> {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        if !bell.wait(until) {
            return None;
        }
    }
}

/// Wakes a thread. `thread::park` would disturb callers that park the same thread themselves.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// `false`: the bell did not ring in time.
    fn wait(&self, until: Option<Instant>) -> bool {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            let Some(until) = until else {
                rung = self.changed.wait(rung).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(rung, left);
            rung = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *rung = false;
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}
