//! The operator's hooks in a broker that runs.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use mdp_runtime::codegen::{
    self, Bytes, CallContext, HandlerFuture, MethodSpec, Schema, Service, ServiceSpec,
};
use mdp_runtime::hooks::{Answer, BrokerHooks, Forward, LeaveCause, Peer, Reply, Request, Verdict};
use mdp_runtime::{
    Broker, Client, Code, Context, Dialect, RawClient, RawError, RawWorker, Status, Worker,
};
use support::{
    ECHO, SAFE, SERVICE, answering, call, client, echo, look_call, safe_call, start, until, within,
    worker,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Hooks out of two closures.
struct Hooks<Q, P>(Q, P);

impl<Q, P> BrokerHooks for Hooks<Q, P>
where
    Q: Fn(&Request) -> Verdict + Send + Sync + 'static,
    P: Fn(&Reply) -> Verdict + Send + Sync + 'static,
{
    fn request(&self, request: &Request) -> Verdict {
        (self.0)(request)
    }

    fn reply(&self, reply: &Reply) -> Verdict {
        (self.1)(reply)
    }
}

fn pass() -> Verdict {
    Forward::new().into()
}

fn on_requests(request: impl Fn(&Request) -> Verdict + Send + Sync + 'static) -> Broker {
    start(Broker::builder().hooks(Hooks(request, |_: &Reply| pass())))
}

fn on_replies(reply: impl Fn(&Reply) -> Verdict + Send + Sync + 'static) -> Broker {
    start(Broker::builder().hooks(Hooks(|_: &Request| pass(), reply)))
}

/// Another service with the same methods.
struct Second(&'static str);

static SECOND: ServiceSpec = ServiceSpec {
    name: "test.v2.Echo",
    methods: &[
        MethodSpec { path: "test.v2.Echo/Echo", ..ECHO },
        MethodSpec { path: "test.v2.Echo/Safe", ..SAFE },
    ],
};

impl Service for Second {
    fn spec(&self) -> &'static ServiceSpec {
        &SECOND
    }

    fn schema(&self) -> Schema {
        Schema::of_files(Vec::new())
    }

    fn call(&self, method: u32, _: CallContext, body: Bytes) -> HandlerFuture {
        let spec = &SERVICE.methods[method as usize];
        let said = codegen::decode::<String>(spec, body).map(|said| format!("{}: {said}", self.0));
        codegen::handling(async move { Ok(codegen::encode(&said?)) })
    }
}

async fn second(broker: &Broker, id: &'static str) -> Worker {
    let builder = Worker::builder().connect(broker.endpoints()[0].clone()).id(id);
    let worker = builder.serve(Second(id)).start().unwrap();
    within(worker.connected()).await.unwrap();
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_sees_a_request_as_it_is() {
    let (told, seen) = mpsc::channel();
    let broker = on_requests(move |request| {
        let tenant = request.metadata().get_str("tenant").map(str::to_owned);
        let text: String = request.message().unwrap();
        let of = (request.service().to_owned(), request.method().unwrap().to_owned());
        let (id, left) = (request.client().id().to_owned(), request.timeout());
        let wanted = request.wanted_worker().map(str::to_owned);
        told.send((tenant, text, of, id, left, request.is_idempotent(), wanted)).unwrap();
        assert_eq!((request.principal(), request.is_raw()), (None, false));
        pass()
    });
    let _worker = worker(&broker, echo()).await;
    let builder = Client::builder().connect(&broker.endpoints()[0]).id("ann");
    let client = builder.open().await.unwrap();
    let text = "long ".repeat(10_000);
    let call = safe_call(&client, &text).metadata("tenant", "acme").timeout(ms(7_000));
    assert_eq!(within(call).await.unwrap(), text);
    let (tenant, said, of, id, left, idempotent, wanted) = seen.recv().unwrap();
    assert_eq!((tenant.as_deref(), said == text, wanted), (Some("acme"), true, None));
    assert_eq!((of.0.as_str(), of.1.as_str(), id.as_str()), ("test.v1.Echo", "Safe", "ann"));
    assert!(idempotent && left > ms(5_000) && left <= ms(7_000), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_says_of_a_caller_a_client_cannot_say() {
    let broker = on_requests(|request| match request.message::<String>().unwrap().as_str() {
        "anonymous" => Forward::new().remove_metadata("user").into(),
        _ => Forward::new().metadata("user", "ann").metadata("right", "all").into(),
    });
    let who = answering(|cx, _| async move {
        let users: Vec<_> = cx.metadata().get_all("user").cloned().collect();
        let other = cx.metadata().get_str("other").unwrap_or_default().to_owned();
        Ok(format!("{users:?} {:?} {other}", cx.metadata().get_str("right")))
    });
    let _worker = worker(&broker, who).await;
    let client = client(&broker).await;
    let forged = |text| {
        let call = call(&client, text).metadata("user", "root").metadata("other", "kept");
        call.metadata("user", "admin")
    };
    assert_eq!(within(forged("x")).await.unwrap(), r#"[b"ann"] Some("all") kept"#);
    assert_eq!(within(forged("anonymous")).await.unwrap(), "[] None kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_refused_answered_changed_or_sent_elsewhere() {
    let broker = on_requests(|request| match request.message::<String>().unwrap().as_str() {
        "refused" => Status::permission_denied("not you").into(),
        "answered" => Answer::message(&"by the hook".to_owned()).metadata("from", "hook").into(),
        "changed" => Forward::new().message(&"another".to_owned()).into(),
        "service" => Forward::new().to_service("test.v2.Echo").into(),
        "method" => Forward::new().to_method("test.v2.Echo/Safe").to_worker("b").into(),
        "worker" => Forward::new().to_service("test.v2.Echo").to_worker("nobody").into(),
        "rather" => Forward::new().to_service("test.v2.Echo").prefer_worker("nobody").into(),
        "discarded" => Verdict::Discard,
        _ => pass(),
    });
    let _worker = worker(&broker, echo()).await;
    let _a = second(&broker, "a").await;
    let _b = second(&broker, "b").await;
    let client = client(&broker).await;
    let says = async |text| within(call(&client, text)).await;
    let refused = says("refused").await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::PermissionDenied, "not you"));
    assert!(refused.not_started());
    let answered = within(call(&client, "answered").send()).await.unwrap();
    assert_eq!(answered.metadata().get_str("from"), Some("hook"));
    assert_eq!(answered.message(), "by the hook");
    assert_eq!(says("changed").await.unwrap(), "another");
    assert!(["a: service", "b: service"].contains(&says("service").await.unwrap().as_str()));
    assert_eq!(says("method").await.unwrap(), "b: method");
    let gone = says("worker").await.unwrap_err();
    assert_eq!((gone.code(), gone.reason().as_deref()), (Code::Unavailable, Some("NO_WORKER")));
    assert!(says("rather").await.unwrap().ends_with(": rather"));
    let lost = within(call(&client, "discarded").timeout(ms(300))).await.unwrap_err();
    assert_eq!(lost.code(), Code::DeadlineExceeded);
    assert_eq!(says("else").await.unwrap(), "else");
    assert_eq!(broker.stats().await.discarded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_changed_refused_replaced_or_sent_on() {
    let broker = on_replies(|reply| {
        assert_eq!((reply.method(), reply.worker().is_empty()), (Some("Echo"), false));
        if let Some(status) = reply.status() {
            assert_eq!(status.message(), "no such thing");
            return Answer::message(&"found it after all".to_owned()).into();
        }
        match reply.message::<String>().unwrap().as_str() {
            "stamped" => Forward::new().metadata("token", "t-1").remove_metadata("secret").into(),
            "secret" => Forward::new().message(&"[removed]".to_owned()).into(),
            "refused" => Status::data_loss("not to be shown").into(),
            "on" => Forward::new().to_service("test.v2.Echo").into(),
            "discarded" => Verdict::Discard,
            _ => pass(),
        }
    });
    let service = answering(|cx, request| async move {
        cx.reply_metadata("secret", "of the worker");
        if request == "missing" { Err(Status::not_found("no such thing")) } else { Ok(request) }
    });
    let _worker = worker(&broker, service).await;
    let _a = second(&broker, "a").await;
    let client = client(&broker).await;
    let says = async |text| within(call(&client, text)).await;
    let stamped = within(call(&client, "stamped").send()).await.unwrap();
    assert_eq!(stamped.metadata().get_str("token"), Some("t-1"));
    assert_eq!((stamped.metadata().get_str("secret"), stamped.metadata().len()), (None, 1));
    assert_eq!(says("secret").await.unwrap(), "[removed]");
    let refused = says("refused").await.unwrap_err();
    assert_eq!((refused.code(), refused.not_started()), (Code::DataLoss, false));
    assert_eq!(says("missing").await.unwrap(), "found it after all");
    assert_eq!(says("on").await.unwrap(), "a: on");
    let lost = within(call(&client, "discarded").timeout(ms(300))).await.unwrap_err();
    assert_eq!((lost.code(), lost.not_started()), (Code::DeadlineExceeded, false));
    assert_eq!(says("else").await.unwrap(), "else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_panics_lets_nothing_pass_and_stops_nothing() {
    let panics = |text: &str| assert_ne!(text, "panic");
    let broker = start(Broker::builder().hooks(Hooks(
        move |request: &Request| {
            panics(&request.message::<String>().unwrap());
            pass()
        },
        move |reply: &Reply| {
            panics(&reply.message::<String>().unwrap().replace("late ", ""));
            pass()
        },
    )));
    let runs = Arc::new(AtomicUsize::new(0));
    let ran = Arc::clone(&runs);
    let service = answering(move |_, request| {
        ran.fetch_add(1, Ordering::Relaxed);
        async move { Ok(request) }
    });
    let _worker = worker(&broker, service).await;
    let client = client(&broker).await;
    for n in 0..50 {
        let early = within(call(&client, "panic")).await.unwrap_err();
        assert_eq!((early.code(), early.not_started()), (Code::Internal, true));
        let late = within(call(&client, "late panic")).await.unwrap_err();
        assert_eq!((late.code(), late.not_started()), (Code::Internal, false));
        assert_eq!(within(call(&client, "fine")).await.unwrap(), "fine");
        assert_eq!(runs.load(Ordering::Relaxed), 2 * n + 2);
    }
}

/// A gate that stays shut until the test ends.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn wait(&self) {
        let mut open = self.0.lock().unwrap();
        while !*open {
            open = self.1.wait(open).unwrap();
        }
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

/// Twenty hooks that never end, with two threads: each of their calls ends, and those of others go on.
#[tokio::test(flavor = "multi_thread")]
async fn hooks_that_never_end_cost_their_own_calls_only() {
    let gate = Arc::new(Gate::default());
    let shut = Arc::clone(&gate);
    let hooks = Hooks(
        move |request: &Request| {
            if request.message::<String>().unwrap() == "stuck" {
                shut.wait();
            }
            pass()
        },
        |_: &Reply| pass(),
    );
    let broker = start(Broker::builder().hooks(hooks).hook_threads(2).hook_timeout(ms(200)));
    let _worker = worker(&broker, echo()).await;
    let client = client(&broker).await;
    let stuck: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let begun = Instant::now();
                let status = within(call(&client, "stuck")).await.unwrap_err();
                (status.code(), status.not_started(), begun.elapsed())
            })
        })
        .collect();
    for stuck in stuck {
        let (code, not_started, took) = stuck.await.unwrap();
        assert_eq!((code, not_started), (Code::Internal, true));
        assert!(took < ms(5_000), "{took:?}");
    }
    // The threads that are lost are replaced: calls pass again.
    let fine = async || within(call(&client, "fine")).await.is_ok();
    until(async || fine().await).await;
    for _ in 0..100 {
        within(call(&client, "fine")).await.unwrap();
    }
    gate.open();
    for _ in 0..100 {
        within(call(&client, "fine")).await.unwrap();
    }
    broker.shutdown(ms(1_000)).await;
}

/// With all threads stuck and none to take their place, calls are refused, and the broker does all the rest.
#[tokio::test(flavor = "multi_thread")]
async fn without_threads_for_its_hooks_the_broker_goes_on() {
    let gate = Arc::new(Gate::default());
    let shut = Arc::clone(&gate);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let hooks = Hooks(
        move |_: &Request| {
            count.fetch_add(1, Ordering::Relaxed);
            shut.wait();
            pass()
        },
        |_: &Reply| pass(),
    );
    let broker = start(Broker::builder().hooks(hooks).hook_threads(2).hook_timeout(ms(50)));
    let _worker = worker(&broker, echo()).await;
    let client = client(&broker).await;
    for _ in 0..80 {
        let status = within(call(&client, "x")).await.unwrap_err();
        assert_eq!((status.code(), status.not_started()), (Code::Internal, true));
    }
    // Two, and those that took the places of others.
    let max = 2 + 64;
    assert!(asked.load(Ordering::Relaxed) <= max, "{asked:?}");
    let stats = broker.stats().await;
    assert_eq!((stats.sessions, stats.held_bytes, stats.dispatched), (2, 0, 0));
    gate.open();
    until(async || within(call(&client, "x")).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_hooks_has_an_end() {
    let gate = Arc::new(Gate::default());
    let shut = Arc::clone(&gate);
    let hooks = Hooks(
        move |_: &Request| {
            shut.wait();
            pass()
        },
        |_: &Reply| pass(),
    );
    let limits = mdp_runtime::Limits { held_bytes: 1 << 20, ..Default::default() };
    let broker = start(Broker::builder().hooks(hooks).limits(limits).hook_timeout(ms(30_000)));
    let _worker = worker(&broker, echo()).await;
    let client = client(&broker).await;
    let text = "x".repeat(100_000);
    let calls: Vec<_> = (0..30)
        .map(|_| {
            let (client, text) = (client.clone(), text.clone());
            tokio::spawn(async move { within(call(&client, &text)).await })
        })
        .collect();
    until(async || broker.stats().await.refused == 20).await;
    assert!(broker.stats().await.held_bytes <= 1 << 20);
    gate.open();
    let mut fine = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => fine += 1,
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
        }
    }
    assert_eq!(fine, 10);
}

/// What hooks were told of.
#[derive(Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl BrokerHooks for Diary {
    fn judges_requests(&self) -> bool {
        false
    }

    fn judges_replies(&self) -> bool {
        false
    }

    fn request(&self, _: &Request) -> Verdict {
        unreachable!("it does not judge")
    }

    fn reply(&self, _: &Reply) -> Verdict {
        unreachable!("it does not judge")
    }

    fn worker_joined(&self, worker: &Peer, service: &str, capacity: u32) {
        self.write(format!("{} joined {service} x{capacity}", worker.id()));
        assert_ne!(worker.id(), "panic", "which is nobody's concern");
    }

    fn worker_left(&self, worker: &Peer, services: &[&str], cause: &LeaveCause) {
        self.write(format!("{} left {services:?}: {cause:?}", worker.id()));
    }

    fn client_seen(&self, client: &Peer) {
        self.write(format!("{} calls", client.id()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_told_who_comes_and_goes() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let broker = start(Broker::builder().hooks(Diary(Arc::clone(&lines))));
    let endpoint = broker.endpoints()[0].clone();
    let named = |id: &str| Worker::builder().connect(endpoint.clone()).id(id).capacity(3);
    let worker = named("w").serve(echo()).serve(Second("w")).start().unwrap();
    within(worker.connected()).await.unwrap();
    let rude = named("panic").serve(echo()).start().unwrap();
    within(rude.connected()).await.unwrap();
    let client = Client::builder().connect(&endpoint).id("c").open().await.unwrap();
    for _ in 0..3 {
        within(look_call(&client, "hi")).await.unwrap();
    }
    worker.shutdown(ms(1_000)).await;
    let left = "w left [\"test.v1.Echo\", \"test.v2.Echo\"]: Said(Shutdown)";
    until(async || lines.lock().unwrap().iter().any(|line| line == left)).await;
    let mut found = lines.lock().unwrap().clone();
    found.sort();
    let wanted = [
        "c calls",
        "panic joined test.v1.Echo x3",
        "w joined test.v1.Echo x3",
        "w joined test.v2.Echo x3",
        left,
    ];
    assert_eq!(found, wanted);
}

/// Raw calls are asked about as typed ones are, over all dialects.
#[tokio::test(flavor = "multi_thread")]
async fn raw_calls_of_all_dialects_are_asked_about() {
    let broker = start(Broker::builder().hooks(Hooks(
        |request: &Request| {
            assert_eq!((request.is_raw(), request.method()), (true, None));
            let frames = request.frames();
            match &*frames[0] {
                b"two" => Forward::new().to_service("raw.second").into(),
                b"more" => Forward::new().frames([frames[0].clone(), Bytes::from("more")]).into(),
                b"known" => Answer::frames(["from", "the hook"]).into(),
                b"refused" => Status::permission_denied("no").into(),
                _ => pass(),
            }
        },
        |reply: &Reply| match &*reply.frames()[0] {
            b"secret" => Forward::new().frames(["[removed]"]).into(),
            _ => pass(),
        },
    )));
    let endpoint = broker.endpoints()[0].clone();
    let served = async |dialect, service: &'static str| {
        let builder = RawWorker::builder(service).dialect(dialect).connect(&endpoint);
        let mut worker = builder.context(&Context::new()).start().unwrap();
        tokio::spawn(async move {
            while let Some((mut frames, replier)) = worker.recv().await {
                if service == "raw.second" {
                    frames.push("second".into());
                }
                // The asking server may be gone.
                let _ = replier.finish(frames);
            }
        });
    };
    served(Dialect::Rpc, "raw.first").await;
    served(Dialect::Mdp02, "raw.second").await;
    until(async || broker.stats().await.services == 2).await;
    for dialect in [Dialect::Rpc, Dialect::Mdp02, Dialect::Mdp01] {
        let builder = RawClient::builder().dialect(dialect).connect(&endpoint);
        let client = builder.context(&Context::new()).open().unwrap().with_timeout(ms(5_000));
        let says = async |text: &'static str| {
            let frames = client.send("raw.first", vec![text.into()]).await;
            frames.map(|frames| frames.join(&b" "[..]))
        };
        assert_eq!(says("hi").await.unwrap(), b"hi", "{dialect:?}");
        assert_eq!(says("two").await.unwrap(), b"two second");
        assert_eq!(says("more").await.unwrap(), b"more more");
        assert_eq!(says("known").await.unwrap(), b"from the hook");
        assert_eq!(says("secret").await.unwrap(), b"[removed]");
        match (dialect, says("refused").await) {
            (Dialect::Rpc, Err(RawError::Status(status))) => {
                assert_eq!(status.code(), Code::PermissionDenied);
            }
            // To a classic client a status comes in a tunnel (wire.md R88).
            (_, Ok(tunnel)) => assert!(tunnel.starts_with(b"\xd3\x01\x06")),
            (_, Err(error)) => panic!("{dialect:?}: {error}"),
        }
    }
}

/// Calls go on in both directions while hooks take their time, and more at once than there are threads.
#[tokio::test(flavor = "multi_thread")]
async fn many_calls_pass_through_hooks_at_once() {
    let hooks = Hooks(
        |request: &Request| match request.payload().len() % 3 {
            0 => Forward::new().metadata("seen", "yes").into(),
            _ => pass(),
        },
        |reply: &Reply| match reply.payload().len() % 5 {
            0 => Forward::new().metadata("seen", "yes").into(),
            _ => pass(),
        },
    );
    let broker = start(Broker::builder().hooks(hooks).hook_threads(3));
    let _worker = worker(&broker, echo()).await;
    let client = client(&broker).await;
    let tasks: Vec<_> = (0..64_usize)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                for m in 0..50 {
                    let text = "x".repeat((n * 50 + m) % 9_000);
                    assert_eq!(within(call(&client, &text)).await.unwrap(), text);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let stats = broker.stats().await;
    assert_eq!((stats.requests, stats.replies, stats.held_bytes), (3_200, 3_200, 0));
}
