//! A shop whose handlers call a store, over a broker of its own, with an exporter in memory for each of the four: so each is as
//! separate from the others as processes are.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // tests

mod parts;
mod shop;

/// The setup of the documentation.
///
#[doc = include_str!("../../../docs/opentelemetry.md")]
pub mod documentation {}

pub use parts::{Part, attribute, until};
pub use shop::{Shop, ShopClient, ShopWorker, Stock, StockClient, StockWorker, Store, Text, Till};

use std::sync::Arc;
use std::time::Duration;

use mdp_runtime::codegen::Service;
use mdp_runtime::{Broker, Client, Worker};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt, Tracer, TracerProvider};
use tokio::sync::Semaphore;

/// Peers that run, each with what it exports.
pub struct World {
    pub caller: Part,
    pub queue: Part,
    pub shop: Part,
    pub store: Part,
    pub broker: Broker,
    pub client: Client,
    stock: StockClient,
    /// What handlers that hold wait for.
    pub gate: Arc<Semaphore>,
    shop_worker: Option<Worker>,
    _store_worker: Worker,
}

impl World {
    pub async fn start() -> World {
        World::with(Part::recording()).await
    }

    /// With a caller of another kind.
    pub async fn with(caller: Part) -> World {
        let (queue, shop, store) = (Part::recording(), Part::recording(), Part::recording());
        let broker = Broker::builder().bind("tcp://127.0.0.1:*").telemetry(queue.telemetry());
        let broker = broker.start().unwrap();
        let endpoint = broker.endpoints().first().unwrap().clone();
        let of_shop = Client::builder().connect(&endpoint).telemetry(shop.telemetry());
        let gate = Arc::new(Semaphore::new(0));
        let stock = StockClient::new(of_shop.open().await.unwrap());
        let till = Till { stock: stock.clone(), gate: Arc::clone(&gate) };
        let shop_worker = Some(started(&endpoint, &shop, ShopWorker::new(till)).await);
        let _store_worker = started(&endpoint, &store, StockWorker::new(Store)).await;
        let client = Client::builder().connect(&endpoint).telemetry(caller.telemetry());
        let client = client.open().await.unwrap();
        World {
            stock,
            caller,
            queue,
            shop,
            store,
            broker,
            client,
            gate,
            shop_worker,
            _store_worker,
        }
    }

    /// Stops the shop's worker, whatever it has begun.
    pub async fn lose_shop_worker(&mut self) {
        let worker = self.shop_worker.take().unwrap();
        worker.shutdown(Duration::ZERO).await;
    }

    /// Starts the shop's worker, when the one before has gone.
    pub async fn another_shop_worker(&self) -> Worker {
        let till = Till { stock: self.stock.clone(), gate: Arc::clone(&self.gate) };
        let endpoint = self.broker.endpoints().first().unwrap();
        started(endpoint, &self.shop, ShopWorker::new(till)).await
    }

    pub fn shop(&self) -> ShopClient {
        ShopClient::new(self.client.clone())
    }

    /// A span of the program around the calls, and what it is known by.
    pub fn root(&self) -> (Context, SpanContext) {
        let span = self.caller.tracers.tracer("test").start("root");
        let context = Context::new().with_span(span);
        let known = context.span().span_context().clone();
        (context, known)
    }

    /// Waits until so many calls wait in the broker.
    pub async fn queued(&self, calls: usize) {
        until(async || self.broker.stats().await.queued == calls).await;
    }
}

/// A worker that takes one call at a time, and that the broker knows.
async fn started(endpoint: &str, part: &Part, service: impl Service) -> Worker {
    let worker = Worker::builder().connect(endpoint).capacity(1).telemetry(part.telemetry());
    let worker = worker.serve(service).start().unwrap();
    worker.connected().await;
    worker
}
