//! Publishers and subscribers, pushers and pullers, pairs: over real sockets, with peers that are ours, foreign and hostile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests

mod pair;
mod publish;
mod push;
#[cfg(not(mdp_without_c))] // libzmq is the other side.
mod strangers;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mdp_runtime::codegen::TypedMessage;
use mdp_runtime::patterns::{
    Pair, PairReceiver, PairSender, Publisher, Puller, Pusher, RecvError, StartError, Subscriber,
};
use mdp_runtime::{Context, MdpRecord, Stream};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
struct Job {
    #[mdp(1)]
    number: u32,
    #[mdp(2)]
    text: String,
}

fn job(number: u32) -> Job {
    Job { number, text: String::new() }
}

fn encoded(job: &Job) -> Vec<u8> {
    let mut bytes = Vec::new();
    job.encode_to(&mut bytes);
    bytes
}

/// What a test waits for comes much sooner, or never.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it did not come in time")
}

/// That nothing comes is seen for a while.
async fn waits(future: impl Future) -> bool {
    tokio::time::timeout(Duration::from_millis(100), future).await.is_err()
}

/// An endpoint to bind over each transport, and what keeps its folder.
fn endpoints() -> (tempfile::TempDir, Vec<String>) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}/socket", folder.path().display());
    let inproc = format!("inproc://patterns.{}", NEXT.fetch_add(1, Ordering::Relaxed));
    (folder, vec!["tcp://127.0.0.1:*".into(), ipc, inproc])
}

const TCP: &str = "tcp://127.0.0.1:*";

/// A foreign socket, in a context of its own.
#[cfg(not(mdp_without_c))]
fn foreign(kind: zmq::SocketType) -> zmq::Socket {
    let socket = zmq::Context::new().socket(kind).unwrap();
    socket.set_linger(1_000).unwrap();
    socket.set_rcvtimeo(20_000).unwrap();
    socket.set_sndtimeo(20_000).unwrap();
    socket
}

/// A foreign socket that is bound, and where.
#[cfg(not(mdp_without_c))]
fn foreign_bound(kind: zmq::SocketType) -> (zmq::Socket, String) {
    let socket = foreign(kind);
    socket.bind(TCP).unwrap();
    let endpoint = socket.get_last_endpoint().unwrap().unwrap();
    (socket, endpoint)
}

/// The next item of a stream.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    within(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx))).await
}

/// The endpoint can be bound again once its socket has closed.
async fn bound_again(endpoint: &str) {
    within(async {
        while Puller::<Job>::builder().bind(endpoint).start().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[test]
fn handles_go_to_other_threads() {
    fn sends<T: Send>() {}
    fn shares<T: Send + Sync + Clone>() {}
    shares::<Publisher<Job>>();
    shares::<Pusher<Job>>();
    shares::<PairSender<Job>>();
    sends::<Subscriber<Job>>();
    sends::<Puller<Job>>();
    sends::<Pair<Job>>();
    sends::<PairReceiver<Job>>();
    sends::<RecvError>();
}

#[test]
fn without_tokio_there_is_no_socket() {
    let error = Pusher::<Job>::builder().bind(TCP).start().unwrap_err();
    assert!(matches!(error, StartError::NoTokio), "{error}");
}

#[tokio::test]
async fn what_cannot_be_bound_says_so() {
    let none = Puller::<Job>::builder().start().unwrap_err();
    assert!(matches!(none, StartError::Endpoint(_)), "{none}");
    let wrong = Publisher::<Job>::builder().connect("udp://a:1").start().unwrap_err();
    assert!(matches!(wrong, StartError::Endpoint(_)), "{wrong}");

    let first = Pusher::<Job>::builder().bind(TCP).start().unwrap();
    let taken = &first.endpoints()[0];
    assert!(!taken.ends_with('*'), "{taken}");
    match Publisher::<Job>::builder().bind(taken).start().unwrap_err() {
        StartError::Bind(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
            assert_eq!(error.endpoint(), Some(taken.as_str()));
        }
        other => panic!("{other:?}"),
    }
    let text = format!("{first:?}");
    assert!(text.contains(taken.as_str()), "{text}");
}

/// Contexts are apart: what is bound in one by inproc is not reached from another.
#[tokio::test]
async fn a_context_of_its_own() {
    let (_folder, endpoints) = endpoints();
    let (one, other) = (Context::new(), Context::new());
    let inproc = &endpoints[2];
    let mut first = Puller::<Job>::builder().bind(inproc).context(&one).start().unwrap();
    let mut second = Puller::<Job>::builder().bind(inproc).context(&other).start().unwrap();
    let pusher = Pusher::<Job>::builder().connect(inproc).context(&other).start().unwrap();
    within(pusher.send(&job(1))).await.unwrap();
    assert_eq!(within(second.recv()).await.unwrap(), Some(job(1)));
    assert!(waits(first.recv()).await);
}
