//! Notifies systemd, if systemd has started the program with `Type=notify`; see `sd_notify(3)`.

use std::time::Duration;

use mdp_runtime::Monitor;
use sd_notify::NotifyState;

/// Reports that the broker is bound and accepts calls. With `WatchdogSec=`, returns a future that sends a heartbeat at
/// half of that time, while it is polled and the broker's thread answers.
pub(crate) fn ready(
    endpoints: &[String],
    monitor: Monitor,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let status = format!("bound to {}", endpoints.join(", "));
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
    let mut micros = 0;
    let watched = sd_notify::watchdog_enabled(false, &mut micros) && micros > 0;
    watched.then(|| watch(Duration::from_micros(micros) / 2, monitor))
}

/// Reports that the broker is shutting down.
pub(crate) fn stopping(grace: Duration) {
    let status = format!("waits for running calls, for at most {} s", grace.as_secs_f32());
    tell(&[NotifyState::Stopping, NotifyState::Status(&status)]);
}

async fn watch(every: Duration, monitor: Monitor) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        if monitor.report().await.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    // Without a supervisor the notification goes nowhere; this is not an error.
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "could not notify systemd");
    }
}
