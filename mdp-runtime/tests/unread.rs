//! What peers have not read, at a broker of this process.

#![cfg(not(mdp_without_c))] // libzmq is the other side.

// A test may end at the first wrong assumption.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_runtime::{Broker, Context, Dialect, RawClient, RawWorker, Transport};

const MIB: usize = 1 << 20;
const DEADLINE: Duration = Duration::from_secs(60);

/// Answers each request of `endpoint` with a MiB.
fn giver(context: &Context, endpoint: &str) {
    let builder = RawWorker::builder("give").dialect(Dialect::Rpc).capacity(100);
    let mut worker = builder.context(context).connect(endpoint).start().unwrap();
    tokio::spawn(async move {
        while let Some((_, replier)) = worker.recv().await {
            // Whoever asked may have gone.
            let _ = replier.finish(vec![Bytes::from(vec![7; MIB])]);
        }
    });
}

/// A peer of the same process keeps what it was sent as long as it likes: it is its own memory. One that comes over tcp to
/// the same broker, and reads nothing, loses its session or is not read.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_the_same_process_may_keep_its_replies() {
    const KEPT: usize = 60;
    let context = Context::new();
    let builder = Broker::builder().context(&context).bind("inproc://unread");
    let broker = builder.bind("tcp://127.0.0.1:*").start().unwrap();
    let tcp = &broker.endpoints()[1];
    giver(&context, "inproc://unread");
    let client = RawClient::builder().dialect(Dialect::Rpc).context(&context);
    let client = client.connect("inproc://unread").open().unwrap();
    let mut kept = Vec::new();
    for _ in 0..KEPT {
        let reply = client.send("give", vec![Bytes::from_static(b"one")]);
        kept.push(tokio::time::timeout(DEADLINE, reply).await.unwrap().unwrap());
    }
    assert!(kept.iter().all(|reply| reply[0].len() == MIB));
    let stats = broker.stats().await;
    assert_eq!((stats.unread_ended, stats.unread_refused, stats.unread_bytes), (0, 0, 0));
    // A classic client over tcp.
    let mute = zmq::Context::new().socket(zmq::DEALER).unwrap();
    mute.set_linger(0).unwrap();
    mute.set_rcvhwm(1).unwrap();
    mute.set_rcvbuf(64 << 10).unwrap();
    mute.connect(tcp).unwrap();
    let until = Instant::now() + DEADLINE;
    let mut max = 0;
    loop {
        for _ in 0..4 {
            // A native broker does not read a client that has too much unread: its requests wait with it.
            match mute.send_multipart(["MDPC02", "\x01", "give", "one"], zmq::DONTWAIT) {
                Ok(()) | Err(zmq::Error::EAGAIN) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let stats = broker.stats().await;
        max = max.max(stats.unread_bytes);
        if stats.unread_ended > 0 || stats.unread_refused > 20 || stats.paused > 0 {
            break;
        }
        assert!(Instant::now() < until, "{stats:?}");
    }
    // What the kernel has taken meanwhile is read.
    assert!((8 * MIB..34 * MIB).contains(&max), "{max}");
    drop(mute);
    while broker.stats().await.unread_bytes > 0 {
        assert!(Instant::now() < until, "{:?}", broker.stats().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Bytes are what bounds the replies that a client has not read: their number does not. 4,000 replies of 2 KiB, of which the
/// kernel takes half, are all there when the client reads at last.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_small_replies_wait_for_a_client_that_reads_late() {
    const BATCHES: u64 = 20;
    const BATCH: u64 = 200;
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let endpoint = broker.endpoints()[0].clone();
    let builder = RawWorker::builder("give").dialect(Dialect::Rpc).capacity(1_000);
    let mut worker = builder.connect(&endpoint).start().unwrap();
    tokio::spawn(async move {
        while let Some((request, replier)) = worker.recv().await {
            replier.finish(vec![request[0].clone(), Bytes::from(vec![7; 2 << 10])]).unwrap();
        }
    });
    let late = zmq::Context::new().socket(zmq::DEALER).unwrap();
    late.set_linger(0).unwrap();
    late.set_rcvhwm(1).unwrap();
    late.set_rcvbuf(64 << 10).unwrap();
    late.connect(&endpoint).unwrap();
    let until = Instant::now() + DEADLINE;
    for batch in 0..BATCHES {
        for number in 0..BATCH {
            let number = (batch * BATCH + number).to_string();
            late.send_multipart(["MDPC02", "\x01", "give", &number], 0).unwrap();
        }
        loop {
            let stats = broker.stats().await;
            if stats.replies == (batch + 1) * BATCH {
                break;
            }
            let lost = (stats.unread_ended, stats.unread_refused, stats.refused);
            assert!(Instant::now() < until && lost == (0, 0, 0), "{stats:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    late.set_rcvtimeo(DEADLINE.as_millis() as i32).unwrap();
    let mut numbers = std::collections::BTreeSet::new();
    for read in 0..BATCHES * BATCH {
        let reply = late.recv_multipart(0).unwrap_or_else(|error| panic!("{error} after {read}"));
        assert_eq!(reply.last().unwrap().len(), 2 << 10);
        numbers.insert(String::from_utf8(reply[reply.len() - 2].clone()).unwrap());
    }
    assert_eq!(numbers.len() as u64, BATCHES * BATCH);
    assert_eq!(broker.stats().await.unread_ended, 0);
}

/// A connection by hand that says nothing of its socket: in ZMTP 3 by a READY without properties, in ZMTP 2 there are none.
fn nameless(address: &str, version: u8) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let signature = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f];
    let (greeting, ready, answer) = match version {
        2 => ([&signature[..], &[1, 5, 0, 0]].concat(), &b""[..], 12),
        _ => {
            let mechanism = [&b"\x03\0NULL"[..], &[0; 48]].concat();
            ([&signature[..], &mechanism].concat(), &b"\x04\x06\x05READY"[..], 64)
        }
    };
    stream.write_all(&greeting).unwrap();
    stream.read_exact(&mut vec![0; answer]).unwrap();
    stream.write_all(ready).unwrap();
    stream
}

/// What a peer leaves out of its handshake does not make it one of the broker's own process.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_says_nothing_of_its_socket_is_counted() {
    for version in [2, 3] {
        // Only libzmq takes a peer that leaves this out.
        let context = Context::with_transport(Transport::Libzmq);
        let builder = Broker::builder().context(&context).bind("inproc://unread");
        let broker = builder.bind("tcp://127.0.0.1:*").start().unwrap();
        giver(&context, "inproc://unread");
        let mut mute = nameless(broker.endpoints()[1].strip_prefix("tcp://").unwrap(), version);
        let frames = ["MDPC02", "\x01", "give", "one"].iter().enumerate();
        let request: Vec<u8> = frames
            .flat_map(|(number, frame)| {
                let head = [u8::from(number < 3), frame.len() as u8];
                head.into_iter().chain(frame.bytes())
            })
            .collect();
        let until = Instant::now() + DEADLINE;
        loop {
            mute.write_all(&request).unwrap();
            let stats = broker.stats().await;
            if stats.unread_ended > 0 || stats.unread_refused > 20 {
                break;
            }
            assert!(Instant::now() < until && stats.replies < 100, "ZMTP {version}: {stats:?}");
        }
    }
}
