//! Shutdown signals: SIGINT and SIGTERM ask a program to stop.
//!
//! One thread in the process receives the signals. It records the time of each signal even when the program is busy.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::sync::watch;

use mdp_transport::ends;

/// Signals within this time count as one. `timeout(1)` sends each signal twice, to its child and to the child's process
/// group. A terminal and a supervisor may both send a signal.
const TOGETHER: Duration = Duration::from_millis(500);

/// Waits until SIGINT or SIGTERM asks the process to stop. Listening starts with the call, before the future is
/// awaited. If the process cannot listen for signals, the future waits for ever.
///
/// A second signal, more than 0.5 s after the first, ends the process at once; see [`ShutdownSignals`].
///
/// ```no_run
/// # async fn doc(broker: mdp_runtime::Broker) {
/// mdp_runtime::shutdown_signal().await;
/// broker.shutdown(std::time::Duration::from_secs(10)).await;
/// # }
/// ```
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    let signals = ShutdownSignals::listen();
    async move {
        match signals {
            Ok(mut signals) => signals.recv().await,
            Err(error) => {
                tracing::error!(%error, "cannot listen for SIGINT and SIGTERM");
                std::future::pending().await
            }
        }
    }
}

/// Listens for SIGINT and SIGTERM, from the moment the value is made. All listeners of a process receive each signal.
///
/// - Signals within 0.5 s count as one. For instance, `timeout(1)` sends each signal twice.
/// - If no listener has received a signal yet, the next new listener receives that signal. So a program that makes a
///   listener in its first statement misses no signal, and its [`Worker::run`](crate::Worker) ends at once. Process 1
///   of a container needs this: the kernel drops a signal that process 1 does not listen for.
/// - From the second signal on, a signal may have its default effect, which ends the process at once. This happens if
///   no listener is left, or if no listener has received the previous signal. So a program that hangs while it stops
///   can be ended.
/// - If no listener is left, the first signal waits for the next listener.
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
    /// Starts to listen. Works outside of a tokio runtime, too.
    ///
    /// # Errors
    ///
    /// The system does not allow the process to listen, or to start a thread.
    pub fn listen() -> io::Result<Self> {
        static PROCESS: Mutex<Option<Arc<Heard>>> = Mutex::new(None);
        let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heard) = &*process {
            return Ok(heard.listener());
        }
        let heard = Arc::new(Heard::default());
        // The listener exists before the first signal can arrive.
        let listener = heard.listener();
        let signals = Signals::new([SIGINT, SIGTERM])?;
        let hears = Arc::clone(&heard);
        let hear = move || {
            let mut signals = signals;
            // This wakes the listeners. If a listener's code panics, the process must still receive its signals.
            while let Err(panicked) = ends::catch(|| hear(&mut signals, &hears)) {
                let words = panicked.words();
                ends::say(|| tracing::error!(words, "a listener for signals panicked"));
            }
        };
        ends::thread("mdp-signals", hear, drop)?;
        *process = Some(heard);
        Ok(listener)
    }

    /// Waits for the next signal. Cancel safe: dropping the future loses no signal.
    pub async fn recv(&mut self) {
        let seen = self.seen;
        match self.count.wait_for(|count| *count > seen).await.map(|count| *count) {
            Ok(count) => {
                self.seen = count;
                self.heard.received.fetch_max(count, Ordering::Relaxed);
            }
            // The sender is gone. This cannot happen while `heard` exists.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Runs on the thread: receives the signals and reports them to the listeners.
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

/// Ends the process with the default effect of the signal.
fn end(signal: i32) {
    // Process 1 has no default effect of signals.
    if std::process::id() == 1 {
        std::process::exit(128 + signal);
    }
    // This call does not return.
    let _ = emulate_default_handler(signal);
}

/// The signals that the process has received.
#[derive(Debug)]
struct Heard {
    /// The number of signals.
    count: watch::Sender<u64>,
    /// The number of the last signal that a listener has received.
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

    /// Reports a signal to all listeners. `false`: the signal must end the process.
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

    /// Whether a signal is ready for this listener.
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
