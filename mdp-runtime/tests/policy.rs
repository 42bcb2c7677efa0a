//! A policy at a broker that runs: attacks that it stops, and how it changes under load.

#![cfg_attr(mdp_without_c, allow(unused_imports, dead_code))] // For tests that are left out.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mdp_runtime::details::RetryInfo;
use mdp_runtime::hooks::{Answer, BrokerHooks, Request, Verdict};
use mdp_runtime::security::{CurveClient, CurveServer, KeyPair, SecretKey};
use mdp_runtime::{
    BindError, Broker, BrokerBuilder, Call, Client, Code, Context, Dialect, Policy, PolicyError,
    RawClient, RawWorker, Status, Worker,
};
use support::{ECHO, answering, echo};

const DEADLINE: Duration = Duration::from_secs(20);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The broker's keys, and those of three peers.
struct Keys {
    broker: KeyPair,
    ann: KeyPair,
    bo: KeyPair,
    eve: KeyPair,
}

impl Keys {
    fn new() -> Self {
        let [broker, ann, bo, eve] = [(); 4].map(|()| KeyPair::new().unwrap());
        Keys { broker, ann, bo, eve }
    }

    /// Ann calls, Bo serves, and so may Eve, but something else.
    fn policy(&self, ann: &str) -> String {
        format!(
            "[[principal]]\nname = 'ann'\nkeys = ['{}']\n{ann}\n\
             [[principal]]\nname = 'bo'\nkeys = ['{}']\nserve = ['test.v1.*']\n\
             [[principal]]\nname = 'eve'\nkeys = ['{}']\ncall = ['test.v1.*']\nserve = ['eve.*']\n",
            self.ann.public(),
            self.bo.public(),
            self.eve.public()
        )
    }

    fn builder(&self) -> BrokerBuilder {
        let curve = CurveServer::new(self.broker.clone());
        Broker::builder().bind("tcp://127.0.0.1:*").curve(curve)
    }

    fn broker(&self, ann: &str) -> Broker {
        self.builder().policy(Policy::parse(&self.policy(ann)).unwrap()).start().unwrap()
    }

    fn curve(&self, own: &KeyPair) -> CurveClient {
        CurveClient::new(*self.broker.public()).key_pair(own.clone())
    }

    async fn client(&self, broker: &Broker, own: &KeyPair) -> Client {
        let builder = Client::builder().connect(&broker.endpoints()[0]).context(&Context::new());
        builder.curve(self.curve(own)).connect_timeout(DEADLINE).open().await.unwrap()
    }

    async fn worker(&self, broker: &Broker, own: &KeyPair) -> Worker {
        let builder = Worker::builder().connect(&broker.endpoints()[0]).context(&Context::new());
        let worker = builder.curve(self.curve(own)).serve(echo()).start().unwrap();
        tokio::time::timeout(DEADLINE, worker.connected()).await.unwrap().unwrap();
        worker
    }
}

async fn says(client: &Client, text: &str) -> Result<String, Status> {
    Call::<String>::new(client, &ECHO, &text.to_owned()).timeout(DEADLINE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_the_policy_are_those_that_are_let_in() {
    let keys = Keys::new();
    let broker = keys.broker("call = ['*']");
    let _bo = keys.worker(&broker, &keys.bo).await;
    let ann = keys.client(&broker, &keys.ann).await;
    assert_eq!(says(&ann, "hi").await.unwrap(), "hi");
    let stranger = KeyPair::new().unwrap();
    let builder = Client::builder().connect(&broker.endpoints()[0]).context(&Context::new());
    let refused = builder.curve(keys.curve(&stranger)).connect_timeout(ms(700)).open().await;
    assert!(refused.is_err(), "nobody knows this key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_knows_who_calls() {
    let keys = Keys::new();
    let broker = keys.broker("call = ['*']");
    let builder = Worker::builder().connect(&broker.endpoints()[0]).context(&Context::new());
    let who = answering(|cx, _| async move {
        let id = String::from_utf8_lossy(cx.client()).into_owned();
        Ok(format!("{} {id}", cx.principal().unwrap_or("nobody")))
    });
    let worker = builder.curve(keys.curve(&keys.bo)).serve(who).start().unwrap();
    tokio::time::timeout(DEADLINE, worker.connected()).await.unwrap().unwrap();
    // Its id is a claim, the principal is not.
    let builder = Client::builder().connect(&broker.endpoints()[0]).context(&Context::new());
    let ann = builder.curve(keys.curve(&keys.ann)).id("eve").open().await.unwrap();
    assert_eq!(says(&ann, "hi").await.unwrap(), "ann eve");
    // Without a policy it is the key.
    let curve =
        CurveServer::new(keys.broker.clone()).allow([*keys.ann.public(), *keys.bo.public()]);
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").curve(curve).start().unwrap();
    let builder = Worker::builder().connect(&broker.endpoints()[0]).context(&Context::new());
    let who = answering(|cx, _| async move { Ok(cx.principal().unwrap_or("nobody").to_owned()) });
    let worker = builder.curve(keys.curve(&keys.bo)).serve(who).start().unwrap();
    tokio::time::timeout(DEADLINE, worker.connected()).await.unwrap().unwrap();
    let ann = keys.client(&broker, &keys.ann).await;
    assert_eq!(says(&ann, "hi").await.unwrap(), keys.ann.public().to_string());
}

/// A1: whoever may not serve a service gets none of its requests, however often it says READY.
#[cfg(not(mdp_without_c))] // libzmq is the other side.
#[tokio::test(flavor = "multi_thread")]
async fn a1_a_worker_that_is_not_listed_gets_nothing() {
    let mut keys = Keys::new();
    let eve = zmq::CurveKeyPair::new().unwrap();
    keys.eve = KeyPair::from_secret(SecretKey::from_bytes(eve.secret_key));
    let broker = keys.broker("call = ['*']");
    let endpoint = broker.endpoints()[0].clone();
    let _bo = keys.worker(&broker, &keys.bo).await;
    let ann = keys.client(&broker, &keys.ann).await;
    // Eve may connect and serve something else.
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(0).unwrap();
    socket.set_curve_serverkey(keys.broker.public().as_bytes()).unwrap();
    socket.set_curve_publickey(&eve.public_key).unwrap();
    socket.set_curve_secretkey(&eve.secret_key).unwrap();
    socket.connect(&endpoint).unwrap();
    for turn in 0..500 {
        for dialect in [["MDPW02", "\x01", "test.v1.Echo"], ["MDPW02", "\x01", "eve.*"]] {
            socket.send_multipart(dialect, 0).unwrap();
        }
        assert_eq!(says(&ann, &turn.to_string()).await.unwrap(), turn.to_string());
        while let Ok(message) = socket.recv_multipart(0) {
            assert_ne!(message.get(1).map(Vec::as_slice), Some(b"\x02".as_slice()), "a request");
        }
    }
    assert!(broker.stats().await.denied > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_requests_of_classic_peers_need_the_right_too() {
    let keys = Keys::new();
    let broker = keys.broker("call = ['raw.*']\nserve = ['raw.*']");
    let endpoint = &broker.endpoints()[0];
    let raw = |service: &str, own: &KeyPair| {
        let builder = RawWorker::builder(service).dialect(Dialect::Mdp02).connect(endpoint);
        builder.context(&Context::new()).curve(keys.curve(own)).start().unwrap()
    };
    let mut worker = raw("raw.echo", &keys.ann);
    tokio::spawn(async move {
        while let Some((frames, replier)) = worker.recv().await {
            replier.finish(frames).unwrap();
        }
    });
    let client = |own: &KeyPair| {
        let builder = RawClient::builder().dialect(Dialect::Mdp01).connect(endpoint);
        builder.context(&Context::new()).curve(keys.curve(own)).open().unwrap()
    };
    let ann = client(&keys.ann).with_timeout(DEADLINE);
    assert_eq!(ann.send("raw.echo", vec!["hi".into()]).await.unwrap(), ["hi"]);
    let eve = client(&keys.eve).with_timeout(ms(500));
    eve.send("raw.echo", vec!["hi".into()]).await.unwrap_err();
    // The lists of `mmi.` need a right of their own.
    eve.send("mmi.services", vec![]).await.unwrap_err();
    // Whether a service is there is told to those who may use it.
    for (own, status) in [(&keys.eve, "404"), (&keys.ann, "200")] {
        let asked = client(own).with_timeout(DEADLINE);
        assert_eq!(asked.send("mmi.service", vec!["raw.echo".into()]).await.unwrap(), [status]);
    }
}

/// A hook knows the caller by its principal and by its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_knows_who_calls() {
    struct Who;
    impl BrokerHooks for Who {
        fn request(&self, request: &Request) -> Verdict {
            let key = request.key().map(|key| key.to_string()).unwrap_or_default();
            let said = format!("{} {key}", request.principal().unwrap_or("nobody"));
            Answer::message(&said).into()
        }
    }
    let keys = Keys::new();
    let policy = Policy::parse(&keys.policy("call = ['*']")).unwrap();
    let broker = keys.builder().policy(policy).hooks(Who).start().unwrap();
    let ann = keys.client(&broker, &keys.ann).await;
    assert_eq!(says(&ann, "hi").await.unwrap(), format!("ann {}", keys.ann.public()));
    // What the policy does not allow no hook is asked about.
    broker.set_policy(Policy::parse(&keys.policy("call = []")).unwrap());
    assert_eq!(says(&ann, "hi").await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_says_how_long_to_wait() {
    let keys = Keys::new();
    let broker = keys.broker("call = ['*']\ncalls_per_second = 5");
    let _bo = keys.worker(&broker, &keys.bo).await;
    let ann = keys.client(&broker, &keys.ann).await;
    let mut refused = Vec::new();
    for _ in 0..20 {
        refused.extend(says(&ann, "hi").await.err());
    }
    assert!(!refused.is_empty() && refused.len() <= 15, "{} of 20 refused", refused.len());
    for status in refused {
        assert_eq!(status.code(), Code::ResourceExhausted);
        let wait = status.detail::<RetryInfo>().and_then(|info| info.delay()).unwrap();
        assert!(wait > Duration::ZERO && wait <= ms(200), "{wait:?}");
        assert!(status.not_started());
    }
}

/// A27: a key that is taken back under load counts for nothing from then on, and nobody else notices.
#[tokio::test(flavor = "multi_thread")]
async fn a27_a_key_that_is_taken_back_counts_for_nothing() {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    create(&file, &keys.policy("call = ['test.v1.*']"));
    let broker = keys.builder().policy_file(&file).start().unwrap();
    let _bo = keys.worker(&broker, &keys.bo).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (took, last) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let mut loads = Vec::new();
    for own in [&keys.ann, &keys.eve] {
        let client = keys.client(&broker, own).await;
        let is_eve = std::ptr::eq(own, &keys.eve);
        let (stop, took, last) = (stop.clone(), took.clone(), last.clone());
        loads.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let call = Call::<String>::new(&client, &ECHO, &"hi".to_owned()).timeout(ms(500));
                match (call.await, is_eve) {
                    (Ok(_), false) => took.lock().unwrap().push(begun.elapsed()),
                    (Ok(_), true) => {
                        last.store(start.elapsed().as_millis() as u64, Ordering::Relaxed);
                    }
                    (Err(status), false) => panic!("ann: {status}"),
                    (Err(_), true) => tokio::time::sleep(ms(1)).await,
                }
            }
        }));
    }
    // The worst but one in a hundred of Ann's calls, and that there were some.
    let p99 = async |time| {
        took.lock().unwrap().clear();
        tokio::time::sleep(time).await; // the time that is looked at
        let deadline = Instant::now() + DEADLINE;
        while took.lock().unwrap().len() <= 200 {
            assert!(Instant::now() < deadline, "Ann's calls do not go on");
            tokio::time::sleep(ms(10)).await;
        }
        let mut took = std::mem::take(&mut *took.lock().unwrap());
        took.sort();
        took[took.len() * 99 / 100]
    };
    // In place, not by a rename: for a moment the file is empty, and must not count as it is then.
    let with_eve = keys.policy("call = ['test.v1.*']");
    let without_eve = with_eve.split("[[principal]]\nname = 'eve'").next().unwrap();
    let mut ratios = Vec::new();
    for _ in 0..4 {
        std::fs::write(&file, &with_eve).unwrap();
        let from = start.elapsed();
        let deadline = Instant::now() + DEADLINE;
        while ms(last.load(Ordering::Relaxed)) <= from {
            assert!(Instant::now() < deadline, "Eve's load does not run");
            tokio::time::sleep(ms(10)).await;
        }
        let before = p99(ms(1_500)).await;
        let revoked = start.elapsed();
        std::fs::write(&file, without_eve).unwrap();
        let after = p99(ms(2_000)).await;
        let late = ms(last.load(Ordering::Relaxed)).saturating_sub(revoked);
        assert!(late < ms(1_000), "answered {late:?} after the key was taken back");
        println!(
            "p99 of the other's calls: {before:?} before, {after:?} after; Eve's last answer after {late:?}"
        );
        ratios.push(after.as_secs_f64() / before.as_secs_f64());
    }
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        load.await.unwrap();
    }
    // Other tests run beside this one.
    ratios.sort_by(f64::total_cmp);
    assert!(ratios[1] <= 2.0, "p99 of others after and before: {ratios:?}");
}

/// The one that was put in force before a call was made is the one that it meets.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_policy_counts_for_the_next_call() {
    let keys = Keys::new();
    let broker = keys.broker("call = ['*']");
    let _bo = keys.worker(&broker, &keys.bo).await;
    let ann = keys.client(&broker, &keys.ann).await;
    for _ in 0..200 {
        broker.set_policy(Policy::parse(&keys.policy("call = []")).unwrap());
        assert_eq!(says(&ann, "hi").await.unwrap_err().code(), Code::PermissionDenied);
        broker.set_policy(Policy::parse(&keys.policy("call = ['*']")).unwrap());
        assert_eq!(says(&ann, "hi").await.unwrap(), "hi");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_leaves_the_policy_in_force() {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    create(&file, &keys.policy("call = ['test.v1.*']"));
    let broker = keys.builder().policy_file(&file).start().unwrap();
    let _bo = keys.worker(&broker, &keys.bo).await;
    let ann = keys.client(&broker, &keys.ann).await;
    std::fs::write(&file, "[[principal]]\nname = 'ann'\nkeys = ['short']\n").unwrap();
    match broker.reload_policy() {
        Err(PolicyError::Wrong { path, line, .. }) => assert_eq!((path, line), (file.clone(), 3)),
        other => panic!("{other:?}"),
    }
    assert_eq!(says(&ann, "hi").await.unwrap(), "hi");
    std::fs::write(&file, keys.policy("call = []")).unwrap();
    broker.reload_policy().unwrap();
    let status = says(&ann, "hi").await.unwrap_err();
    assert_eq!((status.code(), status.not_started()), (Code::PermissionDenied, true));
    // An empty file is no policy, and neither is one that others can write.
    std::fs::write(&file, "# soon\n").unwrap();
    assert!(matches!(broker.reload_policy(), Err(PolicyError::Empty { .. })));
    std::fs::write(&file, keys.policy("call = ['*']")).unwrap();
    set_mode(&file, 0o666);
    match broker.reload_policy() {
        Err(error @ PolicyError::Untrusted(_)) => {
            assert!(error.to_string().contains("chmod go-w "), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(says(&ann, "hi").await.unwrap_err().code(), Code::PermissionDenied);
    // As it says: then the file counts, and without being asked for.
    set_mode(&file, 0o644);
    let deadline = Instant::now() + DEADLINE;
    while says(&ann, "hi").await.is_err() {
        assert!(Instant::now() < deadline, "the file was not read again");
    }
    let none = Broker::builder().bind("inproc://policy.none").start().unwrap();
    assert!(matches!(none.reload_policy(), Err(PolicyError::NoFile)));
}

/// A file that its owner alone can write, whatever the umask says.
fn create(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
    set_mode(file, 0o644);
}

fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
}

/// Writes a file in place as some programs do: it is empty for a while, then it has its first half. Gives the pause
/// between the halves, which is longer than meant where the machine has other work.
fn write_slowly(file: &Path, text: &str, cut: usize) -> Duration {
    let mut open = std::fs::File::create(file).unwrap();
    std::thread::sleep(ms(400)); // a writer that is slow
    open.write_all(&text.as_bytes()[..cut]).unwrap();
    let half = Instant::now();
    std::thread::sleep(ms(50)); // as above
    open.write_all(&text.as_bytes()[cut..]).unwrap();
    half.elapsed()
}

/// A37: a file that is empty or half-written for a while turns nobody away, and counts when it is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a37_a_file_that_is_written_slowly_turns_nobody_away() {
    for _ in 0..10 {
        // A pause of 350 ms is that of a file that is whole.
        if a_slow_writer_turns_nobody_away().await < ms(250) {
            return;
        }
    }
    panic!("the writer had no turn in time, again and again");
}

/// Gives the longest pause of the writer; if that was too long, nothing was looked at.
async fn a_slow_writer_turns_nobody_away() -> Duration {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    create(&file, &keys.policy("call = ['test.v1.*']"));
    let broker = keys.builder().policy_file(&file).start().unwrap();
    let bo = keys.worker(&broker, &keys.bo).await;
    let ann = keys.client(&broker, &keys.ann).await;
    let eve = keys.client(&broker, &keys.eve).await;
    let mut state = bo.state();
    state.mark_unchanged();
    let before = broker.stats().await;
    let mut longest = Duration::ZERO;
    for round in 0..4 {
        // Eve may no longer call, and may again.
        let may = round % 2 == 1;
        let whole = keys.policy("call = ['test.v1.*']");
        let (others, last) = whole.split_once("name = 'eve'").unwrap();
        let eves = if may { "call = ['test.v1.*']" } else { "call = []" };
        let last = last.replace("call = ['test.v1.*']", eves);
        let text = format!("{others}name = 'eve'{last}");
        // The first half is a policy of its own: Ann is in it, Bo and Eve are not.
        let cut = text.find("[[principal]]\nname = 'bo'").unwrap();
        Policy::parse(&text[..cut]).unwrap();
        let path = file.clone();
        let writer = std::thread::spawn(move || write_slowly(&path, &text, cut));
        let deadline = Instant::now() + DEADLINE;
        while says(&eve, "hi").await.is_ok() != may {
            assert_eq!(says(&ann, "hi").await.unwrap(), "hi");
            assert!(Instant::now() < deadline, "the file that is whole does not count");
            tokio::time::sleep(ms(5)).await;
        }
        let too_early = !writer.is_finished();
        longest = longest.max(writer.join().unwrap());
        if longest > ms(250) {
            return longest;
        }
        assert!(!too_early, "the file counted before it was whole");
    }
    // Nobody was turned away at any moment: Bo would have come back, but his session is still the first one.
    assert!(!state.has_changed().unwrap(), "{:?}", state.borrow());
    let after = broker.stats().await;
    assert_eq!((after.sessions, after.redispatched), (before.sessions, before.redispatched));
    assert_eq!(after.turned_away, before.turned_away);
    longest
}

/// A37: a broker that starts while its policy is being written starts with all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a37_a_broker_starts_with_a_whole_policy() {
    let keys = Keys::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let text = keys.policy("call = ['test.v1.*']");
    let cut = text.find("[[principal]]\nname = 'bo'").unwrap();
    create(&file, &text[..cut]);
    let writer = std::thread::spawn({
        let (file, text) = (file.clone(), text.clone());
        move || {
            std::thread::sleep(ms(50)); // a writer that is slow
            std::fs::write(file, text).unwrap();
        }
    });
    let broker = keys.builder().policy_file(&file).start().unwrap();
    assert!(writer.is_finished(), "it waited for the rest");
    let _bo = keys.worker(&broker, &keys.bo).await;
    let ann = keys.client(&broker, &keys.ann).await;
    assert_eq!(says(&ann, "hi").await.unwrap(), "hi");
    // Empty for good: there is no broker without a policy then.
    std::fs::write(&file, "").unwrap();
    let error = keys.builder().policy_file(&file).start().unwrap_err();
    assert!(matches!(error, BindError::Policy(PolicyError::Empty { .. })), "{error}");
}
