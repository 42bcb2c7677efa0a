//! Classic peers that die, flood or mislead: what they do to the broker and to others.

#![cfg(not(mdp_without_c))] // libzmq is the other side.

// A test may end at the first wrong assumption.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::time::{Duration, Instant};

use mdp_runtime::{Broker, ConnectionState, Dialect, RawClient, RawWorker};

const PATIENCE: Duration = Duration::from_secs(20);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn dealer(context: &zmq::Context, endpoint: &str) -> zmq::Socket {
    let socket = context.socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(20_000).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

fn is_alive(client: &zmq::Socket) {
    client.send_multipart(["MDPC02", "\x01", "mmi.service", "nobody"], 0).unwrap();
    let reply = client.recv_multipart(0).expect("the broker is gone");
    assert_eq!(reply.last().unwrap(), b"404");
}

/// A request goes from one dead worker to the next, and not through a stack.
#[tokio::test(flavor = "multi_thread")]
async fn many_workers_that_died_at_once_are_walked_through_one_by_one() {
    const MANY: usize = 1_600;
    // Nothing is sent to them in between that would show that they are dead.
    let builder = Broker::builder().bind("tcp://127.0.0.1:*").heartbeat(ms(60_000));
    let broker = builder.classic_queue_expiry(ms(500)).start().unwrap();
    let endpoint = broker.endpoints()[0].clone();
    let mut hosts = Vec::new();
    for _ in 0..MANY / 400 {
        let context = zmq::Context::new();
        let sockets: Vec<zmq::Socket> = (0..400).map(|_| dealer(&context, &endpoint)).collect();
        for socket in &sockets {
            socket.send_multipart(["MDPW02", "\x01", "echo"], 0).unwrap();
        }
        hosts.push((sockets, context));
    }
    let deadline = Instant::now() + PATIENCE;
    while broker.stats().await.sessions < MANY {
        assert!(Instant::now() < deadline, "{:?}", broker.stats().await);
        tokio::time::sleep(ms(20)).await;
    }
    drop(hosts);
    let context = zmq::Context::new();
    let client = dealer(&context, &endpoint);
    // Until the broker's socket has noticed all ends, a request may get lost with its worker; then it goes on.
    while broker.stats().await.sessions > 1 {
        assert!(Instant::now() < deadline + PATIENCE, "{:?}", broker.stats().await);
        client.send_multipart(["MDPC02", "\x01", "echo", "hi"], 0).unwrap();
        tokio::time::sleep(ms(20)).await;
    }
    is_alive(&client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_too_long_reaches_nobody() {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let endpoint = broker.endpoints()[0].clone();
    let context = zmq::Context::new();
    let (client, worker) = (dealer(&context, &endpoint), dealer(&context, &endpoint));
    let name = "a".repeat(255);
    worker.send_multipart(["MDPW02", "\x01", &name], 0).unwrap();
    client.send_multipart(["MDPC02", "\x01", &format!("{name}bc"), "hi"], 0).unwrap();
    client.send_multipart(["MDPC02", "\x01", &name, "ho"], 0).unwrap();
    let task = loop {
        let message = worker.recv_multipart(0).unwrap();
        if message[1] == b"\x02" {
            break message;
        }
    };
    assert_eq!(task.last().unwrap(), b"ho", "not the other one, cut to fit");
    is_alive(&client);
    for dialect in [Dialect::Rpc, Dialect::Mdp01, Dialect::Mdp02] {
        let client = RawClient::builder().dialect(dialect).connect(&endpoint).open().unwrap();
        let refused = client.send(&format!("{name}bc"), vec!["hi".into()]).await.unwrap_err();
        assert!(refused.to_string().contains("is invalid"), "{refused}");
        let refused = client.send("echo", vec!["".into(); 28]).await.unwrap_err();
        assert!(refused.to_string().contains("28 frames"), "{refused}");
    }
}

/// A raw request of many large frames would be one payload to a worker of MDP/RPC.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_raw_request_costs_no_worker_its_connection() {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let endpoint = &broker.endpoints()[0];
    let worker = RawWorker::builder("echo").dialect(Dialect::Rpc).connect(endpoint);
    let mut worker = worker.start().unwrap();
    worker.connected().await;
    let context = zmq::Context::new();
    let client = dealer(&context, endpoint);
    let send = |frames: usize, bytes: usize| {
        let frame = vec![7_u8; bytes];
        let mut message: Vec<&[u8]> = vec![b"MDPC02", b"\x01", b"echo"];
        message.extend(std::iter::repeat_n(&frame[..], frames));
        client.send_multipart(message, 0).unwrap();
    };
    send(17, 4 << 20);
    send(2, 2 << 20); // a few bytes too many
    send(2, (2 << 20) - 4);
    let (frames, replier) = tokio::time::timeout(PATIENCE, worker.recv()).await.unwrap().unwrap();
    assert_eq!((frames.len(), frames[0].len()), (2, (2 << 20) - 4));
    replier.finish(frames).unwrap();
    assert_eq!(client.recv_multipart(0).unwrap().len(), 5);
    assert!(matches!(*worker.state().borrow(), ConnectionState::Connected { .. }));
    assert_eq!(broker.stats().await.invalid, 2);
}

/// Lists cost the broker a look at everything, so there is a bound on how many it makes.
#[tokio::test(flavor = "multi_thread")]
async fn lists_are_made_so_often_and_no_more() {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let context = zmq::Context::new();
    let client = dealer(&context, &broker.endpoints()[0]);
    for _ in 0..200 {
        client.send_multipart(["MDPC02", "\x01", "mmi.services"], 0).unwrap();
    }
    let replies: Vec<Vec<u8>> =
        (0..200).map(|_| client.recv_multipart(0).unwrap().swap_remove(3)).collect();
    let made = replies.iter().filter(|status| *status == b"200").count();
    assert!((50..=150).contains(&made), "{made} lists");
    assert!(replies.iter().all(|status| status == b"200" || status == b"503"));
}
