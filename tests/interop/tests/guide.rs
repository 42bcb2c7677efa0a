//! The client and the worker of docs/foreign-peers.md and the subscriber of docs/patterns.md, as they stand there.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)] // tests

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mdp_runtime::patterns::Publisher;
use mdp_runtime::{
    Broker, Client, Code, Dialect, MdpRecord, RawClient, Status, Worker, mdp_service, record_schema,
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

/// A folder of its own for a test.
fn empty_folder() -> PathBuf {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("guide-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The programs in Python that a page has.
fn scripts<const N: usize>(page: &str) -> [String; N] {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    let page = std::fs::read_to_string(page).unwrap();
    let scripts = page.split("```python\n").skip(1);
    let scripts = scripts.map(|rest| rest.split("```").next().unwrap().to_owned());
    scripts.collect::<Vec<String>>().try_into().unwrap()
}

/// The client and the worker in a folder, beside the descriptors that they read.
fn folder() -> PathBuf {
    let folder = empty_folder();
    let [client, worker] = scripts("docs/foreign-peers.md");
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

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Weather {
    #[mdp(1)]
    pub celsius: f64,
}

/// What `protoc` would make of the record's `.proto` text, as far as the page uses it.
const WEATHER_PB2: &str = r#"
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

pool = descriptor_pool.DescriptorPool()
for file in descriptor_pb2.FileDescriptorSet.FromString(open("weather.binpb", "rb").read()).file:
    pool.Add(file)
Weather = message_factory.GetMessageClass(pool.FindMessageTypeByName("weather.v1.Weather"))
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Python with the packages pyzmq and protobuf; .ci/python has them"]
async fn the_guides_subscriber_hears_a_publisher() {
    let news = Publisher::<Weather>::builder().bind("tcp://127.0.0.1:*").last_value(true);
    let news = news.start().unwrap();
    news.send("weather.paris", &Weather { celsius: 21.5 }).await.unwrap();
    let folder = empty_folder();
    let [subscriber] = scripts("docs/patterns.md");
    let there = "tcp://127.0.0.1:5556";
    assert!(subscriber.contains(there), "{subscriber}");
    let subscriber = subscriber.replace(there, news.endpoints().first().unwrap());
    std::fs::write(folder.join("subscriber.py"), subscriber).unwrap();
    std::fs::write(folder.join("weather_pb2.py"), WEATHER_PB2).unwrap();
    let schema = record_schema::<Weather>("weather.v1").to_bytes();
    std::fs::write(folder.join("weather.binpb"), schema).unwrap();

    let mut command = python(&folder, &["-u", "subscriber.py"]);
    let mut child = EndOnDrop(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(child.0.stdout.take().unwrap());
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        said.read_line(&mut line).map(|_| line)
    });
    let line = tokio::time::timeout(Duration::from_secs(20), line).await;
    drop(child); // its end wakes whoever reads
    assert_eq!(
        line.expect("the subscriber said nothing").unwrap().unwrap(),
        "weather.paris 21.5\n"
    );
}
