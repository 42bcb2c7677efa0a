//! A service with all kinds of methods, its worker and a broker, and the program as their client.

#![allow(dead_code, unreachable_pub)] // each test uses its part of it

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mdp_runtime::details::{BadRequest, FieldViolation};
use mdp_runtime::stream::Stream;
use mdp_runtime::{Broker, CallContext, MdpRecord, Status, Streaming, Worker, mdp_service};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Size {
    #[mdp(1)]
    pub wide: u32,
    #[mdp(2)]
    pub high: f64,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Job {
    #[mdp(1)]
    pub name: String,
    #[mdp(2)]
    pub size: Option<Size>,
    #[mdp(3)]
    pub labels: BTreeMap<String, String>,
    #[mdp(4)]
    pub parts: Vec<Job>,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Done {
    #[mdp(1)]
    pub name: String,
}

#[mdp_service(package = "shop.v1")]
pub trait Shop {
    async fn make(&self, cx: &CallContext, req: Job) -> Result<Done, Status>;
    async fn follow(&self, req: Job) -> Result<impl Stream<Item = Result<Done, Status>>, Status>;
    async fn fill(&self, req: Streaming<Job>) -> Result<Done, Status>;
    async fn chat(
        &self,
        req: Streaming<Job>,
    ) -> Result<impl Stream<Item = Result<Done, Status>>, Status>;
}

#[derive(Clone, Default)]
pub struct Counted {
    pub calls: Arc<AtomicU64>,
    pub named: Arc<AtomicU64>,
}

impl Shop for Counted {
    async fn make(&self, cx: &CallContext, req: Job) -> Result<Done, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if req.name == "refused" {
            let violation = FieldViolation {
                field: "name".into(),
                description: "of a job that is gone".into(),
            };
            let details = BadRequest { field_violations: vec![violation] };
            return Err(Status::not_found("no such job").with_detail(&details));
        }
        let tenant = cx.metadata().get_str("tenant") == Some("acme");
        self.named.fetch_add(u64::from(tenant && !req.name.is_empty()), Ordering::Relaxed);
        cx.reply_metadata("by", "the shop");
        Ok(Done { name: req.name })
    }

    async fn follow(&self, req: Job) -> Result<impl Stream<Item = Result<Done, Status>>, Status> {
        let (sender, stream) = mdp_runtime::stream::channel(8);
        tokio::spawn(async move {
            for _ in 0..3 {
                // Whoever asked may have gone.
                let _ = sender.send(Done { name: req.name.clone() }).await;
            }
        });
        Ok(stream)
    }

    async fn fill(&self, mut req: Streaming<Job>) -> Result<Done, Status> {
        let mut names = Vec::new();
        while let Some(job) = req.message().await? {
            names.push(job.name);
        }
        Ok(Done { name: names.join("+") })
    }

    async fn chat(
        &self,
        mut req: Streaming<Job>,
    ) -> Result<impl Stream<Item = Result<Done, Status>>, Status> {
        let (sender, stream) = mdp_runtime::stream::channel(8);
        tokio::spawn(async move {
            while let Ok(Some(job)) = req.message().await {
                // Whoever asked may have gone.
                let _ = sender.send(Done { name: format!("re: {}", job.name) }).await;
            }
        });
        Ok(stream)
    }
}

pub struct Scene {
    pub counted: Counted,
    pub broker: Broker,
    pub worker: Worker,
}

pub async fn scene() -> Scene {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let counted = Counted::default();
    let builder = Worker::builder().connect(broker.endpoints()[0].clone());
    let worker = builder.serve(ShopWorker::new(counted.clone())).start().unwrap();
    worker.connected().await.unwrap();
    Scene { counted, broker, worker }
}

impl Scene {
    /// The program's end, with these arguments and this broker.
    pub async fn mdp(&self, command: &str, args: &[&str]) -> Output {
        let what = command;
        let mut command = Command::new(env!("CARGO_BIN_EXE_mdp"));
        command.env("MDP_ENDPOINT", &self.broker.endpoints()[0]).arg(what).args(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}
