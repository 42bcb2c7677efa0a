//! `mdp bench` against services that are running.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod shop;

use std::process::Output;
use std::sync::atomic::Ordering;

use mdp_runtime::security::{AllowList, CurveClient, CurveServer, KeyPair};
use mdp_runtime::{Broker, Worker};
use serde_json::Value;
use shop::{Counted, Scene, ShopWorker, scene, shop_service};

impl Scene {
    async fn bench(&self, args: &[&str]) -> Output {
        self.mdp("bench", args).await
    }

    async fn json(&self, args: &[&str]) -> (Value, Option<i32>) {
        let short = ["--duration", "0.6", "--warm-up", "0.1", "--output", "json"];
        let ended = self.bench(&[args, &short].concat()).await;
        let text = String::from_utf8(ended.stdout).unwrap();
        let found = serde_json::from_str(&text);
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        (found.unwrap_or_else(|error| panic!("{error}: {text}{told}")), ended.status.code())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_made_by_the_schema_that_the_worker_tells() {
    let scene = scene().await;
    let job = r#"{"name": "one", "size": {"wide": 7}, "labels": {"a": "b"}}"#;
    let args = ["shop.v1.Shop/Make", "-d", job, "-H", "tenant: acme", "-c", "4"];
    let (found, code) = scene.json(&args).await;
    assert_eq!(code, Some(0), "{found}");
    let (calls, named) = (found["calls"].as_u64().unwrap(), &scene.counted.named);
    assert!(calls > 10 && named.load(Ordering::Relaxed) >= calls, "{found}");
    let percentile = |name: &str| found["percentiles_us"][name].as_u64().unwrap();
    assert!(percentile("p50") > 0 && percentile("p50") <= percentile("p99.9"), "{found}");
    assert!(percentile("p99.9") <= found["max_us"].as_u64().unwrap());
    let bars = found["histogram"].as_array().unwrap();
    let counted: u64 = bars.iter().map(|bar| bar["calls"].as_u64().unwrap()).sum();
    assert_eq!(counted, calls, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_made_up_and_calls_made_at_a_rate() {
    let scene = scene().await;
    let args = ["shop.v1.Shop/Make", "--random", "7", "--rate", "200", "--connections", "3"];
    let (found, code) = scene.json(&args).await;
    assert_eq!(code, Some(0), "{found}");
    // 200 a second, for half a second.
    let calls = found["calls"].as_u64().unwrap();
    assert!((90..=110).contains(&calls), "{found}");
    assert!(found["bytes"].as_u64().unwrap() > calls, "the requests are not empty: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_replies_is_read_to_its_end() {
    let scene = scene().await;
    let (found, code) = scene.json(&["shop.v1.Shop/Follow", "-d", r#"{"name":"x"}"#]).await;
    assert_eq!(code, Some(0), "{found}");
    let (calls, replies) = (found["calls"].as_u64().unwrap(), found["replies"].as_u64().unwrap());
    assert!(calls > 0 && replies == 3 * calls, "{found}");
}

/// With keys, and a worker that tells nothing: the schema is in a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_comes_from_a_file_and_keys_from_files_and_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [server, own, other] =
        ["server", "own", "other"].map(|name| KeyPair::create(folder.path(), name).unwrap());
    let allowed = AllowList::of([*own.public(), *other.public()]);
    let curve = CurveServer::new(server.clone()).allow_list(allowed);
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").curve(curve).start().unwrap();
    let curve = CurveClient::new(*server.public()).key_pair(other);
    let builder = Worker::builder().connect(broker.endpoints()[0].clone()).curve(curve);
    let counted = Counted::default();
    let shop = ShopWorker::new(counted.clone());
    let worker = builder.reflection(false).serve(shop).start().unwrap();
    worker.connected().await.unwrap();
    std::fs::write(path("shop.binpb"), shop_service::schema().to_bytes()).unwrap();
    let scene = Scene { counted, broker, worker };
    let (key, schema) = (path("own.key"), path("shop.binpb"));
    for server in [server.public().to_string(), path("server.pub")] {
        let keys = ["shop.v1.Shop/Make", "--server-key", &server, "--key", &key];
        let (found, code) = scene.json(&[&keys[..], &["--schema", &schema]].concat()).await;
        assert_eq!(code, Some(0), "{found}");
        let untold = scene.bench(&keys).await;
        let told = String::from_utf8(untold.stderr).unwrap();
        assert!(told.contains("give one with --schema FILE"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_by_its_code() {
    let scene = scene().await;
    let args = ["shop.v1.Shop/Make", "-d", r#"{"name":"refused"}"#, "-c", "1"];
    let (found, code) = scene.json(&args).await;
    assert_eq!((code, found["calls"].as_u64()), (Some(1), Some(0)), "{found}");
    let failed = &found["failures"]["NOT_FOUND"];
    assert!(failed["calls"].as_u64().unwrap() > 0, "{found}");
    assert_eq!(failed["first_message"], "no such job");
    let short = ["--duration", "0.3", "--warm-up", "0"];
    let text = scene.bench(&[&args[..], &short].concat()).await;
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("ended with NOT_FOUND, the first with: no such job"), "{text}");
    let good = scene.bench(&[&["shop.v1.Shop/Make"], &short[..]].concat()).await;
    let good = String::from_utf8(good.stdout).unwrap();
    for words in ["calls/s", "p99.9", "max", "histogram", "#"] {
        assert!(good.contains(words), "{words}: {good}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_before_there_is_load() {
    let scene = scene().await;
    for (args, code, words) in [
        (&["shop.v1.Shop/Nothing"][..], 1, "it has Make, Follow, Fill, Chat"),
        (&["shop.v1.Shop/Fill"], 2, "takes a stream of requests"),
        (&["nonsense"], 1, "is not the path of a method"),
        (&["shop.v1.Shop/Make", "-d", "{\"colour\": 1}"], 2, "colour"),
        (&["shop.v1.Shop/Make", "-d", "{} {}"], 2, "something follows"),
        (&["shop.v1.Shop/Make", "-d", "@/no/such/file"], 2, "/no/such/file"),
        (&["shop.v1.Shop/Make", "-H", "tenant"], 2, "write KEY:VALUE"),
        (&["shop.v1.Shop/Make", "--rate", "0"], 2, "--rate"),
        (&["shop.v1.Shop/Make", "--warm-up", "20"], 2, "--warm-up"),
        (&["shop.v1.Shop/Make", "--server-key", "short"], 2, "neither a public key"),
        (&["shop.v1.Shop/Make", "--schema", "/no/such/schema"], 1, "/no/such/schema"),
    ] {
        let ended = scene.bench(args).await;
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(code), 0), "{args:?}: {told}");
        assert!(told.contains(words), "{args:?} without {words:?}: {told}");
    }
    assert_eq!(scene.counted.calls.load(Ordering::Relaxed), 0);
}
