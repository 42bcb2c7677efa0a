//! The handler of ZAP (RFC 27) of a ZeroMQ context: it says which keys a server takes.
//!
//! There is one for each context, on a thread of its own, as long as any server of the context has a domain with it.
//! It is bound before a server can take a domain, so no server runs without it. Should its thread end, libzmq
//! lets nobody in (ZMQ_ZAP_ENFORCE_DOMAIN), and the servers are told.

mod request;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use request::{Question, Refusal, Verdict};

use super::context::Runtime;
use super::error::admitting;
use crate::ends;
use crate::error::SocketError;
use crate::security::AllowList;

const ENDPOINT: &str = "inproc://zeromq.zap.01";
/// Requests that are answered before the handler looks whether it is to end.
const BURST: usize = 256;
/// How long the handler that was there before may take to give the endpoint up.
const PATIENCE: Duration = Duration::from_secs(2);
/// The shortest time between two lines of the log about peers that were refused.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// What a context keeps of its handler.
pub(crate) type Place = Arc<Mutex<Weak<Handler>>>;

/// Why there is no handler.
#[derive(Debug)]
pub enum NoHandler {
    /// Its socket failed.
    Socket(SocketError),
    /// Its thread could not be started.
    Thread(io::Error),
}

/// A running handler; the last registration ends it.
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

/// A server's domain at the handler, until it is dropped.
pub struct Registration {
    handler: Arc<Handler>,
    domain: String,
}

impl Registration {
    /// Takes a domain of its own in this context, whose handler is started if there is none. `when_gone` is called once,
    /// from the handler's thread, if that ends.
    pub fn new(
        runtime: &Runtime,
        allowed: AllowList,
        when_gone: impl Fn() + Send + 'static,
    ) -> Result<Self, NoHandler> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let handler = Handler::of(runtime)?;
        let domain = format!("mdp.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let entry = Domain { allowed, when_gone: Box::new(when_gone) };
        handler.shared.domains().insert(domain.clone(), entry);
        Ok(Registration { handler, domain })
    }

    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether the handler's thread has ended, so that nobody new can connect.
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
    /// The handler of a context.
    fn of(runtime: &Runtime) -> Result<Arc<Self>, NoHandler> {
        let mut place = runtime.zap().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handler) = place.upgrade().filter(|handler| !handler.is_gone()) {
            return Ok(handler);
        }
        let handler = Arc::new(Handler::start(runtime)?);
        *place = Arc::downgrade(&handler);
        Ok(handler)
    }

    fn start(runtime: &Runtime) -> Result<Self, NoHandler> {
        let Sockets { router, stopped, stop } =
            Sockets::open(runtime).map_err(|error| NoHandler::Socket(admitting(error)))?;
        let shared = Arc::new(Shared::default());
        let end = End { shared: Arc::clone(&shared) };
        let run = move || {
            // Dropped last: servers are told when nobody is bound any more.
            let end = end;
            if let Err(error) = serve(&router, &stopped, &end.shared) {
                tracing::error!(%error, "the handler of ZAP failed; nobody new can connect");
            }
            // At once, not when libzmq comes to close the socket: another handler may want it.
            let _ = router.unbind(ENDPOINT);
        };
        // A panic is told by `End`.
        let thread = ends::thread("mdp-zap", run, drop);
        let thread = Some(thread.map_err(NoHandler::Thread)?);
        Ok(Handler { shared, stop: Mutex::new(Some(stop)), thread })
    }

    fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::Acquire)
    }

    /// Ends the thread, whoever relies on it.
    pub(super) fn end(&self) {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stop) = stop {
            // It cannot be full: nothing else is ever sent on it.
            let _ = stop.send("", zmq::DONTWAIT);
        }
    }
}

/// The handler's sockets: the one it answers on, and a pair to stop it.
struct Sockets {
    router: zmq::Socket,
    stopped: zmq::Socket,
    stop: zmq::Socket,
}

impl Sockets {
    fn open(runtime: &Runtime) -> zmq::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let place = format!("inproc://mdp.zap.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let socket = |kind| {
            let socket = runtime.socket(kind)?;
            socket.set_linger(0)?;
            Ok::<_, zmq::Error>(socket)
        };
        let (router, stopped, stop) =
            (socket(zmq::ROUTER)?, socket(zmq::PAIR)?, socket(zmq::PAIR)?);
        // A reply must not be lost for want of room.
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
            // What it had to say is in the log.
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

/// Tells the servers when the thread ends, also by a panic.
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

/// A handler that has just ended may still hold the endpoint.
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
                // Who asked may have gone.
                let _ = router.send_multipart(reply, zmq::DONTWAIT);
            }
        }
    }
}

/// Lines about refused peers, not more than one a second: peers decide how many there would be.
#[derive(Default)]
struct Log {
    last: Option<Instant>,
    silent: u64,
}

impl Log {
    fn note(&mut self, question: &Question<'_>, verdict: &Verdict) {
        let Question { domain, address, key } = question;
        let Err(refusal) = verdict else {
            return tracing::debug!(domain, address, %key, "key accepted");
        };
        if self.last.is_some_and(|last| last.elapsed() < BETWEEN_LINES) {
            self.silent += 1;
            return;
        }
        let others = std::mem::take(&mut self.silent);
        self.last = Some(Instant::now());
        tracing::warn!(domain, address, %key, ?refusal, others, "peer refused");
    }
}
