//! K1 to K5 and W1 to W10: the toolkit's own client and worker, seen from a bare ROUTER.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mdp_runtime::{Dialect, RawClient, RawError, RawWorker};

use crate::peer::*;

const BEAT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(10);

/// What a broker sees of its peers, and says to them.
struct Router {
    socket: zmq::Socket,
    endpoint: String,
}

impl Router {
    fn bind() -> Self {
        let socket = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        socket.set_linger(0).unwrap();
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        Router { socket, endpoint }
    }

    /// The next message, with the routing id of its sender.
    fn any(&self, patience: Duration) -> Option<(Vec<u8>, Frames)> {
        self.socket.set_rcvtimeo(patience.as_millis().max(1) as i32).unwrap();
        let mut message = self.socket.recv_multipart(0).ok()?;
        let rest = message.split_off(1);
        Some((message.swap_remove(0), rest))
    }

    /// The next message that is no heartbeat.
    fn next(&self, mdp: Mdp) -> (Vec<u8>, Frames) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.checked_duration_since(Instant::now()).expect("nothing came");
            let (from, message) = self.any(left).expect("nothing came");
            if message != heartbeat(mdp) {
                return (from, message);
            }
        }
    }

    fn send(&self, to: &[u8], frames: &[&[u8]]) {
        let all: Vec<&[u8]> = std::iter::once(to).chain(frames.iter().copied()).collect();
        self.socket.send_multipart(all, 0).unwrap();
    }

    /// A worker's READY.
    fn ready(&self, mdp: Mdp) -> Vec<u8> {
        let (worker, message) = self.next(mdp);
        assert_eq!(message, ready(mdp));
        worker
    }

    fn task(&self, mdp: Mdp, to: &[u8], address: &[u8], body: &[u8]) {
        match mdp {
            V01 => self.send(to, m![b"", b"MDPW01", b"\x02", address, b"", body]),
            V02 => self.send(to, m![b"MDPW02", b"\x02", address, b"", body]),
        }
    }

    /// Gives signs of life until a message comes that is none.
    fn beat_until_next(&self, mdp: Mdp, to: &[u8]) -> (Vec<u8>, Frames) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.beat(mdp, to);
            assert!(Instant::now() < deadline, "nothing came");
            if let Some((from, message)) =
                self.any(BEAT / 2).filter(|(_, it)| *it != heartbeat(mdp))
            {
                return (from, message);
            }
        }
    }

    fn beat(&self, mdp: Mdp, to: &[u8]) {
        let frames = heartbeat(mdp);
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        self.send(to, &frames);
    }
}

fn heartbeat(mdp: Mdp) -> Frames {
    match mdp {
        V01 => frames(m![b"", b"MDPW01", b"\x04"]),
        V02 => frames(m![b"MDPW02", b"\x05"]),
    }
}

fn ready(mdp: Mdp) -> Frames {
    match mdp {
        V01 => frames(m![b"", b"MDPW01", b"\x01", b"echo"]),
        V02 => frames(m![b"MDPW02", b"\x01", b"echo"]),
    }
}

fn disconnect(mdp: Mdp) -> Frames {
    match mdp {
        V01 => frames(m![b"", b"MDPW01", b"\x05"]),
        V02 => frames(m![b"MDPW02", b"\x06"]),
    }
}

fn answer(mdp: Mdp, address: &[u8], body: &[u8]) -> Frames {
    match mdp {
        V01 => frames(m![b"", b"MDPW01", b"\x03", address, b"", body]),
        V02 => frames(m![b"MDPW02", b"\x04", address, b"", body]),
    }
}

fn dialect(mdp: Mdp) -> Dialect {
    match mdp {
        V01 => Dialect::Mdp01,
        V02 => Dialect::Mdp02,
    }
}

/// A worker that sends back what it gets.
fn worker(router: &Router, mdp: Mdp) -> RawWorker {
    let builder = RawWorker::builder("echo").dialect(dialect(mdp)).connect(&router.endpoint);
    builder.heartbeat(BEAT).start().unwrap()
}

fn client(router: &Router, mdp: Mdp) -> RawClient {
    RawClient::builder().dialect(dialect(mdp)).connect(&router.endpoint).open().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The toolkit's client does not block; the broker serves those that do.
#[test]
fn k1_a_client_that_waits_uses_req() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V01, "echo");
    let client = Peer::with(&endpoint, V01, zmq::REQ);
    for number in 0..20_u8 {
        // REQ adds the empty frame itself, and takes it away.
        client.send(m![b"MDPC01", b"echo", [number]]);
        let (address, body) = worker.task();
        worker.answer(&address, true, m![body[0]]);
        assert_eq!(client.receive(), frames(m![b"MDPC01", b"echo", [number]]));
    }
}

#[test]
fn k2_a_dealer_of_01_adds_the_empty_frame() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    let client = client(&router, V01);
    let reply = tokio.spawn(async move { client.send("echo", vec!["hi".into()]).await });
    let (from, message) = router.next(V01);
    assert_eq!(message, frames(m![b"", b"MDPC01", b"echo", b"hi"]));
    router.send(&from, m![b"", b"MDPC01", b"echo", b"back"]);
    assert_eq!(tokio.block_on(reply).unwrap().unwrap(), ["back"]);
}

#[test]
fn k3_a_client_of_02_uses_dealer() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    let client = client(&router, V02);
    let reply = tokio.spawn(async move { client.send("echo", vec!["hi".into()]).await });
    let (from, message) = router.next(V02);
    // REQ would have put an empty frame before it.
    assert_eq!(message, frames(m![b"MDPC02", b"\x01", b"echo", b"hi"]));
    router.send(&from, m![b"MDPC02", b"\x03", b"echo", b"back"]);
    assert_eq!(tokio.block_on(reply).unwrap().unwrap(), ["back"]);
}

#[test]
fn k4_a_client_of_02_takes_any_number_of_partial_replies() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    let client = client(&router, V02);
    for parts in [0_u16, 1, 500] {
        let mut pending = client.request("echo", vec!["hi".into()]);
        let (from, _) = router.next(V02);
        for part in 0..parts {
            router.send(&from, m![b"MDPC02", b"\x02", b"echo", part.to_be_bytes()]);
        }
        router.send(&from, m![b"MDPC02", b"\x03", b"echo", b"end"]);
        for part in 0..parts {
            let reply = tokio.block_on(pending.next()).unwrap().unwrap();
            assert_eq!((&*reply.frames[0], reply.last), (&part.to_be_bytes()[..], false));
        }
        let reply = tokio.block_on(pending.next()).unwrap().unwrap();
        assert!(reply.last && reply.frames == ["end"]);
        assert!(tokio.block_on(pending.next()).is_none());
    }
}

/// Without a reply in time it takes a new socket, so that a late one is never taken for the next.
#[test]
fn k5_after_a_timeout_a_client_takes_a_new_socket() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let client = client(&router, mdp).with_timeout(BEAT * 2);
        let first = client.clone();
        let reply = tokio.spawn(async move { first.send("echo", vec!["one".into()]).await });
        let (first, _) = router.next(mdp);
        assert_eq!(tokio.block_on(reply).unwrap(), Err(RawError::Timeout { sent: true }));
        let client = client.with_timeout(PATIENCE);
        let reply = tokio.spawn(async move { client.send("echo", vec!["two".into()]).await });
        let (second, message) = router.next(mdp);
        assert_ne!(first, second, "a new socket has a new routing id");
        assert_eq!(message.last().unwrap(), b"two");
        for (to, body) in [(&first, b"late"), (&second, b"next")] {
            match mdp {
                V01 => router.send(to, m![b"", b"MDPC01", b"echo", body]),
                V02 => router.send(to, m![b"MDPC02", b"\x03", b"echo", body]),
            }
        }
        assert_eq!(tokio.block_on(reply).unwrap().unwrap(), ["next"]);
    }
}

#[test]
fn w1_one_dealer_for_one_broker() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let mut worker = worker(&router, mdp);
        let id = router.ready(mdp);
        router.task(mdp, &id, b"address", b"hi");
        let (frames, replier) = tokio.block_on(worker.recv()).unwrap();
        replier.finish(frames).unwrap();
        // All comes from one connection.
        let (from, message) = router.next(mdp);
        assert_eq!((from, message), (id, answer(mdp, b"address", b"hi")));
        drop(worker);
        assert_eq!(router.next(mdp).1, disconnect(mdp));
    }
}

#[test]
fn w2_one_service_for_each_connection() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let builder = RawWorker::builder("echo").dialect(dialect(mdp)).connect(&router.endpoint);
        let worker = builder.heartbeat(BEAT).capacity(3).start().unwrap();
        let connections: BTreeSet<Vec<u8>> = (0..3).map(|_| router.ready(mdp)).collect();
        assert_eq!(connections.len(), 3, "each with a socket of its own");
        drop(worker);
        for _ in 0..3 {
            assert_eq!(router.next(mdp).1, disconnect(mdp));
        }
    }
}

#[test]
fn w3_no_second_ready() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let mut worker = worker(&router, mdp);
        let id = router.ready(mdp);
        for _ in 0..10 {
            router.beat(mdp, &id);
            router.task(mdp, &id, b"address", b"hi");
            let (frames, replier) = tokio.block_on(worker.recv()).unwrap();
            replier.finish(frames).unwrap();
            assert_eq!(router.next(mdp), (id.clone(), answer(mdp, b"address", b"hi")));
        }
        drop(worker);
        assert_eq!(router.next(mdp).1, disconnect(mdp));
    }
}

#[test]
fn w4_it_is_registered_until_it_is_told_otherwise() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let mut worker = worker(&router, mdp);
        let id = router.ready(mdp);
        // For many intervals nothing but heartbeats, and the same connection takes requests still.
        for _ in 0..15 {
            router.beat(mdp, &id);
            let (from, message) = router.any(PATIENCE).unwrap();
            assert_eq!((from, message), (id.clone(), heartbeat(mdp)));
        }
        router.task(mdp, &id, b"address", b"hi");
        assert!(tokio.block_on(worker.recv()).is_some());
        drop(worker);
        while router.next(mdp).1 != disconnect(mdp) {}
    }
}

#[test]
fn w5_disconnect_at_any_time() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let worker = worker(&router, mdp);
        let id = router.ready(mdp);
        tokio.block_on(worker.shutdown(BEAT));
        assert_eq!(router.next(mdp), (id, disconnect(mdp)));
        // And the broker takes it at any time.
        let (_broker, endpoint) = broker(|builder| builder);
        let peer = Peer::connect(&endpoint, mdp);
        peer.disconnect();
        peer.hears_silence();
    }
}

#[test]
fn w6_after_disconnect_a_new_socket() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let worker = worker(&router, mdp);
        let first = router.ready(mdp);
        let frames = disconnect(mdp);
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        router.send(&first, &frames);
        // Whatever comes from the old socket now was said before.
        let (second, message) = loop {
            let (from, message) = router.any(PATIENCE).unwrap();
            if message != heartbeat(mdp) {
                break (from, message);
            }
        };
        assert_eq!(message, ready(mdp));
        assert_ne!(first, second);
        let start = Instant::now();
        while start.elapsed() < BEAT * 5 {
            router.beat(mdp, &second);
            if let Some((from, _)) = router.any(BEAT / 2) {
                assert_eq!(from, second, "the old socket says nothing more");
            }
        }
        drop(worker);
        while router.next(mdp).1 != disconnect(mdp) {}
    }
}

#[test]
fn w7_a_silent_broker_is_left_and_looked_for_again() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let worker = worker(&router, mdp);
        let first = router.ready(mdp);
        router.beat(mdp, &first);
        let start = Instant::now();
        // It leaves in good order, should the broker hear it after all.
        assert_eq!(router.next(mdp), (first.clone(), disconnect(mdp)));
        let (second, message) = router.next(mdp);
        assert_eq!((message, second == first), (ready(mdp), false));
        assert!(start.elapsed() >= BEAT * 2, "{:?}", start.elapsed());
        drop(worker);
        while router.next(mdp).1 != disconnect(mdp) {}
    }
}

#[test]
fn w8_heartbeats_whatever_the_handler_does() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    for mdp in BOTH {
        let mut worker = worker(&router, mdp);
        let id = router.ready(mdp);
        router.task(mdp, &id, b"address", b"hi");
        let (frames, replier) = tokio.block_on(worker.recv()).unwrap();
        // The request is not answered for ten intervals, and this thread is not tokio's.
        let start = Instant::now();
        for _ in 0..10 {
            router.beat(mdp, &id);
            let (from, message) = router.any(PATIENCE).unwrap();
            assert_eq!((from, message), (id.clone(), heartbeat(mdp)));
        }
        assert!(start.elapsed() >= BEAT * 7, "{:?}", start.elapsed());
        replier.finish(frames).unwrap();
        assert_eq!(router.next(mdp), (id, answer(mdp, b"address", b"hi")));
        drop(worker);
        while router.next(mdp).1 != disconnect(mdp) {}
    }
}

#[test]
fn w9_partial_replies_then_exactly_one_final_one() {
    let (router, tokio) = (Router::bind(), runtime());
    let _within = tokio.enter();
    let mut worker = worker(&router, V02);
    let id = router.ready(V02);
    router.task(V02, &id, b"one", b"hi");
    let (_, replier) = tokio.block_on(worker.recv()).unwrap();
    for part in 0..100_u8 {
        tokio.block_on(replier.partial(vec![vec![part].into()])).unwrap();
    }
    replier.finish(vec!["end".into()]).unwrap();
    for part in 0..100_u8 {
        let (_, message) = router.beat_until_next(V02, &id);
        assert_eq!(message, frames(m![b"MDPW02", b"\x03", b"one", b"", [part]]));
    }
    assert_eq!(router.beat_until_next(V02, &id).1, answer(V02, b"one", b"end"));
    // Who does not answer leaves the broker, which may give the request to another worker.
    router.task(V02, &id, b"two", b"hi");
    drop(tokio.block_on(worker.recv()).unwrap());
    assert_eq!(router.beat_until_next(V02, &id), (id, disconnect(V02)));
}

#[test]
fn w10_one_request_at_a_time() {
    let (broker, endpoint) = broker(|builder| builder);
    let tokio = runtime();
    let _within = tokio.enter();
    for mdp in BOTH {
        let builder = RawWorker::builder("echo").dialect(dialect(mdp)).connect(&endpoint);
        let mut worker = builder.start().unwrap();
        let client = Peer::connect(&endpoint, mdp);
        client.request(b"echo", m![b"one"]);
        client.request(b"echo", m![b"two"]);
        let (one, replier) = tokio.block_on(worker.recv()).unwrap();
        assert_eq!(one, ["one"]);
        until(|| tokio.block_on(broker.stats()).queued == 1);
        assert!(
            tokio.block_on(async { tokio::time::timeout(BEAT * 2, worker.recv()).await }).is_err()
        );
        replier.finish(one).unwrap();
        let (two, replier) = tokio.block_on(worker.recv()).unwrap();
        replier.finish(two).unwrap();
        assert_eq!(client.reply(b"echo", true), frames(m![b"one"]));
        assert_eq!(client.reply(b"echo", true), frames(m![b"two"]));
        tokio.block_on(worker.shutdown(BEAT));
    }
}
