//! The services, with all kinds of methods.

use std::sync::Arc;

use futures_core::Stream;
use mdp_runtime::{CallContext, MdpRecord, Status, Streaming, mdp_service, stream};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, Key};
use tokio::sync::Semaphore;

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Text {
    #[mdp(1)]
    pub text: String,
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text { text: text.to_owned() }
    }
}

/// What the world calls.
#[mdp_service(package = "shop.v1")]
pub trait Shop {
    /// The text back, or what it asks for.
    async fn order(&self, cx: &CallContext, req: Text) -> Result<Text, Status>;

    /// May be tried again.
    #[mdp(idempotent)]
    async fn fail(&self, req: Text) -> Result<Text, Status>;

    /// Calls the store.
    async fn relay(&self, req: Text) -> Result<Text, Status>;

    /// Calls the store from a thread of its own.
    #[mdp(blocking)]
    fn relay_blocking(&self, req: Text) -> Result<Text, Status>;

    /// Calls the store also when nobody waits any more.
    #[mdp(detach)]
    async fn relay_detached(&self, req: Text) -> Result<Text, Status>;

    /// Each letter, the last one when the gate is open.
    async fn letters(&self, req: Text) -> Result<impl Stream<Item = Result<Text, Status>>, Status>;

    /// All texts as one.
    async fn join(&self, texts: Streaming<Text>) -> Result<Text, Status>;

    /// What the store says of each text.
    async fn each(
        &self,
        texts: Streaming<Text>,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status>;
}

/// What the shop calls.
#[mdp_service(package = "stock.v1")]
pub trait Stock {
    /// The text, and the trace that is current here.
    async fn take(&self, req: Text) -> Result<Text, Status>;
}

/// The shop's handlers.
pub struct Till {
    pub stock: StockClient,
    pub gate: Arc<Semaphore>,
}

impl Till {
    async fn open_gate(gate: &Semaphore) -> Result<(), Status> {
        gate.acquire().await.map(drop).map_err(|_| Status::internal("the gate is gone"))
    }
}

impl Shop for Till {
    async fn order(&self, cx: &CallContext, req: Text) -> Result<Text, Status> {
        match req.text.as_str() {
            "hold" => Till::open_gate(&self.gate).await.map(|()| req),
            "nothing" => Err(Status::not_found("there is no such thing")),
            "panic" => panic!("as the test wants it"),
            "baggage" => {
                let tenant = Context::current().baggage().get(Key::new("tenant")).cloned();
                Ok(Text { text: tenant.map(|value| value.to_string()).unwrap_or_default() })
            }
            "metadata" => {
                let keys: Vec<_> = cx.metadata().iter().map(|(key, _)| key.to_owned()).collect();
                Ok(Text { text: keys.join(" ") })
            }
            _ => Ok(req),
        }
    }

    async fn fail(&self, _: Text) -> Result<Text, Status> {
        Err(Status::unavailable("always"))
    }

    async fn relay(&self, req: Text) -> Result<Text, Status> {
        self.stock.take(req).await
    }

    fn relay_blocking(&self, req: Text) -> Result<Text, Status> {
        self.stock.take(req).wait()
    }

    async fn relay_detached(&self, req: Text) -> Result<Text, Status> {
        Till::open_gate(&self.gate).await?;
        self.stock.take(req).await
    }

    async fn letters(&self, req: Text) -> Result<impl Stream<Item = Result<Text, Status>>, Status> {
        let (sender, replies) = stream::channel(4);
        let gate = Arc::clone(&self.gate);
        tokio::spawn(async move {
            let last = req.text.chars().count().saturating_sub(1);
            for (place, letter) in req.text.chars().enumerate() {
                if place == last && Till::open_gate(&gate).await.is_err() {
                    return;
                }
                if sender.send(Text { text: letter.into() }).await.is_err() {
                    return;
                }
            }
        });
        Ok(replies)
    }

    async fn join(&self, mut texts: Streaming<Text>) -> Result<Text, Status> {
        let mut all = String::new();
        while let Some(Text { text }) = texts.message().await? {
            all.push_str(&text);
        }
        Ok(Text { text: all })
    }

    async fn each(
        &self,
        mut texts: Streaming<Text>,
    ) -> Result<impl Stream<Item = Result<Text, Status>>, Status> {
        // Within the handler, so that its span is the parent of these calls.
        let mut found = Vec::new();
        while let Some(text) = texts.message().await? {
            found.push(self.stock.take(text).await?);
        }
        let (sender, replies) = stream::channel(4);
        tokio::spawn(async move {
            for text in found {
                if sender.send(text).await.is_err() {
                    return;
                }
            }
        });
        Ok(replies)
    }
}

/// The store's handlers.
pub struct Store;

impl Stock for Store {
    async fn take(&self, req: Text) -> Result<Text, Status> {
        let trace = Context::current().span().span_context().trace_id();
        Ok(Text { text: format!("{} {trace}", req.text) })
    }
}
