//! The client and the worker of docs/foreign-peers.md, as they stand there.

#![allow(clippy::unwrap_used, missing_docs)] // tests

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mdp_runtime::{
    Broker, Client, Code, Dialect, MdpRecord, RawClient, Status, Worker, mdp_service,
};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct GreetRequest {
    #[mdp(1)]
    pub name: String,
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct GreetReply {
    #[mdp(1)]
    pub greeting: String,
}

#[mdp_service(package = "greet.v1")]
pub trait Greeter {
    async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status>;
    async fn part(&self, req: GreetRequest) -> Result<GreetReply, Status>;
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status> {
        match req.name.as_str() {
            "nobody" => Err(Status::not_found("there is nobody")),
            name => Ok(GreetReply { greeting: format!("Good day, {name}.") }),
        }
    }

    async fn part(&self, req: GreetRequest) -> Result<GreetReply, Status> {
        Ok(GreetReply { greeting: format!("Farewell, {}.", req.name) })
    }
}

/// The page's scripts in a folder, beside the descriptors that they read.
fn folder() -> PathBuf {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("guide-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/foreign-peers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let scripts: Vec<&str> =
        page.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [client, worker] = scripts.as_slice() else { panic!("{} scripts", scripts.len()) };
    std::fs::write(folder.join("client.py"), client).unwrap();
    std::fs::write(folder.join("worker.py"), worker).unwrap();
    let schema = greeter_service::schema().to_bytes();
    std::fs::write(folder.join("greet.binpb"), schema).unwrap();
    folder
}

fn python(folder: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var_os("MDP_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

struct EndOnDrop(Child);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn broker() -> (Broker, String) {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let endpoint = broker.endpoints().first().unwrap().clone();
    (broker, endpoint)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the packages pyzmq and protobuf; .ci/python has them"]
async fn the_guides_client_calls_a_typed_service() {
    for dialect in [Dialect::Rpc, Dialect::Mdp02] {
        let (_broker, endpoint) = broker();
        let worker = Worker::builder().dialect(dialect).connect(&endpoint);
        let _worker = worker.serve(GreeterWorker::new(Polite)).start().unwrap();
        let folder = folder();
        let mut client = python(&folder, &["client.py", &endpoint, "Ann", "Bo"]);
        let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Good day, Ann.\nGood day, Bo.\n");
        // A status is an exception.
        let mut client = python(&folder, &["client.py", &endpoint, "nobody"]);
        let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("status 5"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the packages pyzmq and protobuf; .ci/python has them"]
async fn the_guides_worker_serves_typed_calls() {
    let (_broker, endpoint) = broker();
    let folder = folder();
    let _worker = EndOnDrop(python(&folder, &["worker.py", &endpoint]).spawn().unwrap());
    wait_for_service(&endpoint).await;
    for dialect in [Dialect::Rpc, Dialect::Mdp02] {
        let client = Client::builder().dialect(dialect).connect(&endpoint).open().await.unwrap();
        let greeter = GreeterClient::new(client);
        for name in ["Ann", "", "Zoë"] {
            let reply = greeter.greet(GreetRequest { name: name.into() }).await.unwrap();
            assert_eq!(reply.greeting, format!("Hello, {name}!"));
        }
        let large = "a".repeat(100_000); // in a frame of its own
        let reply = greeter.greet(GreetRequest { name: large.clone() }).metadata("tenant", "acme");
        assert_eq!(reply.await.unwrap().greeting, format!("Hello, {large}!"));
        let status = greeter.part(GreetRequest { name: "Ann".into() }).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

async fn wait_for_service(endpoint: &str) {
    let asks = RawClient::builder().connect(endpoint).open().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while asks.send("mmi.service", vec!["greet.v1.Greeter".into()]).await.unwrap() != ["200"] {
        assert!(Instant::now() < deadline, "the worker did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
