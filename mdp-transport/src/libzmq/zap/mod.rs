//! The ZAP handler (RFC 27) of a ZeroMQ context: it decides which keys a server accepts.
//!
//! Each context has one handler on a thread of its own, while a server of the context has a domain there. The handler
//! is bound before a server can get a domain, so no server runs without it. If the handler's thread ends, libzmq
//! accepts no peer (ZMQ_ZAP_ENFORCE_DOMAIN), and the servers are notified.

mod request;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use request::{Question, Refusal, Verdict};

use super::context::Context;
use super::error::admitting;
use crate::ends;
use crate::error::NoHandler;
use crate::log_limit::LogLimit;
use crate::security::AllowList;

const ENDPOINT: &str = "inproc://zeromq.zap.01";
/// Maximum number of requests that are answered before the handler checks whether it must end.
const BURST: usize = 256;
/// The maximum time that a previous handler may take to release the endpoint.
const PATIENCE: Duration = Duration::from_secs(2);
/// The shortest time between two log lines about refused peers.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// The reference to its handler that a context keeps.
pub(crate) type Place = Arc<Mutex<Weak<Handler>>>;

/// A running handler. It ends when its last registration is dropped.
pub(crate) struct Handler {
    shared: Arc<Shared>,
    stop: Mutex<Option<zmq::Socket>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    domains: Mutex<HashMap<String, Domain>>,
    gone: AtomicBool,
}

struct Domain {
    allowed: AllowList,
    when_gone: Box<dyn Fn() + Send>,
}

/// A server's domain at the handler. It ends when it is dropped.
pub(crate) struct Registration {
    handler: Arc<Handler>,
    domain: String,
}

impl Registration {
    /// Makes a domain in this context, and starts the context's handler if there is none. `when_gone` is called once,
    /// on the handler's thread, when that thread ends.
    pub(crate) fn new(
        context: &Context,
        allowed: AllowList,
        when_gone: impl Fn() + Send + 'static,
    ) -> Result<Self, NoHandler> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let handler = Handler::of(context)?;
        let domain = format!("mdp.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let entry = Domain { allowed, when_gone: Box::new(when_gone) };
        handler.shared.domains().insert(domain.clone(), entry);
        Ok(Registration { handler, domain })
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether the handler's thread has ended, so that no new peer can connect.
    pub(crate) fn is_gone(&self) -> bool {
        self.handler.is_gone()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.handler.shared.domains().remove(&self.domain);
    }
}

impl Handler {
    /// Returns the handler of a context, and starts it if there is none.
    fn of(context: &Context) -> Result<Arc<Self>, NoHandler> {
        let mut place = context.zap().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handler) = place.upgrade().filter(|handler| !handler.is_gone()) {
            return Ok(handler);
        }
        let handler = Arc::new(Handler::start(context)?);
        *place = Arc::downgrade(&handler);
        Ok(handler)
    }

    fn start(context: &Context) -> Result<Self, NoHandler> {
        let Sockets { router, stopped, stop } =
            Sockets::open(context).map_err(|error| NoHandler::Socket(admitting(error)))?;
        let shared = Arc::new(Shared::default());
        let end = End { shared: Arc::clone(&shared) };
        let run = move || {
            // Dropped last, so that the endpoint is free when the servers are notified.
            let end = end;
            if let Err(error) = serve(&router, &stopped, &end.shared) {
                tracing::error!(%error, "the ZAP handler failed; no new peer can connect");
            }
            // The endpoint is released at once, not when libzmq closes the socket: another handler may need it.
            let _ = router.unbind(ENDPOINT);
        };
        // `End` reports a panic.
        let thread = ends::thread("mdp-zap", run, drop);
        let thread = Some(thread.map_err(NoHandler::Thread)?);
        Ok(Handler { shared, stop: Mutex::new(Some(stop)), thread })
    }

    fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::Acquire)
    }

    /// Ends the thread, even if servers rely on it.
    pub(super) fn end(&self) {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stop) = stop {
            // The socket cannot be full: nothing else is sent on it.
            let _ = stop.send("", zmq::DONTWAIT);
        }
    }
}

/// The handler's sockets: one for answers, and a pair to stop the handler.
struct Sockets {
    router: zmq::Socket,
    stopped: zmq::Socket,
    stop: zmq::Socket,
}

impl Sockets {
    fn open(context: &Context) -> zmq::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let place = format!("inproc://mdp.zap.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let socket = |kind| {
            let socket = context.socket(kind)?;
            socket.set_linger(0)?;
            Ok::<_, zmq::Error>(socket)
        };
        let (router, stopped, stop) =
            (socket(zmq::ROUTER)?, socket(zmq::PAIR)?, socket(zmq::PAIR)?);
        // Without a limit, no reply is lost for lack of room.
        router.set_sndhwm(0)?;
        bind(&router)?;
        stopped.bind(&place)?;
        stop.connect(&place)?;
        Ok(Sockets { router, stopped, stop })
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take() {
            // The thread has logged its errors.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn domains(&self) -> MutexGuard<'_, HashMap<String, Domain>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, question: &Question<'_>) -> Verdict {
        match self.domains().get(question.domain) {
            None => Err(Refusal::Denied("the domain is not known")),
            Some(domain) if domain.allowed.allows(&question.key) => Ok(question.key),
            Some(_) => Err(Refusal::Denied("the key is not allowed")),
        }
    }
}

/// Notifies the servers when the thread ends, even by a panic.
struct End {
    shared: Arc<Shared>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Release);
        for domain in self.shared.domains().values() {
            (domain.when_gone)();
        }
    }
}

/// Binds the endpoint. A previous handler may still hold it for a moment.
fn bind(router: &zmq::Socket) -> zmq::Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        match router.bind(ENDPOINT) {
            Err(zmq::Error::EADDRINUSE) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(2));
            }
            bound => return bound,
        }
    }
}

fn serve(router: &zmq::Socket, stopped: &zmq::Socket, shared: &Shared) -> zmq::Result<()> {
    let mut log = Log::default();
    loop {
        let mut items = [router.as_poll_item(zmq::POLLIN), stopped.as_poll_item(zmq::POLLIN)];
        match zmq::poll(&mut items, -1) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error),
        }
        let [_, told] = &items;
        if told.is_readable() {
            return Ok(());
        }
        for _ in 0..BURST {
            let frames = match router.recv_multipart(zmq::DONTWAIT) {
                Ok(frames) => frames,
                Err(zmq::Error::EAGAIN) => break,
                Err(zmq::Error::EINTR) => continue,
                Err(error) => return Err(error),
            };
            let decide = |question: &Question<'_>| {
                let verdict = shared.decide(question);
                log.note(question, &verdict);
                verdict
            };
            if let Some(reply) = request::answer(&frames, decide) {
                // The asking server may be gone.
                let _ = router.send_multipart(reply, zmq::DONTWAIT);
            }
        }
    }
}

/// Logs refused peers, at most one line a second, because peers decide how many refusals there are.
struct Log(LogLimit);

impl Default for Log {
    fn default() -> Self {
        Log(LogLimit::new(BETWEEN_LINES))
    }
}

impl Log {
    fn note(&mut self, question: &Question<'_>, verdict: &Verdict) {
        let Question { domain, address, key } = question;
        let Err(refusal) = verdict else {
            return tracing::debug!(domain, address, %key, "key accepted");
        };
        if let Some(others) = self.0.pass() {
            tracing::warn!(domain, address, %key, ?refusal, others, "peer refused");
        }
    }
}
