//! What `mdp broker --metrics` serves over HTTP: `/metrics`, `/healthz`, `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mdp_runtime::{Monitor, metrics};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// For so long an answer is given again: whoever asks often must not keep the broker's thread busy.
const FRESH: Duration = Duration::from_millis(250);

/// What was told last, and when.
type Last = Option<(Instant, String)>;

#[derive(Clone)]
struct Source {
    monitor: Monitor,
    last: Arc<Mutex<Last>>,
}

/// Serves until the program ends. Gives the address that it took.
pub(crate) async fn serve(address: SocketAddr, monitor: Monitor) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen at {address} for --metrics"))?;
    let address = listener.local_addr().context("--metrics")?;
    let source = Source { monitor, last: Arc::default() };
    let router = Router::new()
        .route("/metrics", get(told))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .with_state(source);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "metrics are served no more");
        }
    });
    Ok(address)
}

async fn told(State(source): State<Source>) -> Response {
    let mut last = source.last.lock().await;
    if last.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH) {
        *last = source.monitor.prometheus().await.map(|text| (Instant::now(), text));
    }
    match &*last {
        Some((_, text)) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text.clone()).into_response(),
        None => gone(),
    }
}

/// The broker's thread answers.
async fn healthy(State(source): State<Source>) -> Response {
    match source.monitor.report().await {
        Some(_) => "ok\n".into_response(),
        None => gone(),
    }
}

/// It answers, and takes new calls.
async fn ready(State(source): State<Source>) -> Response {
    match source.monitor.report().await {
        Some(report) if report.draining => {
            (StatusCode::SERVICE_UNAVAILABLE, "the broker takes no new calls: it is to end\n")
                .into_response()
        }
        Some(_) => "ok\n".into_response(),
        None => gone(),
    }
}

fn gone() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer\n").into_response()
}
