//! SIGINT and SIGTERM: please stop.

/// Waits until the process is asked to stop. Where signals cannot be listened to, waits for ever.
///
/// ```no_run
/// # async fn doc(broker: mdp_runtime::Broker) {
/// mdp_runtime::stop_asked().await;
/// broker.shutdown(std::time::Duration::from_secs(10)).await;
/// # }
/// ```
pub async fn stop_asked() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate() => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}
