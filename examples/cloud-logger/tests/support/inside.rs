//! The parts within the test's process, and programs that log there.

#![allow(dead_code, clippy::unwrap_used)] // each test uses its part of it

use std::time::Duration;

use example_cloud_logger::buffer::Bounds;
use example_cloud_logger::pb::view_client::ViewClient;
use example_cloud_logger::pb::{Event, Field, QueryRequest};
use example_cloud_logger::{CloudLogger, Guard, parts};
use mdp_runtime::{Broker, Client, Interceptor, Next, Reply, Request, Status, Worker};
use tracing::Dispatch;
use tracing_subscriber::prelude::*;

/// What is waited for comes much sooner, or never.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A broker, a logger worker and a viewer's client.
pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) endpoint: String,
    _parts: (Broker, Worker),
    pub(crate) client: Client,
}

impl World {
    pub(crate) async fn new(around: impl Interceptor) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = format!("ipc://{}", folder.path().join("broker").display());
        let broker = parts::broker(&endpoint).unwrap();
        let database = folder.path().join("log.db");
        let (worker, _) = parts::logger(&endpoint, "logger", &database, 100_000).unwrap();
        let worker = worker.intercept(around).start().unwrap();
        worker.connected().await.unwrap();
        let client = parts::client(&endpoint).open().await.unwrap();
        World { _folder: folder, endpoint, _parts: (broker, worker), client }
    }

    pub(crate) fn program(&self, bounds: Bounds) -> (Dispatch, Guard) {
        let logger = CloudLogger::new("test").bounds(bounds);
        let (layer, guard) = logger.start(parts::client(&self.endpoint)).unwrap();
        (tracing_subscriber::registry().with(layer).into(), guard)
    }

    /// What is stored when a program has logged something.
    pub(crate) async fn logged(&self, what: impl FnOnce()) -> Vec<Event> {
        let (dispatch, guard) = self.program(Bounds::default());
        tracing::dispatcher::with_default(&dispatch, what);
        end(guard).await;
        self.events().await
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        let request = QueryRequest { limit: 1_000, ..QueryRequest::default() };
        let page = ViewClient::new(self.client.clone()).query(request).await.unwrap();
        page.records.into_iter().map(|record| record.event.unwrap()).collect()
    }
}

pub(crate) async fn end(guard: Guard) {
    tokio::task::spawn_blocking(move || guard.shutdown(LONG)).await.unwrap().unwrap();
}

/// Passes everything on.
pub(crate) struct Plain;

impl Interceptor for Plain {
    async fn call(&self, request: Request, next: Next) -> Result<Reply, Status> {
        next.call(request).await
    }
}

pub(crate) fn pairs(fields: &[Field]) -> Vec<(&str, &str)> {
    fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect()
}
