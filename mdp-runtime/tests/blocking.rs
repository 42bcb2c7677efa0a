//! The client for programs without tokio, and calls that a thread waits for.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)] // tests

mod support;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use greet::{GreeterClient, GreeterWorker, Name, Polite};
use mdp_runtime::blocking::Client;
use mdp_runtime::codegen::Service;
use mdp_runtime::{Broker, Code, ConnectError, Status, Worker};
use support::{Echo, answering, broker, call, echo, until, worker};
use tokio::runtime::Runtime;

/// A broker, and a worker whose handlers run on tokio's threads: none of it is on the test's own.
struct Cluster {
    broker: Broker,
    _worker: Worker,
    tokio: Runtime,
}

fn cluster(service: impl Service) -> Cluster {
    let (broker, tokio) = (broker(), Runtime::new().unwrap());
    let worker = tokio.block_on(worker(&broker, service));
    Cluster { broker, _worker: worker, tokio }
}

impl Cluster {
    fn endpoint(&self) -> String {
        self.broker.endpoints()[0].clone()
    }

    fn client(&self) -> Client {
        Client::connect(self.endpoint()).unwrap()
    }

    /// Until the worker is the only one there.
    fn wait_until_alone(&self) {
        self.tokio.block_on(until(async || self.broker.stats().await.sessions == 1));
    }
}

/// Says that it has begun, and ends when it is told to.
fn held() -> (Echo, mpsc::Receiver<()>, Arc<tokio::sync::Semaphore>) {
    let (begun, begins) = mpsc::channel();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let gate_in = Arc::clone(&gate);
    let service = answering(move |_, request| {
        let gate = Arc::clone(&gate_in);
        begun.send(()).unwrap();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(request)
        }
    });
    (service, begins, gate)
}

mod greet {
    use mdp_runtime::{CallContext, MdpRecord, Status, mdp_service};

    #[derive(MdpRecord, Clone, Debug, PartialEq)]
    pub(super) struct Name {
        #[mdp(1)]
        pub(super) name: String,
    }

    #[mdp_service(package = "greet.v1")]
    pub(super) trait Greeter {
        async fn greet(&self, cx: &CallContext, req: Name) -> Result<Name, Status>;
    }

    pub(super) struct Polite;

    impl Greeter for Polite {
        async fn greet(&self, cx: &CallContext, req: Name) -> Result<Name, Status> {
            if req.name.is_empty() {
                return Err(Status::invalid_argument("who is there?"));
            }
            let title = cx.metadata().get_str("title").unwrap_or_default();
            cx.reply_metadata("seen", title.to_owned());
            Ok(Name { name: format!("Good day, {}.", req.name) })
        }
    }
}

#[test]
fn generated_clients_wait() {
    let cluster = cluster(GreeterWorker::new(Polite));
    let client = cluster.client();
    let greeter = GreeterClient::new(client.handle());

    let reply = greeter.greet(Name { name: "Ann".into() }).wait().unwrap();
    assert_eq!(reply.name, "Good day, Ann.");

    let call = greeter.greet(Name { name: "Bob".into() }).metadata("title", "Dr");
    let response = call.wait_response().unwrap();
    assert_eq!(response.message().name, "Good day, Bob.");
    assert_eq!(response.metadata().get_str("seen"), Some("Dr"));
    assert_eq!(response.attempts(), 1);

    let status = greeter.greet(Name { name: String::new() }).wait().unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "who is there?");
    assert_eq!(status.method(), Some("greet.v1.Greeter/Greet"));
}

#[test]
fn threads_share_a_client_and_its_connection() {
    const THREADS: usize = 8;
    // Nobody is answered before all have asked.
    let barrier = Arc::new(tokio::sync::Barrier::new(THREADS));
    let cluster = cluster(answering(move |_, request| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Ok(request)
        }
    }));
    let client = cluster.client();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let client = client.clone();
            scope.spawn(move || {
                for round in 0..50 {
                    let text = format!("{number}/{round}");
                    assert_eq!(call(&client.handle(), &text).wait().unwrap(), text);
                }
            });
        }
    });
    let stats = cluster.tokio.block_on(cluster.broker.stats());
    assert_eq!(stats.sessions, 2, "a worker and one client");
}

#[test]
fn a_deadline_ends_the_waiting_and_the_handler() {
    let (service, begins, _gate) = held();
    let cluster = cluster(service);
    let client = cluster.client();
    let started = Instant::now();
    let status = call(&client.handle(), "").timeout(Duration::from_millis(200)).wait().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.reason().as_deref(), Some("DEADLINE_EXCEEDED"), "not given up by the thread");
    // The client counts in whole milliseconds.
    assert!(started.elapsed() >= Duration::from_millis(199));
    begins.recv().unwrap();
}

#[test]
fn shutting_down_waits_for_calls() {
    let (service, begins, gate) = held();
    let cluster = cluster(service);
    let client = cluster.client();
    let late = || call(&client.handle(), "").timeout(Duration::from_millis(20)).wait().unwrap_err();
    thread::scope(|scope| {
        let running = scope.spawn(|| call(&client.handle(), "in time").wait());
        begins.recv().unwrap();
        let shutting = [(); 2].map(|()| scope.spawn(|| client.shutdown(Duration::from_secs(20))));
        while late().code() != Code::Cancelled {}
        gate.add_permits(1);
        assert_eq!(running.join().unwrap().unwrap(), "in time");
        for thread in shutting {
            thread.join().unwrap();
        }
    });
    assert!(late().not_started());
    cluster.wait_until_alone();
}

#[test]
fn shutting_down_ends_what_takes_too_long() {
    let (service, begins, _gate) = held();
    let cluster = cluster(service);
    let client = cluster.client();
    thread::scope(|scope| {
        let running = scope.spawn(|| call(&client.handle(), "").wait());
        begins.recv().unwrap();
        client.shutdown(Duration::ZERO);
        assert_eq!(running.join().unwrap().unwrap_err().code(), Code::Cancelled);
    });
}

#[test]
fn the_connection_lasts_as_long_as_a_handle() {
    let cluster = cluster(echo());
    let client = cluster.client();
    let handle = client.clone().handle();
    drop(client);
    assert_eq!(call(&handle, "still").wait().unwrap(), "still");
    drop(handle);
    cluster.wait_until_alone();
}

#[test]
fn connecting_fails_as_the_other_client_does() {
    let error = Client::connect("nonsense").unwrap_err();
    assert!(matches!(error, ConnectError::Endpoint(_)), "{error}");

    // A listener that never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", silent.local_addr().unwrap());
    let within = Duration::from_millis(100);
    let started = Instant::now();
    let error = Client::builder().connect(endpoint).connect_timeout(within).open_blocking();
    assert!(matches!(error, Err(ConnectError::NoBroker { .. })), "{error:?}");
    assert!(started.elapsed() >= within);
}

#[test]
fn settings_hold() {
    let (service, begins, _gate) = held();
    let cluster = cluster(service);
    let builder = Client::builder().connect(cluster.endpoint()).id("till-7");
    let client = builder.timeout(Duration::from_millis(100)).open_blocking().unwrap();
    let status = call(&client.handle(), "").wait().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    begins.recv().unwrap();
}

#[test]
fn a_client_of_tokio_can_be_waited_for_by_threads() {
    let cluster = cluster(echo());
    let client = cluster.tokio.block_on(support::client(&cluster.broker));
    assert_eq!(call(&client, "from outside").wait().unwrap(), "from outside");
}

#[test]
fn the_handle_is_for_async_code_too() {
    let cluster = cluster(echo());
    let client = cluster.client().handle();
    let reply = cluster.tokio.block_on(call(&client, "awaited").into_future());
    assert_eq!(reply.unwrap(), "awaited");
}

fn refused(result: Result<String, Status>) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.not_started());
    assert!(status.message().contains("spawn_blocking"), "{status}");
}

#[test]
fn async_code_is_told_not_to_wait() {
    let cluster = cluster(echo());
    let client = cluster.client().handle();
    let tokio = &cluster.tokio;
    let wait = move || call(&client, "ping").wait();

    tokio.block_on(async { refused(wait()) });
    let in_task = wait.clone();
    refused(tokio.block_on(tokio.spawn(async move { in_task() })).unwrap());
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    single.block_on(async { refused(wait()) });
}

#[test]
fn a_handler_is_told_not_to_wait() {
    let behind = cluster(echo());
    let upstream = behind.client();
    let front = cluster(answering(move |_, request| {
        let upstream = upstream.handle();
        async move { call(&upstream, &request).wait() }
    }));
    // FAILED_PRECONDITION is the handler's own outcome here.
    let status = call(&front.client().handle(), "").wait().unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
}

#[test]
fn threads_of_tokio_that_may_block_may_wait() {
    let cluster = cluster(echo());
    let client = cluster.client().handle();
    let tokio = &cluster.tokio;
    let wait = move || call(&client, "ping").wait().unwrap();

    let waiting = wait.clone();
    assert_eq!(tokio.block_on(tokio.spawn_blocking(waiting)).unwrap(), "ping");
    let waiting = wait.clone();
    let task = tokio.spawn(async { tokio::task::block_in_place(waiting) });
    assert_eq!(tokio.block_on(task).unwrap(), "ping");
    let _entered = tokio.enter();
    assert_eq!(wait(), "ping");
}

#[test]
fn nobody_waits_for_a_client_that_does_not_run() {
    let cluster = cluster(echo());
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = single.block_on(support::client(&cluster.broker));
    let started = Instant::now();
    let status = call(&client, "").timeout(Duration::from_millis(50)).wait().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("does not run"), "{status}");
    assert!(started.elapsed() >= Duration::from_millis(1_050));
}

/// A client that async code makes would block its thread, and starve it: after 64 of them tokio answers nothing any more.
#[test]
fn async_code_is_told_not_to_connect() {
    let cluster = cluster(echo());
    let connect = || Client::connect(cluster.endpoint());
    cluster.tokio.block_on(async {
        for _ in 0..70 {
            let error = connect().unwrap_err();
            assert!(matches!(error, ConnectError::InAsyncCode), "{error}");
            assert!(error.to_string().contains("spawn_blocking"), "{error}");
        }
    });
    let endpoint = cluster.endpoint();
    let connected = cluster.tokio.spawn_blocking(move || Client::connect(endpoint).map(drop));
    cluster.tokio.block_on(connected).unwrap().unwrap();
}
