//! What services are, as the broker tells it: `mmi.schema` (wire.md R100), over sockets.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use bytes::Bytes;
use mdp_runtime::{Broker, Dialect, MdpRecord, RawClient, Schema, Status, Worker, mdp_service};
use support::{broker, within};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Note {
    #[mdp(1)]
    pub text: String,
}

#[mdp_service(package = "notes.v1")]
pub trait Notes {
    async fn keep(&self, req: Note) -> Result<Note, Status>;
}

#[derive(Clone)]
struct Shelf;

impl Notes for Shelf {
    async fn keep(&self, req: Note) -> Result<Note, Status> {
        Ok(req)
    }
}

const ALL: [Dialect; 3] = [Dialect::Rpc, Dialect::Mdp01, Dialect::Mdp02];

fn raw(broker: &Broker, dialect: Dialect) -> RawClient {
    let builder = RawClient::builder().dialect(dialect).connect(&broker.endpoints()[0]);
    builder.open().unwrap()
}

async fn ask(client: &RawClient, service: &str, about: &str) -> Vec<Bytes> {
    within(client.send(service, vec![Bytes::copy_from_slice(about.as_bytes())])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clients_read_what_a_service_is_and_one_worker_is_asked_once() {
    let broker = broker();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let builder = Worker::builder().connect(&broker.endpoints()[0]);
        let worker = builder.serve(NotesWorker::new(Shelf)).start().unwrap();
        worker.connected().await.unwrap();
        workers.push(worker);
    }
    let clients = ALL.map(|dialect| raw(&broker, dialect));
    let many = (0..30).map(|n| {
        let client = clients[n % 3].clone();
        tokio::spawn(async move { ask(&client, "mmi.schema", "notes.v1.Notes").await })
    });
    for told in many.collect::<Vec<_>>() {
        let told = told.await.unwrap();
        assert_eq!((told.len(), &*told[0]), (3, &b"200"[..]));
        let schema = Schema::from_bytes(Some("notes.v1.Notes"), &told[1]).unwrap();
        assert_eq!(schema.descriptors().file[0].service[0].method[0].name(), "Keep");
        assert_eq!(schema.hash().unwrap().unwrap(), &*told[2], "whoever reads it can compare it");
    }
    let asked = within(broker.stats()).await.dispatched;
    assert_eq!(asked, 1, "of two workers one is asked, and once");
    for worker in workers {
        worker.shutdown(std::time::Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_told_has_a_status() {
    let broker = broker();
    let builder = Worker::builder().connect(&broker.endpoints()[0]).reflection(false);
    let shy = builder.serve(NotesWorker::new(Shelf)).start().unwrap();
    let builder = Worker::builder().connect(&broker.endpoints()[0]);
    let raw_only = builder.serve_raw("echo", async |frames, replier| {
        // An error means that nobody waits for it.
        let _ = replier.finish(frames);
    });
    let raw_only = raw_only.start().unwrap();
    shy.connected().await.unwrap();
    raw_only.connected().await.unwrap();
    for dialect in ALL {
        let client = raw(&broker, dialect);
        for (about, status) in [("notes.v1.Notes", "501"), ("echo", "501"), ("nobody", "404")] {
            let told = ask(&client, "mmi.schema", about).await;
            assert_eq!(told, [Bytes::from(status)], "{about} over {dialect:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_says_what_it_is() {
    let broker = broker();
    for dialect in ALL {
        let told = ask(&raw(&broker, dialect), "mmi.broker", "").await;
        let json: serde_json::Value = serde_json::from_slice(&told[1]).unwrap();
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!((&json["heartbeat_ms"], &json["draining"]), (&1_000.into(), &false.into()));
        assert_eq!(json["limits"]["frame_bytes"], 4 << 20);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let apart = now.as_millis().abs_diff(u128::from(json["time_ms"].as_u64().unwrap()));
        assert!(apart < 60_000, "{apart} ms between two clocks of one machine");
    }
}
