//! Shutdown signals: SIGINT and SIGTERM ask a program to stop.
//!
//! A thread of its own, one in a process, hears the signals and knows when each one came, however busy the program is.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::watch;

use mdp_transport::ends;

/// Signals within this time count as one. `timeout(1)` sends each signal twice, to its child and to the child's group; a
/// terminal and a supervisor may both send one.
const TOGETHER: Duration = Duration::from_millis(500);

/// Waits until the process is asked to stop, by SIGINT or SIGTERM. It listens from the call on, not only when it is
/// awaited. Where signals cannot be listened to, it waits for ever.
///
/// Another signal, more than 0.5 s after the first, ends the process at once; see [`ShutdownSignals`].
///
/// ```no_run
/// # async fn doc(broker: mdp_runtime::Broker) {
/// mdp_runtime::stop_asked().await;
/// broker.shutdown(std::time::Duration::from_secs(10)).await;
/// # }
/// ```
pub fn stop_asked() -> impl Future<Output = ()> + Send + 'static {
    let signals = ShutdownSignals::listen();
    async move {
        match signals {
            Ok(mut signals) => signals.recv().await,
            Err(error) => {
                tracing::error!(%error, "SIGINT and SIGTERM cannot be listened to");
                std::future::pending().await
            }
        }
    }
}

/// Listens to SIGINT and SIGTERM, from when it is made. All listeners of a process hear each signal.
///
/// - Signals within 0.5 s count as one: `timeout(1)`, for instance, sends each one twice.
/// - A signal that no listener has received yet is received by the next one that is made. So a program that makes one as
///   its first statement misses no signal, and [`Worker::run`](crate::Worker) of it ends at once. Process 1 of a container
///   needs this: the kernel drops a signal for it that it does not listen to.
/// - From the second signal on: a signal does what it does by default, which is to end the process at once, if no
///   listener is left, or if none has received the signal before it. So a program that hangs while it stops can be ended.
/// - The first signal waits for the next listener if none is left.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use mdp_runtime::{Broker, ShutdownSignals};
///
/// let mut signals = ShutdownSignals::listen()?;
/// let broker = Broker::builder().bind("tcp://127.0.0.1:5555").start()?;
/// signals.recv().await;
/// tokio::select! {
///     () = broker.shutdown(Duration::from_secs(10)) => {}
///     () = signals.recv() => println!("stopped at once by a second signal"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ShutdownSignals {
    heard: Arc<Heard>,
    count: watch::Receiver<u64>,
    seen: u64,
}

impl ShutdownSignals {
    /// Begins to listen. Works outside of a tokio runtime, too.
    ///
    /// # Errors
    ///
    /// The system does not let the process listen, or start a thread.
    pub fn listen() -> io::Result<Self> {
        static PROCESS: Mutex<Option<Arc<Heard>>> = Mutex::new(None);
        let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heard) = &*process {
            return Ok(heard.listener());
        }
        let heard = Arc::new(Heard::default());
        // Before the first signal can come.
        let listener = heard.listener();
        let signals = Signals::new([SIGINT, SIGTERM])?;
        let hears = Arc::clone(&heard);
        let hear = move || {
            let mut signals = signals;
            // Who listens is woken here: a panic of theirs must not cost the process its signals.
            while let Err(panicked) = ends::catch(|| hear(&mut signals, &hears)) {
                let words = panicked.words();
                ends::say(|| tracing::error!(words, "who listens to signals panicked"));
            }
        };
        ends::thread("mdp-signals", hear, drop)?;
        *process = Some(heard);
        Ok(listener)
    }

    /// Waits for the next signal. Cancel safe: dropping the future loses none.
    pub async fn recv(&mut self) {
        let seen = self.seen;
        match self.count.wait_for(|count| *count > seen).await.map(|count| *count) {
            Ok(count) => {
                self.seen = count;
                self.heard.received.fetch_max(count, Ordering::Relaxed);
            }
            // The sender is gone, which is not so while `heard` is there.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The thread.
fn hear(signals: &mut Signals, heard: &Heard) {
    let mut last = None;
    for signal in signals.forever() {
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < TOGETHER) {
            continue;
        }
        last = Some(now);
        if !heard.tell() {
            end(signal);
        }
    }
}

/// Ends the process as the signal does by default.
fn end(signal: i32) {
    // Process 1 has no default action.
    if std::process::id() == 1 {
        std::process::exit(128 + signal);
    }
    // Does not come back.
    let _ = emulate_default_handler(signal);
}

/// What the process has heard.
#[derive(Debug)]
struct Heard {
    /// How many signals have come.
    count: watch::Sender<u64>,
    /// The last one of them that a listener has received.
    received: AtomicU64,
}

impl Default for Heard {
    fn default() -> Self {
        Heard { count: watch::Sender::new(0), received: AtomicU64::new(0) }
    }
}

impl Heard {
    fn listener(self: &Arc<Self>) -> ShutdownSignals {
        let seen = self.received.load(Ordering::Relaxed);
        ShutdownSignals { heard: Arc::clone(self), count: self.count.subscribe(), seen }
    }

    /// Tells all listeners of a signal. `false`: it is to end the process.
    fn tell(&self) -> bool {
        let before = *self.count.borrow();
        let nobody = self.count.receiver_count() == 0;
        if before > 0 && (nobody || self.received.load(Ordering::Relaxed) < before) {
            return false;
        }
        self.count.send_replace(before + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether a signal is there for it.
    fn has(listener: &mut ShutdownSignals) -> bool {
        let recv = std::pin::pin!(listener.recv());
        recv.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn each_listener_hears_each_signal() {
        let heard = Arc::new(Heard::default());
        let (mut one, mut other) = (heard.listener(), heard.listener());
        assert!(!has(&mut one));
        assert!(heard.tell());
        assert!(has(&mut one) && !has(&mut one));
        assert!(heard.tell(), "one listener has received the first");
        assert!(has(&mut one) && has(&mut other) && !has(&mut other));
    }

    #[test]
    fn a_signal_that_nobody_received_is_for_the_next_listener() {
        let heard = Arc::new(Heard::default());
        drop(heard.listener());
        assert!(heard.tell(), "the first one ends nothing");
        let mut later = heard.listener();
        assert!(has(&mut later));
        assert!(!has(&mut heard.listener()), "it was received");
    }

    #[test]
    fn a_second_signal_ends_a_program_that_does_not_listen() {
        let heard = Arc::new(Heard::default());
        let mut listener = heard.listener();
        assert!(heard.tell());
        assert!(has(&mut listener));
        drop(listener);
        assert!(!heard.tell(), "no listener is left");
        let hangs = heard.listener();
        assert!(heard.tell(), "it may still receive it");
        assert!(!heard.tell(), "it did not receive the one before");
        drop(hangs);
    }
}
