//! Faults of brokers that came before, none of which an RFC forbids in so many words: docs/known-faults.md.

use std::time::{Duration, Instant};

use crate::peer::*;

/// A purge that stops at the first live worker leaves dead ones behind it.
#[test]
fn every_silent_worker_is_gone_though_others_live() {
    let quick = Duration::from_millis(600);
    let (_broker, endpoint) =
        broker(|builder| builder.heartbeat(quick / 6).classic_idle_expiry(quick));
    let lives = Peer::worker(&endpoint, V01, "echo");
    let dead: Vec<Peer> = (0..3).map(|_| Peer::worker(&endpoint, V02, "echo")).collect();
    let asks = Peer::connect(&endpoint, V02);
    let workers = |count: usize| {
        lives.heartbeat();
        let reply = asks.ask(b"mmi.workers", m![b"echo"]);
        // Lists are made so often and no more; then the broker says 503.
        let Some(list) = reply.get(1) else { return false };
        String::from_utf8_lossy(list).matches("\"id\"").count() == count
    };
    until(|| workers(1));
    for worker in &dead {
        assert_eq!(worker.receive(), worker.disconnect_frames());
    }
}

/// A reply gives its worker the next request.
#[test]
fn what_waits_is_dispatched_after_each_final_reply() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let service = format!("echo-{mdp:?}");
        let worker = Peer::worker(&endpoint, mdp, &service);
        let client = Peer::connect(&endpoint, mdp);
        for number in 0..200_u32 {
            client.request(service.as_bytes(), m![number.to_be_bytes()]);
        }
        for number in 0..200_u32 {
            let (address, body) = worker.task();
            assert_eq!(body, frames(m![number.to_be_bytes()]));
            worker.answer(&address, true, m![body[0]]);
            assert_eq!(client.reply(service.as_bytes(), true), frames(m![body[0]]));
        }
    }
}

/// A worker stays with its own service, whatever it and others say.
#[test]
fn a_worker_gets_requests_of_its_own_service_only() {
    let (_broker, endpoint) = broker(|builder| builder);
    let one = Peer::worker(&endpoint, V01, "one");
    let two = Peer::worker(&endpoint, V02, "two");
    let client = Peer::connect(&endpoint, V02);
    for _ in 0..20 {
        for (worker, service) in [(&one, b"one"), (&two, b"two"), (&two, b"two")] {
            client.request(service, m![service]);
            let (address, body) = worker.task();
            assert_eq!(body, frames(m![service]));
            worker.heartbeat();
            worker.answer(&address, true, m![service]);
            assert_eq!(client.reply(service, true), frames(m![service]));
        }
    }
}

/// Neither HEARTBEAT nor a partial reply makes a busy worker a free one.
#[test]
fn a_busy_worker_gets_nothing_until_its_final_reply() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V02, "echo");
    let client = Peer::connect(&endpoint, V02);
    client.request(b"echo", m![b"one"]);
    client.request(b"echo", m![b"two"]);
    let (address, _) = worker.task();
    worker.heartbeat();
    worker.answer(&address, false, m![b"part"]);
    assert_eq!(client.reply(b"echo", false), frames(m![b"part"]));
    worker.heartbeat();
    worker.hears_nothing();
    worker.answer(&address, true, m![b"end"]);
    assert_eq!(worker.task().1, frames(m![b"two"]));
}

/// Names that are asked for; debug builds recount all tables after each.
const MANY: u64 = 4_000;

/// A request for a name that nobody serves leaves nothing behind.
#[test]
fn names_that_nobody_serves_leave_nothing() {
    let wait = Duration::from_millis(200);
    let (broker, endpoint) = broker(|builder| builder.classic_queue_expiry(wait));
    let client = Peer::connect(&endpoint, V01);
    for number in 0..MANY {
        client.request(format!("nobody-{number}").as_bytes(), m![b"hi"]);
    }
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stats = || tokio.block_on(broker.stats());
    until(|| {
        let stats = stats();
        assert!(stats.services <= 128, "{} services", stats.services);
        stats.unanswered == MANY && stats.services == 0 && stats.held_bytes == 0
    });
    client.hears_silence();
}

/// Routing ids are bytes: they may be no text, and differ where texts would not.
#[test]
fn routing_ids_are_bytes() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V01, "echo");
    let ids: [&[u8]; 4] =
        [b"\xff\xfe\x00\x01", b"\xff\xfe\x00\x02", b"\xed\xa0\x80", b"\xed\xa0\x81"];
    let clients = ids.map(|id| Peer::with_id(&endpoint, V02, id));
    for (client, id) in clients.iter().zip(ids) {
        client.request(b"echo", m![id]);
    }
    for _ in &clients {
        let (address, body) = worker.task();
        worker.answer(&address, true, m![body[0]]);
    }
    for (client, id) in clients.iter().zip(ids) {
        assert_eq!(client.reply(b"echo", true), frames(m![id]));
    }
}

/// A client is known for as long as it waits, though it sends nothing.
#[test]
fn a_client_is_known_for_as_long_as_it_waits() {
    let beat = Duration::from_millis(50);
    let (_broker, endpoint) = broker(|builder| builder.heartbeat(beat));
    let worker = Peer::worker(&endpoint, V02, "echo");
    let client = Peer::connect(&endpoint, V01);
    client.request(b"echo", m![b"hi"]);
    let (address, _) = worker.task();
    let start = Instant::now();
    while start.elapsed() < beat * 30 {
        worker.heartbeat();
        worker.wait_heartbeat();
    }
    worker.answer(&address, true, m![b"back"]);
    assert_eq!(client.reply(b"echo", true), frames(m![b"back"]));
    // Also when it has asked nothing for long.
    let asks = Peer::connect(&endpoint, V02);
    until(|| {
        worker.heartbeat();
        let reply = asks.ask(b"mmi.counters", m![]);
        String::from_utf8_lossy(&reply[1]).contains("\"sessions\":2")
    });
    client.request(b"echo", m![b"again"]);
    let (address, _) = worker.task();
    worker.answer(&address, true, m![b"back again"]);
    assert_eq!(client.reply(b"echo", true), frames(m![b"back again"]));
}

/// Peers of a dialect that is not there are told so and counted, and change nothing.
#[test]
fn a_dialect_that_is_not_there_is_counted() {
    let (broker, endpoint) = broker(|builder| builder);
    let peer = Peer::connect(&endpoint, V02);
    peer.send(m![b"MDPW03", b"\x01", b"echo"]);
    assert!(peer.receive()[0].starts_with(&[0xd3, 1]), "a DISCONNECT of MDP/RPC, with its reason");
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stats = tokio.block_on(broker.stats());
    assert_eq!((stats.invalid, stats.sessions), (1, 0));
}
