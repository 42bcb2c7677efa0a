//! What an operator does: list, describe, ping, watch, doctor, drain, completion, profiles. Each as the program itself.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod shop;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mdp_runtime::security::KeyPair;
use mdp_runtime::{RawWorker, Worker};
use process::{Ended, Process};
use serde_json::{Value, json};
use shop::{Counted, ShopWorker};
use support::{bound, broker, config, mdp};

const SHOP: &str = "shop.v1.Shop";

/// A run of the program that has ended.
async fn run(command: Command) -> Ended {
    let mut command = command;
    tokio::task::spawn_blocking(move || Process::start(&mut command).end()).await.unwrap()
}

/// The program with these arguments, for the broker at this endpoint.
fn at(endpoint: &str, args: &[&str]) -> Command {
    let mut command = mdp();
    command.env("MDP_ENDPOINT", endpoint).args(args);
    command
}

async fn told(endpoint: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let ended = run(at(endpoint, args)).await;
    (ended.status.code(), ended.stdout, ended.stderr)
}

async fn json_of(endpoint: &str, args: &[&str]) -> Value {
    let args = [args, &["--output", "json"]].concat();
    let (code, out, err) = told(endpoint, &args).await;
    assert_eq!(code, Some(0), "{args:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

async fn worker(endpoint: &str, id: &str) -> Worker {
    let builder = Worker::builder().connect(endpoint).id(id).capacity(16);
    let worker = builder.serve(ShopWorker::new(Counted::default())).start().unwrap();
    worker.connected().await.unwrap();
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn list_shows_services_and_workers() {
    let (_broker, endpoint) = broker(&[]);
    let _workers = [worker(&endpoint, "w-1").await, worker(&endpoint, "w-2").await];
    let (code, out, err) = told(&endpoint, &["list", "--workers"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["SERVICE", "WORKERS", "DRAINING", "CAPACITY", "RUNNING", "QUEUED"]);
    assert_eq!(lines[1], [SHOP, "2", "0", "32", "0", "0"]);
    assert_eq!(lines[4], ["w-1", SHOP, "rpc", "16", "0"]);
    assert_eq!(lines[5], ["w-2", SHOP, "rpc", "16", "0"]);
    let list = json_of(&endpoint, &["list", SHOP, "--workers"]).await;
    assert_eq!((&list[0]["service"], &list[0]["capacity"]), (&json!(SHOP), &json!(32)));
    assert_eq!(list[0]["schemas"].as_array().unwrap().len(), 1);
    assert_eq!(list[0]["list"][1]["id"], "w-2");
    let (code, _, err) = told(&endpoint, &["list", "nobody.v1"]).await;
    assert!(code == Some(1) && err.contains("no service `nobody.v1`"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn describe_prints_what_a_service_is() {
    let (_broker, endpoint) = broker(&[]);
    let _worker = worker(&endpoint, "w-1").await;
    let raw = RawWorker::builder("echo").dialect(mdp_runtime::Dialect::Mdp02).connect(&endpoint);
    let raw = raw.start().unwrap();
    assert!(raw.connected().await);
    let (code, out, err) = told(&endpoint, &["describe", SHOP]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for words in [
        "package shop.v1;",
        "rpc Make(Job) returns (Done);",
        "rpc Chat(stream Job) returns (stream Done);",
        "double high = 2;",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    // One method, and what it uses.
    let (code, out, _) = told(&endpoint, &["describe", "shop.v1.Shop/Fill"]).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("rpc Fill(stream Job)") && !out.contains("rpc Make"), "{out}");
    let found = json_of(&endpoint, &["describe", SHOP]).await;
    assert_eq!(found["hash"].as_str().unwrap().len(), 32);
    assert_eq!(
        found["methods"][1],
        json!({"name": "Follow", "request": "shop.v1.Job", "reply": "shop.v1.Done",
            "client_streaming": false, "server_streaming": true})
    );
    // What it prints is a .proto file.
    assert_eq!(
        found["files"][0]["text"].as_str().unwrap().lines().next(),
        Some("syntax = \"proto3\";")
    );
    for (what, words) in [
        ("shop.v1.Shop/Nothing", "it has Make, Follow, Fill, Chat"),
        ("nobody.v1.Nobody", "the broker knows no `nobody.v1.Nobody`"),
        ("echo", "the workers of echo do not return its schema"),
    ] {
        let (code, out, err) = told(&endpoint, &["describe", what]).await;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{what}");
        assert!(err.contains(words), "{what}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_counts_calls_and_errors_by_method() {
    let (_broker, endpoint) = broker(&[]);
    let _worker = worker(&endpoint, "w-1").await;
    let make = |name: &'static str| ["call", "shop.v1.Shop/Make", "-d", name];
    for (data, code) in
        [(r#"{"name": "one"}"#, 0), (r#"{"name": "two"}"#, 0), (r#"{"name": "refused"}"#, 64 + 5)]
    {
        assert_eq!(told(&endpoint, &make(data)).await.0, Some(code));
    }
    let list = json_of(&endpoint, &["stats", SHOP]).await;
    let made = list.as_array().unwrap().iter().find(|line| line["method"] == "Make").unwrap();
    let done = &made["done"];
    assert_eq!((&done["requests"], &done["errors"]), (&json!(3), &json!(1)), "{list}");
    assert_eq!(done["last_error"], "NOT_FOUND");
    let (code, out, _) = told(&endpoint, &["stats"]).await;
    assert_eq!(code, Some(0));
    let line = out.lines().find(|line| line.starts_with("shop.v1.Shop/Make ")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words[1], words[2], words[3]), ("3", "1", "0"), "{out}");
    assert!(line.contains("NOT_FOUND, "), "{out}");
    let (code, _, err) = told(&endpoint, &["stats", "nobody.v1.Nobody"]).await;
    assert!(code == Some(1) && err.contains("knows no `nobody.v1.Nobody`"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_measures_the_way_to_all() {
    let (_broker, endpoint) = broker(&[]);
    let _workers = [worker(&endpoint, "w-1").await, worker(&endpoint, "w-2").await];
    let (code, out, _) = told(&endpoint, &["ping", SHOP, "-n", "3"]).await;
    assert_eq!(code, Some(0), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    for (line, who) in lines.iter().zip(["broker: 3 times", "w-1: 3 times", "w-2: 3 times"]) {
        assert!(line.starts_with(who) && line.contains(" ms "), "{line}");
    }
    let list = json_of(&endpoint, &["ping", "-n", "2"]).await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["answers"]), (1, &json!(2)));
    assert!(list[0]["least_ms"].as_f64().unwrap() > 0.0);
    // One of classic MDP has no answer to give, and says so.
    let classic =
        RawWorker::builder("echo").dialect(mdp_runtime::Dialect::Mdp01).connect(&endpoint);
    let classic = classic.start().unwrap();
    assert!(classic.connected().await);
    let (code, out, _) = told(&endpoint, &["ping", "echo"]).await;
    assert!(code == Some(1) && out.contains("it speaks MDP/0.1"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_tells_who_comes_and_goes() {
    let (_broker, endpoint) = broker(&["--allow-drain"]);
    let first = worker(&endpoint, "w-1").await;
    let mut text = Process::start(&mut at(&endpoint, &["watch", "--interval", "0.1"]));
    let args = ["watch", SHOP, "--interval", "0.1", "--output", "json"];
    let mut lines = Process::start(&mut at(&endpoint, &args));
    let steps = tokio::task::spawn_blocking(move || {
        assert_eq!(text.line("here"), "here w-1 of shop.v1.Shop (rpc, 16 at once)");
        lines.line("here");
        (text, lines)
    });
    let (text, lines) = steps.await.unwrap();
    let _second = worker(&endpoint, "w-2").await;
    first.shutdown(Duration::ZERO).await;
    let ended = tokio::task::spawn_blocking(move || {
        let (mut text, mut lines) = (text, lines);
        text.line("left w-1 of shop.v1.Shop");
        let joined: Value = serde_json::from_str(&lines.line("joined")).unwrap();
        assert_eq!((&joined["worker"], &joined["service"]), (&json!("w-2"), &json!(SHOP)));
        text.signal("TERM");
        lines.signal("INT");
        [text.end(), lines.end()]
    });
    for ended in ended.await.unwrap() {
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
    let (code, _, err) = told(&endpoint, &["watch", "--interval", "0.01"]).await;
    assert!(code == Some(2) && err.contains("0.1 s"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_stays_while_the_broker_is_away() {
    let (first, endpoint) = broker(&[]);
    let mut watch = Process::start(&mut at(&endpoint, &["watch", "--interval", "0.1"]));
    let _worker = worker(&endpoint, "w-1").await;
    let address = endpoint.clone();
    let said = tokio::task::spawn_blocking(move || {
        watch.line("w-1");
        drop(first);
        watch.line("broker lost");
        let mut second = Process::start(mdp().args(["broker", "--bind", &address]));
        bound(&mut second);
        watch.line("broker back");
        (watch, second)
    });
    let (watch, _second) = said.await.unwrap();
    // The first worker comes back, too; it may be there before the next question.
    let _new = worker(&endpoint, "w-2").await;
    let said = tokio::task::spawn_blocking(move || {
        let mut watch = watch;
        watch.line("joined w-2");
    });
    said.await.unwrap();
}

/// The findings of `mdp doctor`, by check, and its exit code.
async fn findings(command: Command) -> (Option<i32>, Vec<Value>) {
    let mut command = command;
    command.args(["doctor", "--output", "json"]);
    let ended = run(command).await;
    let list: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.status.code(), list.as_array().unwrap().clone())
}

fn finding<'a>(list: &'a [Value], check: &str) -> &'a Value {
    let found = list.iter().find(|one| one["check"] == check && one["state"] != "ok");
    found.unwrap_or_else(|| panic!("nothing is wrong with {check}: {list:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_nothing_where_all_is_well() {
    let (_broker, endpoint) = broker(&[]);
    let _worker = worker(&endpoint, "w-1").await;
    let (code, list) = findings(at(&endpoint, &[])).await;
    assert_eq!(code, Some(0), "{list:?}");
    let checks: Vec<&str> = list.iter().map(|one| one["check"].as_str().unwrap()).collect();
    let all = ["dns", "tcp", "session", "version", "clocks", "draining", "limits", "services"];
    assert_eq!(checks, all);
    let (code, out, _) = told(&endpoint, &["doctor"]).await;
    assert!(code == Some(0) && out.lines().all(|line| line.starts_with("ok ")), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_to_mend_on_the_way() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, list) = findings(at(&format!("tcp://{free}"), &[])).await;
    assert_eq!(code, Some(1));
    assert!(finding(&list, "tcp")["mend"].as_str().unwrap().contains("start the broker"));
    finding(&list, "session");
    let (_, list) = findings(at("tcp://no-such-host.invalid:5555", &[])).await;
    finding(&list, "dns");
    let (_, list) = findings(at("ipc:///nowhere/mdp.sock", &[])).await;
    finding(&list, "ipc");
    // Something that is no broker takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_, list) = findings(at(&format!("tcp://{}", silent.local_addr().unwrap()), &[])).await;
    assert!(finding(&list, "session")["mend"].as_str().unwrap().contains("a broker of MDP/RPC"));
}

/// A broker with CURVE that lets `ann` in, its endpoint and its public key.
fn guarded(folder: &Path) -> (Process, String, String) {
    KeyPair::create(folder, "broker").unwrap();
    let allowed = folder.join("allowed");
    std::fs::create_dir(&allowed).unwrap();
    for name in ["ann", "eve"] {
        KeyPair::create(folder, name).unwrap();
    }
    std::fs::copy(folder.join("ann.pub"), allowed.join("ann.pub")).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "bind = [\"tcp://127.0.0.1:*\"]\n[curve]\nsecret_key_file = \"{}\"\nallowed_keys_dir = \"{}\"\n",
        file("broker.key"),
        allowed.display()
    );
    let settings = config(&text);
    let mut process = Process::start(mdp().args(["broker", "--config"]).arg(settings.path()));
    let key = process.line("public-key ").strip_prefix("public-key ").unwrap().to_owned();
    let endpoint = bound(&mut process);
    (process, endpoint, key)
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_which_key_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, endpoint, key) = guarded(folder.path());
    let with = |server: &str, own: &str| {
        let mut command = at(&endpoint, &[]);
        let own = folder.path().join(own);
        command.env("MDP_SERVER_KEY", server).env("MDP_KEY", own);
        command
    };
    let (code, list) = findings(with(&key, "ann.key")).await;
    assert_eq!(code, Some(0), "{list:?}");
    let (_, list) = findings(with(&key, "eve.key")).await;
    assert!(finding(&list, "session")["mend"].as_str().unwrap().contains("allowed keys"));
    let other = folder.path().join("eve.pub").display().to_string();
    let (_, list) = findings(with(&other, "ann.key")).await;
    assert!(finding(&list, "session")["mend"].as_str().unwrap().contains("compare --server-key"));
    let (_, list) = findings(at(&endpoint, &[])).await;
    finding(&list, "session");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_wrong_with_the_services() {
    let (_broker, endpoint) = broker(&["--allow-drain"]);
    let mut peers = Vec::new();
    for (id, schema) in [("old", [1; 16]), ("new", [2; 16])] {
        let peer = raw::RawPeer::connect(&endpoint);
        let (id, service) = (id.into(), b"a.A".to_vec());
        let heartbeat = mdp_protocol::Span::from_secs(60);
        let hello = raw::Raw::Hello { id, heartbeat, liveness: 10 };
        let schema = Some(schema);
        peer.send(&[hello, raw::Raw::Ready { service, capacity: 1, shared: false, schema }]);
        peers.push(peer);
    }
    // Its call waits for a worker that nobody has started.
    let client = raw::RawPeer::greeted(&endpoint);
    client.send(&[support::request(1)]);
    peers[0].wait(|record| matches!(record, raw::Raw::Welcome { .. }).then_some(()));
    peers[1].wait(|record| matches!(record, raw::Raw::Welcome { .. }).then_some(()));
    let (code, list) = findings(at(&endpoint, &[])).await;
    assert_eq!(code, Some(1));
    let schemas = finding(&list, "schemas")["found"].as_str().unwrap().to_owned();
    assert!(
        schemas.contains("old has 01010101") && schemas.contains("new has 02020202"),
        "{schemas}"
    );
    assert!(finding(&list, "workers")["found"].as_str().unwrap().contains(support::SERVICE_NAME));
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_ends_workers_and_the_broker() {
    let (process, endpoint) = broker(&["--allow-drain", "--grace", "5"]);
    let workers = [
        worker(&endpoint, "w-1").await,
        worker(&endpoint, "w-2").await,
        worker(&endpoint, "w-3").await,
    ];
    let (code, out, err) = told(&endpoint, &["drain", "w-1"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "worker w-1: left"), "{err}");
    workers[0].stopped().await.unwrap();
    let drained = json_of(&endpoint, &["drain", SHOP]).await;
    assert_eq!(drained, json!({"kind": "service", "whom": SHOP, "workers": 2, "left": true}));
    workers[2].stopped().await.unwrap();
    let (code, _, err) = told(&endpoint, &["drain", "w-1"]).await;
    assert!(code == Some(1) && err.contains("neither a worker nor a service"), "{err}");
    let (code, out, err) = told(&endpoint, &["drain", "broker"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "the broker: left"), "{err}");
    let ended = tokio::task::spawn_blocking(|| process.end()).await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_waits_for_calls_and_says_when_it_takes_too_long() {
    let (_broker, endpoint) = broker(&["--allow-drain"]);
    let (mut held, mut client) = support::held_call(&endpoint);
    let service = support::SERVICE_NAME;
    let (code, out, err) = told(&endpoint, &["drain", service, "--wait", "0.5"]).await;
    assert!(
        code == Some(1) && out.contains("1 workers") && out.contains("still draining"),
        "{out}{err}"
    );
    let (_, list) = findings(at(&endpoint, &[])).await;
    assert!(finding(&list, "draining")["found"].as_str().unwrap().contains("holds 1 calls"));
    let (code, out, _) = told(&endpoint, &["drain", service, "--wait", "0"]).await;
    assert!(code == Some(0) && out.contains("draining"), "{out}");
    held.send(&[raw::Raw::Final {
        call: 1 << 32,
        code: mdp_protocol::Code::Ok,
        not_started: false,
        attempt: 1,
        peer: Vec::new(),
        reply: mdp_protocol::wire::Reply::Body(Vec::new()),
    }]);
    assert_eq!(client.wait_final().code, mdp_protocol::Code::Ok);
    assert_eq!(held.wait_disconnect(), mdp_protocol::wire::DisconnectReason::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_is_not_for_everybody() {
    let (mut process, endpoint) = broker(&[]);
    let worker = worker(&endpoint, "w-1").await;
    for whom in ["w-1", SHOP, "broker"] {
        let (code, _, err) = told(&endpoint, &["drain", whom]).await;
        assert!(code == Some(1) && err.contains("--allow-drain"), "{whom}: {err}");
    }
    assert!(process.is_running());
    assert!(worker.connected().await.is_some());
    let both = format!("{endpoint},tcp://127.0.0.1:1");
    let (code, _, err) = told(&both, &["drain", "broker"]).await;
    assert!(code == Some(2) && err.contains("name the broker"), "{err}");
}

#[test]
fn completion_is_for_each_shell() {
    for (shell, words) in
        [("bash", "complete -F _mdp"), ("zsh", "#compdef mdp"), ("fish", "complete -c mdp")]
    {
        let ended = Process::start(mdp().args(["completion", shell])).end();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(ended.stdout.contains(words) && ended.stdout.contains("drain"), "{shell}");
    }
}

/// A folder that is the user's configuration, with these profiles.
fn profiles(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mdp")).unwrap();
    let file = folder.path().join("mdp/profiles.toml");
    std::fs::write(&file, text).unwrap();
    // Whatever the umask says.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&file, mode).unwrap();
    folder
}

fn bare(folder: &Path, args: &[&str]) -> Command {
    let mut command = mdp();
    for name in ["MDP_ENDPOINT", "MDP_SERVER_KEY", "MDP_KEY", "MDP_PROFILE"] {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", folder).args(args);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_come_before_the_environment_and_that_before_the_profile() {
    let (_broker, endpoint) = broker(&[]);
    let nowhere = "nonsense";
    let folder = profiles(&format!(
        "[good]\nendpoint = [\"{endpoint}\"]\n[bad]\nendpoint = [\"{nowhere}\"]\n"
    ));
    type Set<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&[&str], Set<'_>, bool); 7] = [
        (&["--profile", "good"], &[], true),
        (&[], &[("MDP_PROFILE", "good")], true),
        (&["--profile", "good"], &[("MDP_PROFILE", "bad")], true),
        (&[], &[("MDP_PROFILE", "bad"), ("MDP_ENDPOINT", &endpoint)], true),
        (&["--profile", "good"], &[("MDP_ENDPOINT", nowhere)], false),
        (&["--endpoint", &endpoint], &[("MDP_ENDPOINT", nowhere)], true),
        (&["--endpoint", nowhere, "--profile", "good"], &[("MDP_ENDPOINT", &endpoint)], false),
    ];
    for (flags, environment, good) in cases {
        let mut command = bare(folder.path(), &["list"]);
        command.args(flags).envs(environment.iter().copied());
        let ended = run(command).await;
        let code = if good { Some(0) } else { Some(2) };
        assert_eq!(ended.status.code(), code, "{flags:?} {environment:?}: {ended:?}");
        assert_eq!(ended.stderr.contains(nowhere), !good, "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_has_keys_and_is_told_apart() {
    let keys = tempfile::tempdir().unwrap();
    let (_broker, endpoint, key) = guarded(keys.path());
    let folder = profiles(&format!(
        "[ann]\nendpoint = [\"{endpoint}\"]\nserver_key = \"broker.pub\"\nkey = \"ann.key\"\n\
         [text]\nendpoint = [\"{endpoint}\"]\nserver_key = '{key}'\nkey = \"ann.key\"\n\
         [half]\nkey = \"ann.key\"\n",
    ));
    // Beside the profiles, by names without a folder.
    for name in ["broker.pub", "ann.key"] {
        std::fs::copy(keys.path().join(name), folder.path().join("mdp").join(name)).unwrap();
    }
    for name in ["ann", "text"] {
        let ended = run(bare(folder.path(), &["ping", "--profile", name])).await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
    for (name, words) in [("half", "give --server-key, too"), ("nobody", "it has ann, half, text")]
    {
        let ended = run(bare(folder.path(), &["list", "--profile", name])).await;
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    // Others could name a broker of theirs, and its key.
    let file = folder.path().join("mdp/profiles.toml");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o664);
    std::fs::set_permissions(&file, mode).unwrap();
    let ended = run(bare(folder.path(), &["list", "--profile", "ann"])).await;
    assert!(ended.status.code() == Some(2) && ended.stderr.contains("chmod go-w "), "{ended:?}");
    let wrong = profiles("[a]\nendpoints = []\n");
    let ended = run(bare(wrong.path(), &["list", "--profile", "a"])).await;
    assert!(ended.status.code() == Some(2) && ended.stderr.contains("unknown field `endpoints`"));
    let none = tempfile::tempdir().unwrap();
    let ended = run(bare(none.path(), &["list", "--profile", "a"])).await;
    assert!(ended.status.code() == Some(2) && ended.stderr.contains("profiles.toml"), "{ended:?}");
}

/// A worker of RFC 18 in Python, which nobody of us wrote a line for.
struct Pyzmq(std::process::Child);

impl Drop for Pyzmq {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python with the package pyzmq; .ci/python has it"]
async fn a_classic_worker_in_python_is_seen_and_drained() {
    let (_broker, endpoint) = broker(&["--allow-drain"]);
    let python = std::env::var_os("MDP_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop/python/worker.py");
    let mut command = Command::new(python);
    command.arg(script).args(["0.2", &endpoint, "echo"]).stdin(std::process::Stdio::piped());
    let _worker = Pyzmq(command.spawn().unwrap());
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let line = loop {
        let list = json_of(&endpoint, &["list", "--workers"]).await;
        if !list[0].is_null() {
            break list[0].clone();
        }
        assert!(std::time::Instant::now() < deadline, "it never came");
    };
    assert_eq!((&line["service"], &line["capacity"]), (&json!("echo"), &json!(1)));
    assert_eq!((&line["list"][0]["dialect"], &line["schemas"]), (&json!("0.2"), &json!([])));
    let (code, _, err) = told(&endpoint, &["describe", "echo"]).await;
    assert!(code == Some(1) && err.contains("do not return its schema"), "{err}");
    let (code, out, _) = told(&endpoint, &["doctor"]).await;
    assert_eq!(code, Some(0), "{out}");
    let (code, _, err) = told(&endpoint, &["call", "echo/Say", "-d", "{}"]).await;
    assert!(code.is_some_and(|code| code > 0) && err.contains("echo"), "{code:?}: {err}");
    let stats = json_of(&endpoint, &["stats", "echo"]).await;
    assert_eq!((&stats[0]["service"], &stats[0]["method"]), (&json!("echo"), &json!("")));
    let drained = json_of(&endpoint, &["drain", "echo"]).await;
    assert_eq!((&drained["workers"], &drained["left"]), (&json!(1), &json!(true)));
}
