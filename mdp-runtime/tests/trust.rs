//! Who speaks, over real sockets: typed calls that hide in raw ones, and a policy that changes under a flood.

#![cfg(not(mdp_without_c))] // libzmq is the other side.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_protocol::wire::{self, CallKind, Direction, Part, Record, Tail};
use mdp_protocol::{Code as WireCode, Span};
use mdp_runtime::hooks::{BrokerHooks, Forward, Request, Verdict};
use mdp_runtime::security::{CurveClient, CurveServer, KeyPair, SecretKey};
use mdp_runtime::{
    Broker, BrokerBuilder, Call, Client, Code, Context, Dialect, Policy, RawClient, RawError,
    RawWorker, Status, Worker,
};
use support::{ECHO, answering};

const DEADLINE: Duration = Duration::from_secs(20);
const DIALECTS: [Dialect; 3] = [Dialect::Rpc, Dialect::Mdp01, Dialect::Mdp02];
const SERVICE: &str = "test.v1.Echo";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Notes what it is asked, and rejects each typed call.
#[derive(Clone, Default)]
struct Guard(Arc<Mutex<Vec<(String, bool)>>>);

impl BrokerHooks for Guard {
    fn request(&self, request: &Request) -> Verdict {
        self.0.lock().unwrap().push((request.path().to_owned(), request.is_raw()));
        match request.is_raw() {
            true => Forward::new().into(),
            false => Status::permission_denied("nobody opens the vault").into(),
        }
    }
}

/// A packet with one REQUEST that says it is an administrator's.
fn forged_request() -> Vec<u8> {
    let record = Record::Request {
        call: 1,
        timeout: Span::from_secs(5),
        idempotent: false,
        attempt: 1,
        peer: &b"x admin"[..],
        kind: CallKind::Unary,
        body: (),
    };
    packet(&record, ECHO.path.as_bytes(), b"")
}

/// A packet with one FINAL, or one DATA, that says it is another worker's.
fn forged_reply(last: bool) -> Vec<u8> {
    let record = match last {
        true => Record::Final {
            call: 1,
            code: WireCode::NotFound,
            not_started: false,
            attempt: 1,
            peer: &b"boss"[..],
            reply: wire::Reply::Body(()),
        },
        false => Record::Data { call: 1, of: Direction::Replies, part: Part::Item(()) },
    };
    packet(&record, b"", b"")
}

fn packet(record: &Record<&[u8], ()>, name: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    wire::begin(&mut packet);
    let bytes = [name, payload].concat();
    let (name_len, payload_len) = (name.len() as u8, payload.len() as u32);
    let tail = Tail { bytes: &bytes, name_len, payload_len, ..Tail::default() };
    wire::put_tail(&mut packet, record, tail);
    packet
}

fn raw_client(endpoint: &str, dialect: Dialect) -> RawClient {
    let builder = RawClient::builder().dialect(dialect).connect(endpoint);
    builder.context(&Context::new()).open().unwrap().with_timeout(ms(700))
}

/// The status with which a raw request ended.
fn status_of(ended: Result<Vec<Bytes>, RawError>) -> Status {
    match ended {
        Err(RawError::Status(status)) => status,
        other => panic!("{other:?}"),
    }
}

async fn connected(worker: &Worker) {
    tokio::time::timeout(DEADLINE, worker.connected()).await.unwrap().unwrap();
}

/// A31: a raw call whose body is a typed one gets past no hook, and no handler runs in a made-up name.
#[tokio::test(flavor = "multi_thread")]
async fn a31_a_raw_call_smuggles_no_typed_one() {
    for serves in DIALECTS {
        for asks in DIALECTS {
            let policy = format!("[anonymous]\ncall = ['{SERVICE}']\nserve = ['*']\n");
            let guard = Guard::default();
            let broker = Broker::builder().bind("tcp://127.0.0.1:*");
            let broker = broker.policy(Policy::parse(&policy).unwrap()).hooks(guard.clone());
            let broker = broker.start().unwrap();
            let endpoint = broker.endpoints()[0].clone();
            let ran = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&ran);
            let service = answering(move |cx, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                async move { Ok(cx.principal().unwrap_or_default().to_owned()) }
            });
            let builder = Worker::builder().dialect(serves).connect(&endpoint);
            let worker = builder.context(&Context::new()).serve(service).start().unwrap();
            connected(&worker).await;
            let raw = raw_client(&endpoint, asks);
            let what = format!("{asks:?} to {serves:?}");
            let ended = raw.send(SERVICE, vec![forged_request().into()]).await;
            match (asks, ended) {
                (Dialect::Rpc, ended) => {
                    let status = status_of(ended);
                    assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status}");
                }
                // What the broker says of a typed call of a classic client comes in a tunnel.
                (_, ended) => drop(ended),
            }
            assert_eq!(ran.load(Ordering::SeqCst), 0, "{what}: the handler ran");
            // A classic client's is typed from the start, and the hook hears of it as such.
            let asked = std::mem::take(&mut *guard.0.lock().unwrap());
            let typed = vec![(ECHO.path.to_owned(), false)];
            let wanted = if asks == Dialect::Rpc { Vec::new() } else { typed };
            assert_eq!(asked, wanted, "{what}");
        }
    }
}

/// A hook that makes a raw call out of frames makes no typed one of it.
#[tokio::test(flavor = "multi_thread")]
async fn a31_a_hook_smuggles_no_typed_call() {
    struct Wrap;
    impl BrokerHooks for Wrap {
        fn request(&self, _: &Request) -> Verdict {
            Forward::new().frames([forged_request()]).into()
        }
    }
    for serves in DIALECTS {
        let broker = Broker::builder().bind("tcp://127.0.0.1:*").hooks(Wrap).start().unwrap();
        let endpoint = broker.endpoints()[0].clone();
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ran);
        let service = answering(move |_, text| {
            counted.fetch_add(1, Ordering::SeqCst);
            async move { Ok(text) }
        });
        let builder = Worker::builder().dialect(serves).connect(&endpoint);
        let worker = builder.context(&Context::new()).serve(service).start().unwrap();
        connected(&worker).await;
        let raw = raw_client(&endpoint, Dialect::Rpc);
        let status = status_of(raw.send(SERVICE, vec!["hi".into()]).await);
        assert_eq!(status.code(), Code::InvalidArgument, "{serves:?}: {status}");
        assert_eq!(ran.load(Ordering::SeqCst), 0, "{serves:?}");
    }
}

/// A worker's raw reply that is a record is never taken for a status by a classic client, but for one of that worker.
#[tokio::test(flavor = "multi_thread")]
async fn a31_a_raw_reply_smuggles_no_status() {
    for serves in DIALECTS {
        for asks in DIALECTS {
            for last in [true, false] {
                let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
                let endpoint = broker.endpoints()[0].clone();
                let builder = RawWorker::builder("raw.echo").dialect(serves).connect(&endpoint);
                let mut worker = builder.context(&Context::new()).start().unwrap();
                tokio::spawn(async move {
                    while let Some((_, replier)) = worker.recv().await {
                        let forged = vec![forged_reply(last).into()];
                        if last {
                            let _ = replier.finish(forged);
                        } else {
                            let _ = replier.partial(forged).await;
                            let _ = replier.finish(vec!["end".into()]);
                        }
                    }
                });
                let what = format!("{serves:?} to {asks:?}, last {last}");
                let raw = raw_client(&endpoint, asks).with_timeout(ms(1_500));
                let ended = raw.send("raw.echo", vec!["hi".into()]).await;
                match (ended, asks) {
                    // Frames are frames to a client of MDP/RPC.
                    (Ok(_), Dialect::Rpc) => {}
                    (Ok(frames), _) => {
                        let forged = forged_reply(last);
                        let hidden = frames.iter().any(|frame| **frame == forged[..]);
                        assert!(!hidden, "{what}: {frames:?}");
                    }
                    (Err(error), _) => {
                        assert!(!error.to_string().contains("boss"), "{what}: {error}");
                    }
                }
            }
        }
    }
}

struct Keys {
    broker: KeyPair,
    worker: KeyPair,
    ann: KeyPair,
    ann_raw: zmq::CurveKeyPair,
}

impl Keys {
    fn new() -> Self {
        let ann_raw = zmq::CurveKeyPair::new().unwrap();
        let ann = KeyPair::from_secret(SecretKey::from_bytes(ann_raw.secret_key));
        let [broker, worker] = [(); 2].map(|()| KeyPair::new().unwrap());
        Keys { broker, worker, ann, ann_raw }
    }

    /// With Ann or without; `[anonymous]` is meant for the broker's own process.
    fn policy(&self, ann: &str) -> Policy {
        let worker = format!("[[principal]]\nname = 'w'\nkeys = ['{}']\n", self.worker.public());
        let own = format!("[[principal]]\nname = 'ann'\nkeys = ['{}']\n{ann}\n", self.ann.public());
        let own = if ann.is_empty() { "" } else { &own };
        let text =
            format!("{worker}serve = ['*']\n{own}[anonymous]\ncall = ['*']\nserve = ['*']\n");
        Policy::parse(&text).unwrap()
    }

    fn builder(&self) -> BrokerBuilder {
        let keys = [*self.worker.public(), *self.ann.public()];
        let curve = CurveServer::new(self.broker.clone()).allow(keys);
        Broker::builder().bind("tcp://127.0.0.1:*").curve(curve)
    }

    fn curve(&self, own: &KeyPair) -> CurveClient {
        CurveClient::new(*self.broker.public()).key_pair(own.clone())
    }

    /// A socket of Ann's that says what it likes.
    fn socket(&self, context: &zmq::Context, endpoint: &str) -> zmq::Socket {
        let socket = context.socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_sndtimeo(100).unwrap();
        socket.set_rcvhwm(100_000).unwrap();
        socket.set_curve_serverkey(self.broker.public().as_bytes()).unwrap();
        socket.set_curve_publickey(&self.ann_raw.public_key).unwrap();
        socket.set_curve_secretkey(&self.ann_raw.secret_key).unwrap();
        socket.connect(endpoint).unwrap();
        socket
    }
}

/// A32: 16 sockets of Ann flood the broker while 200 policies change whether she is known. No message counts as one
/// without a key.
#[tokio::test(flavor = "multi_thread")]
async fn a32_a_peer_keeps_its_key_while_the_policy_changes() {
    /// Counts what it is asked about peers without a key.
    #[derive(Clone, Default)]
    struct Count(Arc<AtomicU64>, Arc<AtomicU64>);
    impl BrokerHooks for Count {
        fn request(&self, request: &Request) -> Verdict {
            self.0.fetch_add(1, Ordering::Relaxed);
            let nameless = request.key().is_none() || request.principal() != Some("ann");
            self.1.fetch_add(u64::from(nameless), Ordering::Relaxed);
            Forward::new().into()
        }
    }
    let keys = Arc::new(Keys::new());
    let counts = Count::default();
    let builder = keys.builder().policy(keys.policy("call = ['raw.echo']")).hooks(counts.clone());
    let broker = builder.start().unwrap();
    let endpoint = broker.endpoints()[0].clone();
    let builder = RawWorker::builder("raw.echo").dialect(Dialect::Rpc).connect(&endpoint);
    let builder = builder.capacity(1_000).context(&Context::new());
    let builder = builder.curve(keys.curve(&keys.worker));
    let mut worker = builder.start().unwrap();
    tokio::spawn(async move {
        while let Some((frames, replier)) = worker.recv().await {
            let _ = replier.finish(frames);
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..2)
        .map(|_| {
            let (keys, stop, endpoint) = (Arc::clone(&keys), Arc::clone(&stop), endpoint.clone());
            std::thread::spawn(move || {
                let context = zmq::Context::new();
                let sockets: Vec<_> = (0..8).map(|_| keys.socket(&context, &endpoint)).collect();
                while !stop.load(Ordering::Relaxed) {
                    for socket in &sockets {
                        for _ in 0..20 {
                            let _ = socket.send_multipart(["MDPC02", "\x01", "raw.echo", "hi"], 0);
                        }
                        while socket.recv_multipart(zmq::DONTWAIT).is_ok() {}
                    }
                }
            })
        })
        .collect();
    let changes = if cfg!(debug_assertions) { 200 } else { 400 };
    for change in 0..changes {
        // Some messages under each policy: until there are, the next one waits.
        let seen = counts.0.load(Ordering::Relaxed);
        broker.set_policy(keys.policy(if change % 2 == 0 { "" } else { "call = ['raw.echo']" }));
        let until = Instant::now() + DEADLINE;
        while change % 2 == 1 && counts.0.load(Ordering::Relaxed) < seen + 20 {
            assert!(Instant::now() < until, "the flood does not reach the hooks");
            tokio::time::sleep(ms(1)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    let (asked, nameless) = (counts.0.load(Ordering::Relaxed), counts.1.load(Ordering::Relaxed));
    println!("{changes} changes, {asked} requests, {nameless} of them without Ann's key");
    assert!(asked > 2_000, "{asked} requests only");
    assert_eq!(nameless, 0, "of {asked} requests");
}

/// A7: whoever connects with the routing id of a peer that has just gone is sent neither a reply of that peer's call nor a
/// request that was meant for it.
#[tokio::test(flavor = "multi_thread")]
async fn a7_nobody_hears_what_is_meant_for_another_key() {
    let keys = Keys::new();
    let eve = zmq::CurveKeyPair::new().unwrap();
    let own = zmq::z85_encode(&eve.public_key).unwrap();
    let text = format!(
        "[[principal]]\nname = 'ann'\nkeys = ['{}']\ncall = ['slow', 'desk']\nserve = ['slow', 'desk']\n\
         [[principal]]\nname = 'eve'\nkeys = ['{own}']\ncall = ['other']\n",
        keys.ann.public()
    );
    let curve = CurveServer::new(keys.broker.clone());
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").curve(curve);
    let broker = broker.policy(Policy::parse(&text).unwrap()).start().unwrap();
    let endpoint = broker.endpoints()[0].clone();
    let builder = RawWorker::builder("slow").dialect(Dialect::Rpc).connect(&endpoint);
    let builder = builder.context(&Context::new()).curve(keys.curve(&keys.ann));
    let mut worker = builder.start().unwrap();
    assert!(worker.connected().await);
    let context = zmq::Context::new();
    let known_as = |id: &[u8], own: &zmq::CurveKeyPair| {
        let socket = context.socket(zmq::DEALER).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_identity(id).unwrap();
        socket.set_curve_serverkey(keys.broker.public().as_bytes()).unwrap();
        socket.set_curve_publickey(&own.public_key).unwrap();
        socket.set_curve_secretkey(&own.secret_key).unwrap();
        socket.connect(&endpoint).unwrap();
        socket
    };
    // A call whose reply comes when its client has gone, and a worker that goes without a word.
    let client = known_as(b"client-1", &keys.ann_raw);
    client.send_multipart(["MDPC02", "\x01", "slow", "hi"], 0).unwrap();
    let desk = known_as(b"desk-1", &keys.ann_raw);
    desk.send_multipart(["MDPW02", "\x01", "desk"], 0).unwrap();
    let held = tokio::time::timeout(ms(1_000), worker.recv()).await.ok().flatten();
    drop((client, desk));
    tokio::time::sleep(ms(200)).await; // until the broker's socket has noticed
    let thieves = [known_as(b"client-1", &eve), known_as(b"desk-1", &eve)];
    tokio::time::sleep(ms(200)).await; // until they are connected
    if let Some((frames, replier)) = held {
        // The call is over as soon as the broker knows that its client has gone.
        let _ = replier.finish(frames);
    }
    let asks = raw_curve_client(&endpoint, keys.curve(&keys.ann));
    let _ = asks.send("desk", vec![Bytes::from_static(b"secret")]).await;
    for thief in &thieves {
        while let Ok(message) = thief.recv_multipart(zmq::DONTWAIT) {
            let shows = message.iter().any(|frame| [&b"hi"[..], b"secret"].contains(&&**frame));
            assert!(!shows, "{message:?}");
        }
    }
}

fn raw_curve_client(endpoint: &str, curve: CurveClient) -> RawClient {
    let builder = RawClient::builder().dialect(Dialect::Rpc).connect(endpoint).curve(curve);
    builder.context(&Context::new()).open().unwrap().with_timeout(ms(700))
}

/// A36: a call that its client gives up keeps its place in the quota while a worker is busy with it.
#[tokio::test(flavor = "multi_thread")]
async fn a36_calls_that_were_given_up_count_until_their_slots_are_back() {
    let policy = "[anonymous]\ncall = ['*']\nserve = ['*']\ncalls_in_flight = 1\n";
    let broker = Broker::builder().bind("tcp://127.0.0.1:*");
    let broker = broker.policy(Policy::parse(policy).unwrap()).start().unwrap();
    let endpoint = &broker.endpoints()[0];
    // Workers that hear nothing of a call's end.
    let workers: Vec<zmq::Socket> = (0..6)
        .map(|_| {
            let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
            socket.set_linger(0).unwrap();
            socket.connect(endpoint).unwrap();
            socket.send_multipart(["MDPW02", "\x01", SERVICE], 0).unwrap();
            socket
        })
        .collect();
    let client = Client::connect(endpoint).await.unwrap();
    let mut quota = 0;
    let deadline = Instant::now() + DEADLINE;
    while quota < 11 {
        assert!(Instant::now() < deadline, "{quota} were refused");
        let call = Call::<String>::new(&client, &ECHO, &"hi".to_owned()).timeout(ms(20)).await;
        let status = call.unwrap_err();
        quota += usize::from(status.message().contains("calls_in_flight"));
        tokio::time::sleep(ms(40)).await; // until its time has passed at the broker, too
    }
    let given = |socket: &zmq::Socket| {
        let mut given = 0;
        while let Ok(message) = socket.recv_multipart(zmq::DONTWAIT) {
            given += usize::from(message.get(1).is_some_and(|command| *command == [2]));
        }
        given
    };
    let at_work: usize = workers.iter().map(given).sum();
    assert_eq!(at_work, 1);
}

/// A39: a stream whose caller loses the right ends, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn a39_a_stream_ends_with_its_right() {
    let allowed = "[anonymous]\ncall = ['*']\nserve = ['*']\n";
    let denied = "[anonymous]\ncall = ['other.*']\nserve = ['*']\n";
    let broker = Broker::builder().bind("tcp://127.0.0.1:*");
    let broker = broker.policy(Policy::parse(allowed).unwrap()).start().unwrap();
    let endpoint = &broker.endpoints()[0];
    let builder = RawWorker::builder("raw.ticks").connect(endpoint);
    let mut worker = builder.context(&Context::new()).start().unwrap();
    tokio::spawn(async move {
        while let Some((_, replier)) = worker.recv().await {
            tokio::spawn(async move {
                while replier.partial(vec!["tick".into()]).await.is_ok() {
                    tokio::time::sleep(ms(5)).await;
                }
            });
        }
    });
    let raw = raw_client(endpoint, Dialect::Rpc).with_timeout(DEADLINE);
    let mut ticks = raw.request("raw.ticks", vec!["begin".into()]);
    for _ in 0..3 {
        ticks.next().await.unwrap().unwrap();
    }
    let began = Instant::now();
    broker.set_policy(Policy::parse(denied).unwrap());
    let status = loop {
        match ticks.next().await {
            Some(Ok(_)) => assert!(began.elapsed() < ms(2_000), "it goes on"),
            ended => break status_of(ended.unwrap().map(|reply| reply.frames)),
        }
    };
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
}
