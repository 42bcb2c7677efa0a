//! Signals: SIGINT and SIGTERM stop a command, SIGHUP makes a broker read its policy again, other signals are ignored.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use mdp_runtime::{ShutdownSignals, ends};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The time limit for a command that shows output to end, after it is asked to stop.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Whether SIGINT and SIGTERM end process 1 at once, until [`Stop`] listens.
static DEFAULT_ACTION: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Makes SIGINT and SIGTERM end the process if it is process 1 of a container. The kernel would otherwise drop these
/// signals for process 1 while it does not listen for them.
pub(crate) fn end_process_one() -> io::Result<()> {
    if std::process::id() != 1 {
        return Ok(());
    }
    let in_force = DEFAULT_ACTION.get_or_init(|| Arc::new(AtomicBool::new(true)));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(in_force))?;
    }
    Ok(())
}

/// Receives SIGINT and SIGTERM. Signals within 0.5 s count as one.
pub(crate) struct Stop(ShutdownSignals);

impl Stop {
    /// Starts to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = ShutdownSignals::listen()?;
        if let Some(in_force) = DEFAULT_ACTION.get() {
            in_force.store(false, Ordering::SeqCst);
        }
        Ok(Stop(signals))
    }

    /// Like [`listen`](Self::listen), for a command that shows output and has nothing to finish. The process ends 1 s
    /// after the first signal, even if the reader of its output is blocked.
    pub(crate) fn listen_and_end() -> io::Result<Self> {
        let stop = Stop::listen()?;
        let mut heard = Stop::listen()?;
        let waits = tokio::runtime::Builder::new_current_thread().build()?;
        let run = move || {
            waits.block_on(heard.asked());
            thread::sleep(ENDS_WITHIN);
        };
        // This runs after a panic, too, because otherwise no signal would end the process.
        ends::thread("mdp-end", run, |_| std::process::exit(1))?;
        Ok(stop)
    }

    /// Waits for the next signal.
    pub(crate) async fn asked(&mut self) {
        self.0.recv().await;
    }
}

/// Receives SIGHUP for a broker. SIGUSR1 and SIGUSR2 are ignored, because they would end the process by default. Rust's
/// runtime ignores SIGPIPE.
pub(crate) struct Reload(Signal);

impl Reload {
    /// Starts to listen. Must be called within a tokio runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        for ignored in [SIGUSR1, SIGUSR2] {
            flag::register(ignored, Arc::new(AtomicBool::new(false)))?;
        }
        Ok(Reload(signal(SignalKind::hangup())?))
    }

    /// Waits for the next SIGHUP.
    pub(crate) async fn asked(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
