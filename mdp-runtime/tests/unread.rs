//! What peers have not read, at a broker of this process.

// A test may end at the first wrong assumption.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_runtime::{Broker, Dialect, RawClient, RawWorker, Runtime};

const MIB: usize = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(60);

/// Answers each request of `endpoint` with a MiB.
fn giver(runtime: &Runtime, endpoint: &str) {
    let builder = RawWorker::builder("give").dialect(Dialect::Rpc).capacity(100);
    let mut worker = builder.runtime(runtime).connect(endpoint).start().unwrap();
    tokio::spawn(async move {
        while let Some((_, replier)) = worker.recv().await {
            // Whoever asked may have gone.
            let _ = replier.finish(vec![Bytes::from(vec![7; MIB])]);
        }
    });
}

/// A peer of the same process keeps what it was sent as long as it likes: it is its own memory. One that comes over tcp to
/// the same broker, and reads nothing, loses its session.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_the_same_process_may_keep_its_replies() {
    const KEPT: usize = 60;
    let runtime = Runtime::new();
    let builder = Broker::builder().runtime(&runtime).bind("inproc://unread");
    let broker = builder.bind("tcp://127.0.0.1:*").start().unwrap();
    let tcp = &broker.endpoints()[1];
    giver(&runtime, "inproc://unread");
    let client = RawClient::builder().dialect(Dialect::Rpc).runtime(&runtime);
    let client = client.connect("inproc://unread").open().unwrap();
    let mut kept = Vec::new();
    for _ in 0..KEPT {
        let reply = client.send("give", vec![Bytes::from_static(b"one")]);
        kept.push(tokio::time::timeout(DEADLINE, reply).await.unwrap().unwrap());
    }
    assert!(kept.iter().all(|reply| reply[0].len() == MIB));
    let stats = broker.stats().await;
    assert_eq!((stats.unread_ended, stats.unread_refused, stats.unread_bytes), (0, 0, 0));
    // A plain client over tcp.
    let mute = zmq::Context::new().socket(zmq::DEALER).unwrap();
    mute.set_linger(0).unwrap();
    mute.set_rcvhwm(1).unwrap();
    mute.set_rcvbuf(64 << 10).unwrap();
    mute.connect(tcp).unwrap();
    let until = Instant::now() + DEADLINE;
    let mut most = 0;
    loop {
        for _ in 0..4 {
            mute.send_multipart(["MDPC02", "\x01", "give", "one"], 0).unwrap();
        }
        let stats = broker.stats().await;
        most = most.max(stats.unread_bytes);
        if stats.unread_ended > 0 || stats.unread_refused > 20 {
            break;
        }
        assert!(Instant::now() < until, "{stats:?}");
    }
    // What the kernel has taken meanwhile is read.
    assert!((8 * MIB..34 * MIB).contains(&most), "{most}");
    drop(mute);
    while broker.stats().await.unread_bytes > 0 {
        assert!(Instant::now() < until, "{:?}", broker.stats().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
