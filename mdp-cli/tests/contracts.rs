//! Services whose workers were built at different times: the program sees each contract, and asks workers that have it.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::process::Command;

use mdp_protocol::wire::DisconnectReason;
use mdp_runtime::{MdpRecord, Schema, Worker};
use process::{Ended, Process};
use raw::{Raw, RawPeer};
use serde_json::Value;
use support::{broker, mdp};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Job {
    #[mdp(1)]
    pub name: String,
}

/// The service as it was, and as it is.
mod old {
    use mdp_runtime::{Status, mdp_service};

    use super::Job;

    #[mdp_service(package = "mix.v1")]
    pub trait Mix {
        #[mdp(idempotent)]
        async fn stir(&self, req: Job) -> Result<Job, Status>;
        async fn shake(&self, req: Job) -> Result<Job, Status>;
    }

    pub(crate) struct Served;

    impl Mix for Served {
        async fn stir(&self, req: Job) -> Result<Job, Status> {
            Ok(req)
        }

        async fn shake(&self, req: Job) -> Result<Job, Status> {
            Ok(req)
        }
    }
}

mod new {
    use mdp_runtime::{Status, mdp_service};

    use super::Job;

    #[mdp_service(package = "mix.v1")]
    pub trait Mix {
        #[mdp(idempotent)]
        async fn stir(&self, req: Job) -> Result<Job, Status>;
        async fn pour(&self, req: Job) -> Result<Job, Status>;
    }

    pub(crate) struct Served;

    impl Mix for Served {
        async fn stir(&self, req: Job) -> Result<Job, Status> {
            Ok(req)
        }

        async fn pour(&self, req: Job) -> Result<Job, Status> {
            Ok(req)
        }
    }
}

async fn run(endpoint: &str, args: &[&str]) -> Ended {
    let mut command: Command = mdp();
    command.env("MDP_ENDPOINT", endpoint).args(args);
    tokio::task::spawn_blocking(move || Process::start(&mut command).end()).await.unwrap()
}

/// Two workers of the old build, one of the new one.
async fn mixed(endpoint: &str) -> Vec<Worker> {
    let builder = |id: &str| Worker::builder().connect(endpoint).id(id);
    let workers = vec![
        builder("old-1").serve(old::MixWorker::new(old::Served)).start().unwrap(),
        builder("old-2").serve(old::MixWorker::new(old::Served)).start().unwrap(),
        builder("new-1").serve(new::MixWorker::new(new::Served)).start().unwrap(),
    ];
    for worker in &workers {
        worker.connected().await.unwrap();
    }
    workers
}

fn hash(schema: &Schema) -> String {
    let hash = mdp_schema::hash(schema.descriptors(), "mix.v1.Mix").unwrap();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_is_called_at_workers_that_have_it() {
    let (_broker, endpoint) = broker(&[]);
    let _workers = mixed(&endpoint).await;
    let data = ["-d", r#"{"name":"x"}"#];
    for method in ["mix.v1.Mix/Pour", "mix.v1.Mix/Shake", "mix.v1.Mix/Stir"] {
        // By chance it went well one time in three.
        for _ in 0..4 {
            let ended = run(&endpoint, &[&["call", method][..], &data].concat()).await;
            assert_eq!(ended.status.code(), Some(0), "{method}: {}", ended.stderr);
            assert_eq!(ended.stdout, r#"{"name":"x"}"#);
        }
        let short = ["--duration", "1", "--warm-up", "0", "-c", "4"];
        let ended = run(&endpoint, &[&["bench", method][..], &data, &short].concat()).await;
        assert_eq!(ended.status.code(), Some(0), "{method}: {}{}", ended.stdout, ended.stderr);
    }
    let ended = run(&endpoint, &["call", "mix.v1.Mix/Pour", "--worker", "old-1"]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("it has Stir, Shake"), "{}", ended.stderr);
    let ended = run(&endpoint, &["call", "mix.v1.Mix/Serve"]).await;
    assert_eq!(ended.status.code(), Some(1));
    for words in ["several contracts", "2 workers", "1 worker)", "Stir, Shake", "Stir, Pour"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_from_a_file_names_the_workers_as_well() {
    let (_broker, endpoint) = broker(&[]);
    let _workers = mixed(&endpoint).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.binpb");
    std::fs::write(&file, new::mix_service::schema().to_bytes()).unwrap();
    let file = file.to_str().unwrap();
    for _ in 0..4 {
        let ended = run(&endpoint, &["call", "mix.v1.Mix/Pour", "--schema", file]).await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_tells_that_there_are_two_contracts_and_shows_each() {
    let (_broker, endpoint) = broker(&[]);
    let _workers = mixed(&endpoint).await;
    let (old, new) = (hash(&old::mix_service::schema()), hash(&new::mix_service::schema()));
    let ended = run(&endpoint, &["describe", "mix.v1.Mix"]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let out = ended.stdout;
    let place = |words: &str| out.find(words).unwrap_or_else(|| panic!("{words}: {out}"));
    assert!(out.starts_with("// The workers of mix.v1.Mix have 2 contracts.\n"), "{out}");
    let (first, second) =
        (place(&format!("{old}, 2 workers")), place(&format!("{new}, 1 worker: new-1")));
    assert!(first < place("rpc Shake") && place("rpc Shake") < second, "{out}");
    assert!(second < place("rpc Pour"), "{out}");

    let ended = run(&endpoint, &["describe", "mix.v1.Mix/Pour", "--output", "json"]).await;
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (found["hash"].as_str(), &found["methods"][0]["name"]),
        (Some(&*new), &"Pour".into())
    );
    assert_eq!(found["contracts"].as_array().unwrap().len(), 2, "{found}");
    let other = &found["contracts"][1];
    assert_eq!(other["hash"].as_str(), Some(&*old));
    assert!(other["error"].as_str().unwrap().contains("has no method Pour"), "{found}");
    let ended = run(&endpoint, &["describe", "mix.v1.Mix/Serve"]).await;
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(1), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_on_at_another_worker_where_the_schema_lets_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.binpb");
    std::fs::write(&file, old::mix_service::schema().to_bytes()).unwrap();
    for (method, code) in [("mix.v1.Mix/Stir", 0), ("mix.v1.Mix/Shake", 64 + 14)] {
        let (_broker, endpoint) = broker(&[]);
        let mut lost = RawPeer::worker(&endpoint, "mix.v1.Mix", 10);
        let schema = file.to_str().unwrap().to_owned();
        let asked = tokio::spawn({
            let endpoint = endpoint.clone();
            async move { run(&endpoint, &["call", method, "--schema", &schema]).await }
        });
        let lost = tokio::task::spawn_blocking(move || {
            lost.wait_request();
            lost
        });
        let lost = lost.await.unwrap();
        let builder = Worker::builder().connect(&*endpoint).id("old-1");
        let worker = builder.serve(old::MixWorker::new(old::Served)).start().unwrap();
        worker.connected().await.unwrap();
        lost.send(&[Raw::Disconnect(DisconnectReason::Shutdown)]);
        let ended = asked.await.unwrap();
        assert_eq!(ended.status.code(), Some(code), "{method}: {}", ended.stderr);
    }
}

/// Writes a schema into a file, and compares it with the workers of a broker.
async fn check(endpoint: &str, schema: &[u8], more: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("next.binpb");
    std::fs::write(&file, schema).unwrap();
    let args = ["schema", "check", "--against-broker", file.to_str().unwrap()];
    run(endpoint, &[&args, more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_compared_with_each_contract_of_the_workers() {
    let (_broker, endpoint) = broker(&[]);
    let _workers = mixed(&endpoint).await;
    let (old, new) = (hash(&old::mix_service::schema()), hash(&new::mix_service::schema()));
    let ended = check(&endpoint, &new::mix_service::schema().to_bytes(), &[]).await;
    let gone = "mix/v1/mix.proto: mix.v1.Mix/Shake: the method is gone: its callers get UNIMPLEMENTED \
                (RPC_NO_DELETE), against";
    assert_eq!(ended.stdout, format!("{gone} {old} of 2 workers"), "{}", ended.stderr);
    assert_eq!(ended.status.code(), Some(1));

    let both = old::mix_service::schema();
    let mut both = both.descriptors().clone();
    let pour = new::mix_service::schema().descriptors().file[0].service[0].method[1].clone();
    both.file[0].service[0].method.push(pour);
    let both = Schema::of_service("mix.v1.Mix", both.file).to_bytes();
    let ended = check(&endpoint, &both, &[]).await;
    assert_eq!((ended.status.code(), &*ended.stdout, &*ended.stderr), (Some(0), "", ""));

    let json = ["--output", "json"];
    let ended = check(&endpoint, &old::mix_service::schema().to_bytes(), &json).await;
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    let expected = serde_json::json!([{
        "file": "mix/v1/mix.proto",
        "element": "mix.v1.Mix/Pour",
        "rule": "RPC_NO_DELETE",
        "message": "the method is gone: its callers get UNIMPLEMENTED",
        "contract": new,
        "workers": ["new-1"],
    }]);
    assert_eq!((found, ended.status.code()), (expected, Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_with_a_broker_is_told() {
    let (_broker, endpoint) = broker(&[]);
    let mix = new::mix_service::schema();
    // Nothing is compared where no worker is.
    let ended = check(&endpoint, &mix.to_bytes(), &[]).await;
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(2), ""));
    let words = "nothing was compared: no worker of this broker offers mix.v1.Mix";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);

    // A service that is new is noted, and so is one that the schema lacks.
    let _workers = mixed(&endpoint).await;
    let mut two = mix.descriptors().clone();
    let twin = two.file[0].service[0].clone();
    two.file[0].service.push(twin);
    two.file[0].service[1].name = Some("Next".to_owned());
    let ended = check(&endpoint, &Schema::of_files(two.file.clone()).to_bytes(), &[]).await;
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert_eq!(ended.stderr, "mdp: note: no worker offers mix.v1.Next");
    two.file[0].service.remove(0);
    let ended = check(&endpoint, &Schema::of_files(two.file).to_bytes(), &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    let words = "mdp: note: workers offer mix.v1.Mix, which the new schema lacks";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);

    // A worker that keeps its schema to itself.
    let (_broker, endpoint) = broker(&[]);
    let builder = Worker::builder().connect(&*endpoint).reflection(false);
    let worker = builder.serve(new::MixWorker::new(new::Served)).start().unwrap();
    worker.connected().await.unwrap();
    let ended = check(&endpoint, &mix.to_bytes(), &[]).await;
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(2), ""));
    assert!(ended.stderr.contains("do not return its schema"), "{}", ended.stderr);

    // No service, and no broker.
    let ended = check(&endpoint, b"", &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("has no service; give the old schema"), "{}", ended.stderr);
    let ended = check("nonsense", &mix.to_bytes(), &[]).await;
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    for both in [["--against", "old.binpb"], ["--file", "a.proto"]] {
        let ended = check(&endpoint, &mix.to_bytes(), &both).await;
        assert_eq!(ended.status.code(), Some(2));
        assert!(ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
    }
}
