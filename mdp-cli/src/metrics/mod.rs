//! Serves `/metrics`, `/healthz` and `/readyz` over HTTP, for `mdp broker --metrics`.

mod kept;
mod server;

use std::net::SocketAddr;

use anyhow::Context;
use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, body::Body};
use mdp_runtime::{Monitor, metrics};
use tokio::net::TcpListener;

use kept::Kept;
use server::{Bounds, Response};

/// Binds the address. Returns the actual address, and a future that serves requests while it is polled.
pub(crate) async fn serve(
    address: SocketAddr,
    monitor: Monitor,
) -> anyhow::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen at {address} for --metrics"))?;
    let address = listener.local_addr().context("--metrics")?;
    let (kept, asks) = Kept::new(move || {
        let monitor = monitor.clone();
        async move { monitor.report().await }
    });
    let answer = move |request: Request<_>| {
        let kept = kept.clone();
        async move { answer(&request, &kept).await }
    };
    let serves = server::run(listener, Bounds::of_process(), answer);
    // Neither future ends.
    let both = async move {
        tokio::select! { () = serves => {} () = asks => {} }
    };
    Ok((address, both))
}

/// The answer to one request. No path takes a request body.
async fn answer<B: Body>(request: &Request<B>, kept: &Kept) -> Response {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if !request.body().is_end_stream() {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here\n");
    }
    let answers = match request.uri().path() {
        "/metrics" => counters,
        "/healthz" => healthy,
        "/readyz" => ready,
        _ => return text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    };
    match kept.get().await {
        Some(told) => answers(&told),
        None => text(StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer\n"),
    }
}

/// Returns the counters.
fn counters(told: &kept::Told) -> Response {
    let mut response = server::response(StatusCode::OK, told.prometheus());
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The broker's thread answers.
fn healthy(_: &kept::Told) -> Response {
    text(StatusCode::OK, "ok\n")
}

/// The broker answers and accepts new calls.
fn ready(told: &kept::Told) -> Response {
    match told.is_draining() {
        true => {
            let why = "the broker takes no new calls: it is shutting down\n";
            text(StatusCode::SERVICE_UNAVAILABLE, why)
        }
        false => text(StatusCode::OK, "ok\n"),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    let mut response = server::response(status, text.into());
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
