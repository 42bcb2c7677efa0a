//! CURVE as programs see it: who can talk to whom, what those are told who cannot, and what is on the wire.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mdp_runtime::patterns::{Puller, Pusher, StartError};
use mdp_runtime::security::{AllowList, CurveClient, CurveServer, HandshakeFault, KeyPair};
use mdp_runtime::{
    BindError, Broker, BrokerBuilder, Call, Client, ClientBuilder, Code, ConnectError,
    ConnectionState, Context, Dialect, LossCause, Policy, RawClient, ServeError, Worker,
    WorkerBuilder, blocking,
};
use support::{ECHO, echo};

/// What comes, comes much sooner.
const DEADLINE: Duration = Duration::from_secs(20);
/// For what is not to come.
const SHORT: Duration = Duration::from_millis(600);

/// Keys of a broker and of two peers, of which the broker knows the first.
struct Keys {
    broker: KeyPair,
    known: KeyPair,
    stranger: KeyPair,
}

impl Keys {
    fn new() -> Self {
        let [broker, known, stranger] = [(); 3].map(|()| KeyPair::new().unwrap());
        Keys { broker, known, stranger }
    }

    fn server(&self) -> CurveServer {
        CurveServer::new(self.broker.clone()).allow([*self.known.public()])
    }

    fn curve(&self, own: &KeyPair) -> CurveClient {
        CurveClient::new(*self.broker.public()).key_pair(own.clone())
    }
}

fn on_tcp() -> BrokerBuilder {
    Broker::builder().bind("tcp://127.0.0.1:*")
}

/// Each in a context of its own, as separate programs are.
fn client(endpoint: &str) -> ClientBuilder {
    Client::builder().connect(endpoint).context(&Context::new()).connect_timeout(DEADLINE)
}

fn worker(endpoint: &str) -> WorkerBuilder {
    Worker::builder().connect(endpoint).context(&Context::new()).serve(echo())
}

async fn connected(worker: &Worker) {
    tokio::time::timeout(DEADLINE, worker.connected()).await.unwrap().unwrap();
}

async fn says(client: &Client, text: &str) -> String {
    Call::<String>::new(client, &ECHO, &text.to_owned()).timeout(DEADLINE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_of_peers_talk_over_tcp_and_ipc() {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}", folder.path().join("mdp.sock").display());
    let broker = on_tcp().bind(&ipc).curve(keys.server()).start().unwrap();
    assert_eq!(broker.public_key(), Some(*keys.broker.public()));
    for endpoint in broker.endpoints() {
        let worker = worker(endpoint).curve(keys.curve(&keys.known)).start().unwrap();
        connected(&worker).await;
        let async_client = client(endpoint).curve(keys.curve(&keys.known)).open().await.unwrap();
        assert_eq!(says(&async_client, "hello").await, "hello");
        let curve = keys.curve(&keys.known);
        let endpoint = endpoint.clone();
        let blocking = thread::spawn(move || {
            let client: blocking::Client = client(&endpoint).curve(curve).open_blocking().unwrap();
            Call::<String>::new(&client.handle(), &ECHO, &"there".to_owned()).wait().unwrap()
        });
        assert_eq!(blocking.join().unwrap(), "there");
        worker.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn without_a_key_of_its_own_a_peer_is_anybody() {
    let keys = Keys::new();
    let anonymous = || CurveClient::new(*keys.broker.public());
    let open = on_tcp().curve(keys.server().allow_list(AllowList::anybody())).start().unwrap();
    client(&open.endpoints()[0]).curve(anonymous()).open().await.unwrap();
    let closed = on_tcp().curve(keys.server()).start().unwrap();
    let refused = client(&closed.endpoints()[0]).curve(anonymous()).open().await.unwrap_err();
    let wanted = HandshakeFault::Refused { status: 400 };
    assert!(matches!(refused, ConnectError::Handshake { fault, .. } if fault == wanted));
}

/// At once, though the client would have waited long.
#[tokio::test]
async fn a_key_that_is_not_known_is_refused_and_told_so() {
    let keys = Keys::new();
    let broker = on_tcp().curve(keys.server()).start().unwrap();
    let endpoint = broker.endpoints()[0].as_str();
    let patient = client(endpoint).connect_timeout(Duration::from_secs(600));
    let open = patient.curve(keys.curve(&keys.stranger)).open();
    let refused = tokio::time::timeout(DEADLINE, open).await.unwrap().unwrap_err();
    let wanted = HandshakeFault::Refused { status: 400 };
    match &refused {
        ConnectError::Handshake { endpoint: at, fault } if *fault == wanted => {
            assert_eq!(at, endpoint);
        }
        other => panic!("{other:?}"),
    }
    assert!(refused.to_string().contains("does not accept this key"), "{refused}");
    assert_eq!(broker.stats().await.sessions, 0);
}

#[tokio::test]
async fn a_worker_that_is_refused_says_so_in_its_state() {
    let keys = Keys::new();
    let broker = on_tcp().curve(keys.server()).start().unwrap();
    let worker = worker(&broker.endpoints()[0]).curve(keys.curve(&keys.stranger));
    let worker = worker.start().unwrap();
    let mut state = worker.state();
    let wanted = ConnectionState::Disconnected(LossCause::Handshake);
    let refused = state.wait_for(|state| *state == wanted);
    tokio::time::timeout(DEADLINE, refused).await.unwrap().unwrap();
    // Let in later, it needs no new start.
    broker.allowed_keys().unwrap().add(*keys.stranger.public());
    connected(&worker).await;
}

#[tokio::test]
async fn with_another_key_of_the_broker_nobody_connects() {
    let keys = Keys::new();
    let broker = on_tcp().curve(keys.server()).start().unwrap();
    let wrong = CurveClient::new(*keys.stranger.public()).key_pair(keys.known.clone());
    let endpoint = &broker.endpoints()[0];
    let open = client(endpoint).connect_timeout(SHORT).curve(wrong.clone()).open();
    let refused = tokio::time::timeout(DEADLINE, open).await.unwrap().unwrap_err();
    let ended = |error: &ConnectError| {
        matches!(error, ConnectError::Handshake { fault: HandshakeFault::Ended, .. })
    };
    assert!(ended(&refused), "{refused:?}");
    assert!(refused.to_string().contains("public key"), "{refused}");
    let endpoint = endpoint.clone();
    let blocking = move || client(&endpoint).connect_timeout(SHORT).curve(wrong).open_blocking();
    let refused = tokio::task::spawn_blocking(blocking).await.unwrap().unwrap_err();
    assert!(ended(&refused), "{refused:?}");
    assert_eq!(broker.stats().await.sessions, 0);
}

#[tokio::test]
async fn unencrypted_and_curve_never_talk() {
    let keys = Keys::new();
    let secure = on_tcp().curve(keys.server().allow_list(AllowList::anybody())).start().unwrap();
    let unencrypted = on_tcp().start().unwrap();
    // An unencrypted peer at a broker with CURVE.
    let open = client(&secure.endpoints()[0]).connect_timeout(SHORT).open().await;
    let told = matches!(
        open,
        Err(ConnectError::NoBroker { .. }
            | ConnectError::Handshake { fault: HandshakeFault::Mechanism, .. })
    );
    assert!(told, "{open:?}");
    let unencrypted_worker = worker(&secure.endpoints()[0]).start().unwrap();
    // The reverse. Either side may be the first to see that it cannot be.
    let curve = keys.curve(&keys.known);
    let open = client(&unencrypted.endpoints()[0]).connect_timeout(SHORT).curve(curve).open().await;
    let Err(ConnectError::Handshake { fault, .. }) = open else { panic!("{open:?}") };
    assert!(matches!(fault, HandshakeFault::Mechanism | HandshakeFault::Ended), "{fault:?}");
    for broker in [&secure, &unencrypted] {
        assert_eq!(broker.stats().await.sessions, 0);
    }
    drop(unencrypted_worker);
}

#[tokio::test]
async fn a_key_that_is_taken_out_opens_no_new_connection() {
    let keys = Keys::new();
    let broker = on_tcp().curve(keys.server()).start().unwrap();
    let endpoint = &broker.endpoints()[0];
    let _worker = {
        let worker = worker(endpoint).curve(keys.curve(&keys.known)).start().unwrap();
        connected(&worker).await;
        worker
    };
    let open = || client(endpoint).curve(keys.curve(&keys.known)).open();
    let before = open().await.unwrap();
    let list = broker.allowed_keys().unwrap();
    assert!(list.remove(keys.known.public()));
    assert!(matches!(open().await, Err(ConnectError::Handshake { .. })));
    // A connection that is there stays.
    assert_eq!(says(&before, "still").await, "still");
    list.set([*keys.known.public()]);
    open().await.unwrap();
}

#[tokio::test]
async fn there_is_a_key_for_each_endpoint() {
    let (one, other) = (Keys::new(), Keys::new());
    let broker = on_tcp().curve(one.server().allow_list(AllowList::anybody())).start().unwrap();
    let endpoint = &broker.endpoints()[0];
    // While a key is changed, the endpoint stands there with both.
    let both = CurveClient::with_servers([*other.broker.public(), *one.broker.public()]);
    let builder = client(endpoint).connect(endpoint);
    builder.clone().curve(both.clone()).open().await.unwrap();
    let three = builder.connect(endpoint).curve(both.clone()).open().await;
    let Err(ConnectError::ServerKeys { keys: 2, endpoints: 3 }) = three else {
        panic!("{three:?}")
    };
    let worker = worker(endpoint).curve(both).start();
    assert!(matches!(worker, Err(ServeError::ServerKeys { keys: 2, endpoints: 1 })));
}

#[test]
fn without_curve_only_this_machine_can_be_served() {
    for open in ["tcp://*:*", "tcp://0.0.0.0:*", "tcp://[::]:*"] {
        let refused = on_tcp().bind(open).start().unwrap_err();
        let BindError::Insecure { endpoint } = &refused else { panic!("{refused:?}") };
        assert_eq!(endpoint, open);
        let text = refused.to_string();
        assert!(text.contains("CURVE") && text.contains("--insecure"), "{text}");
    }
    Broker::builder().bind("tcp://0.0.0.0:*").insecure(true).start().unwrap();
    Broker::builder().bind("tcp://0.0.0.0:*").curve(Keys::new().server()).start().unwrap();
    Broker::builder().bind("tcp://127.0.0.1:*").bind("inproc://insecure").start().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_have_curve_too() {
    let keys = Keys::new();
    let puller = Puller::<String>::builder().bind("tcp://127.0.0.1:*").curve_server(keys.server());
    let mut puller = puller.start().unwrap();
    let endpoint = puller.endpoints()[0].clone();
    let pusher = |curve| {
        let builder = Pusher::<String>::builder().connect(&endpoint).context(&Context::new());
        builder.curve(curve).start().unwrap()
    };
    let refused = pusher(keys.curve(&keys.stranger));
    let _ = tokio::time::timeout(SHORT, refused.send(&TOKEN.to_owned())).await;
    let known = pusher(keys.curve(&keys.known));
    tokio::time::timeout(DEADLINE, known.send(&"known".to_owned())).await.unwrap().unwrap();
    let got = tokio::time::timeout(DEADLINE, puller.recv()).await.unwrap().unwrap();
    assert_eq!(got.as_deref(), Some("known"));
    let more = tokio::time::timeout(SHORT, puller.recv()).await;
    assert!(more.is_err(), "nothing comes of a stranger: {more:?}");
    let sides = Pusher::<String>::builder().bind("tcp://127.0.0.1:*");
    let sides = sides.connect(&endpoint).curve_server(keys.server()).start();
    assert!(matches!(sides, Err(StartError::CurveSides)));
    let two = CurveClient::with_servers([*keys.broker.public(), *keys.known.public()]);
    let two = Pusher::<String>::builder().connect(&endpoint).curve(two).start();
    assert!(matches!(two, Err(StartError::ServerKeys(2))));
}

/// Typed over classic MDP, and raw: they take the same keys, and never connect without them.
#[tokio::test(flavor = "multi_thread")]
async fn classic_dialects_have_curve_too() {
    let keys = Keys::new();
    let broker = on_tcp().curve(keys.server()).start().unwrap();
    let unencrypted = on_tcp().start().unwrap();
    for dialect in [Dialect::Mdp01, Dialect::Mdp02] {
        let endpoint = &broker.endpoints()[0];
        let curve = || keys.curve(&keys.known);
        let worker = worker(endpoint).dialect(dialect).curve(curve()).start().unwrap();
        connected(&worker).await;
        let typed = client(endpoint).dialect(dialect).curve(curve()).open().await.unwrap();
        assert_eq!(says(&typed, "typed").await, "typed");
        let raw = RawClient::builder().connect(endpoint).dialect(dialect);
        let raw = raw.context(&Context::new()).curve(curve()).open().unwrap();
        assert!(tokio::time::timeout(DEADLINE, raw.connected()).await.unwrap());
        worker.shutdown(Duration::ZERO).await;
        // The keys are in these sockets too: a broker without CURVE hears nothing of them.
        let open = client(&unencrypted.endpoints()[0]).connect_timeout(SHORT).dialect(dialect);
        assert!(open.curve(curve()).open().await.is_err());
    }
    assert_eq!(unencrypted.stats().await.sessions, 0);
}

/// What a policy says of a key holds for the connection that has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_goes_by_the_key_of_the_connection() {
    let keys = Keys::new();
    let text = format!(
        "[[principal]]\nname = 'ann'\nkeys = ['{}']\ncall = ['test.v1.*']\nserve = ['test.v1.*']\n\
         [[principal]]\nname = 'eve'\nkeys = ['{}']\ncall = ['other.v1.*']\n",
        keys.known.public(),
        keys.stranger.public()
    );
    let curve = keys.server().allow_list(AllowList::anybody());
    let broker = on_tcp().curve(curve).policy(Policy::parse(&text).unwrap()).start().unwrap();
    let endpoint = &broker.endpoints()[0];
    let worker = worker(endpoint).curve(keys.curve(&keys.known)).start().unwrap();
    connected(&worker).await;
    let ann = client(endpoint).curve(keys.curve(&keys.known)).open().await.unwrap();
    assert_eq!(says(&ann, "ann").await, "ann");
    let eve = client(endpoint).curve(keys.curve(&keys.stranger)).open().await.unwrap();
    let call = Call::<String>::new(&eve, &ECHO, &"eve".to_owned()).timeout(DEADLINE);
    assert_eq!(call.await.unwrap_err().code(), Code::PermissionDenied);
}

/// Hands bytes on between clients and a broker, and keeps them.
fn relay(broker: &str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let target = broker.strip_prefix("tcp://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let capture = Arc::clone(&seen);
    thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let Ok(far) = TcpStream::connect(&target) else { return };
            for (mut from, mut to) in
                [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)]
            {
                let capture = Arc::clone(&capture);
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut bytes) {
                        capture.lock().unwrap().extend_from_slice(&bytes[..count]);
                        if to.write_all(&bytes[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Both);
                });
            }
        }
    });
    (endpoint, seen)
}

const PAYLOAD: &str = "the payload that nobody else may read";
const TOKEN: &str = "token-2f9c51d7";

/// All that went over the wire of a call, both ways at client and worker, and whether the payload, the token and the name
/// of the method were in it.
async fn wire_of_a_call(keys: Option<&Keys>) -> [bool; 3] {
    let broker = match keys {
        Some(keys) => on_tcp().curve(keys.server()).start().unwrap(),
        None => on_tcp().start().unwrap(),
    };
    let (endpoint, seen) = relay(&broker.endpoints()[0]);
    let (mut worker, mut client) = (worker(&endpoint), client(&endpoint));
    if let Some(keys) = keys {
        worker = worker.curve(keys.curve(&keys.known));
        client = client.curve(keys.curve(&keys.known));
    }
    let worker = worker.start().unwrap();
    connected(&worker).await;
    let client = client.open().await.unwrap();
    let call = Call::<String>::new(&client, &ECHO, &PAYLOAD.to_owned());
    let reply = call.metadata("authorization", TOKEN).timeout(DEADLINE).await.unwrap();
    assert_eq!(reply, PAYLOAD);
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 400, "{} bytes", seen.len());
    let has = |text: &str| seen.windows(text.len()).any(|window| window == text.as_bytes());
    [has(PAYLOAD), has(TOKEN), has(ECHO.path)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a24_a_call_with_curve_shows_nothing_on_the_wire() {
    assert_eq!(wire_of_a_call(Some(&Keys::new())).await, [false; 3]);
}

/// The check above can fail.
#[tokio::test(flavor = "multi_thread")]
async fn a24_a_call_without_curve_shows_all_on_the_wire() {
    assert_eq!(wire_of_a_call(None).await, [true; 3]);
}
