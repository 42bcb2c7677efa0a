//! B1 to B11: who is served, and who is told to go.

use std::time::{Duration, Instant};

use crate::peer::*;

#[test]
fn b1_peers_are_told_apart_by_their_routing_ids() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V01, "echo");
    let clients: Vec<Peer> = (0..8).map(|_| Peer::connect(&endpoint, V02)).collect();
    for (number, client) in clients.iter().enumerate() {
        client.request(b"echo", m![number.to_string().as_bytes()]);
    }
    for _ in &clients {
        let (address, body) = worker.task();
        worker.answer(&address, true, m![&body[0]]);
    }
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(client.reply(b"echo", true), frames(m![number.to_string().as_bytes()]));
    }
}

#[test]
fn b2_one_socket_with_any_number_of_endpoints() {
    let (broker, first) = broker(|builder| builder.bind("tcp://127.0.0.1:*"));
    let second = broker.endpoints()[1].clone();
    let worker = Peer::worker(&first, V01, "echo");
    for endpoint in [first, second] {
        let client = Peer::connect(&endpoint, V01);
        client.request(b"echo", m![b"hi"]);
        let (address, _) = worker.task();
        worker.answer(&address, true, m![b"back"]);
        assert_eq!(client.reply(b"echo", true), frames(m![b"back"]));
    }
}

#[test]
fn b3_clients_take_turns() {
    let (broker, endpoint) = broker(|builder| builder);
    let greedy = Peer::connect(&endpoint, V02);
    for _ in 0..100 {
        greedy.request(b"echo", m![b"greedy"]);
    }
    wait_queued(&broker, 100);
    let modest = Peer::connect(&endpoint, V02);
    modest.request(b"echo", m![b"modest"]);
    wait_queued(&broker, 101);
    let worker = Peer::connect(&endpoint, V02);
    worker.ready("echo");
    let served = (0..101).position(|_| {
        let (address, body) = worker.task();
        worker.answer(&address, true, m![b""]);
        body[0] == b"modest"
    });
    assert!(served <= Some(1), "after {served:?} others");
}

fn wait_queued(broker: &mdp_runtime::Broker, calls: usize) {
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    until(|| tokio.block_on(broker.stats()).queued == calls);
}

#[test]
fn b4_the_worker_that_has_waited_longest_is_next() {
    let (_broker, endpoint) = broker(|builder| builder);
    let workers: Vec<Peer> = (0..3).map(|_| Peer::worker(&endpoint, V01, "echo")).collect();
    let client = Peer::connect(&endpoint, V02);
    for turn in 0..6 {
        client.request(b"echo", m![b"hi"]);
        let (address, _) = workers[turn % 3].task();
        workers[turn % 3].answer(&address, true, m![b"back"]);
        client.reply(b"echo", true);
    }
}

#[test]
fn b5_a_broker_behind_a_broker() {
    let (_far, far) = broker(|builder| builder);
    let (_near, near) = broker(|builder| builder);
    let worker = Peer::worker(&far, V02, "echo");
    // A program that is a worker of one broker and a client of the other.
    let inwards = Peer::worker(&near, V01, "echo");
    let outwards = Peer::connect(&far, V02);
    let client = Peer::connect(&near, V01);
    client.request(b"echo", m![b"hi"]);
    let (near_address, body) = inwards.task();
    outwards.request(b"echo", m![&body[0]]);
    let (far_address, body) = worker.task();
    worker.answer(&far_address, true, m![&body[0], b"back"]);
    let body = outwards.reply(b"echo", true);
    inwards.answer(&near_address, true, m![&body[0], &body[1]]);
    assert_eq!(client.reply(b"echo", true), frames(m![b"hi", b"back"]));
}

#[test]
fn b6_requests_wait_for_a_worker() {
    let (broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let client = Peer::connect(&endpoint, mdp);
        client.request(b"echo", m![b"hi"]);
        wait_queued(&broker, 1);
        let worker = Peer::connect(&endpoint, mdp);
        worker.ready("echo");
        let (address, _) = worker.task();
        worker.answer(&address, true, m![b"back"]);
        assert_eq!(client.reply(b"echo", true), frames(m![b"back"]));
        worker.disconnect();
    }
}

#[test]
fn b7_requests_expire_after_a_time_that_can_be_set() {
    let wait = Duration::from_millis(300);
    let (broker, endpoint) = broker(|builder| builder.classic_queue_expiry(wait));
    let client = Peer::connect(&endpoint, V01);
    let start = Instant::now();
    client.request(b"echo", m![b"hi"]);
    wait_queued(&broker, 1);
    wait_queued(&broker, 0);
    assert!(start.elapsed() >= wait - Duration::from_millis(2), "{:?}", start.elapsed());
    let worker = Peer::worker(&endpoint, V01, "echo");
    worker.hears_nothing();
    client.hears_silence();
}

#[test]
fn b8_nothing_is_sent_to_a_worker_after_its_disconnect() {
    let quick = |builder: mdp_runtime::BrokerBuilder| builder.heartbeat(Duration::from_millis(50));
    let (_broker, endpoint) = broker(quick);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        let client = Peer::connect(&endpoint, mdp);
        client.request(b"echo", m![b"one"]);
        let (address, _) = worker.task();
        worker.disconnect();
        let gone = frames(m![b"404"]);
        until(|| client.ask(b"mmi.service", m![b"echo"]) == gone);
        while worker.any(Duration::from_millis(100)).is_some() {}
        // Whatever else it sends, and whatever clients want.
        worker.heartbeat();
        worker.answer(&address, true, m![b"late"]);
        client.request(b"echo", m![b"two"]);
        worker.hears_silence();
        // Both requests are another worker's.
        let other = Peer::connect(&endpoint, mdp);
        other.ready("echo");
        for body in [b"one", b"two"] {
            let (address, came) = other.task();
            assert_eq!(came, frames(m![body]));
            other.answer(&address, true, m![body]);
            assert_eq!(client.reply(b"echo", true), frames(m![body]));
        }
        other.disconnect();
        until(|| client.ask(b"mmi.service", m![b"echo"]) == gone);
    }
}

#[tokio::test]
async fn b9_the_broker_may_say_disconnect() {
    let (broker, endpoint) = broker(|builder| builder);
    // Each service has one worker, so the broker knows both.
    let workers = [(V01, "one"), (V02, "two")];
    let workers = workers.map(|(mdp, service)| Peer::worker(&endpoint, mdp, service));
    broker.shutdown(Duration::from_secs(5)).await;
    for worker in workers {
        assert_eq!(worker.receive(), worker.disconnect_frames());
    }
}

#[test]
fn b10_second_ready() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        for again in ["echo", "other"] {
            let worker = Peer::worker(&endpoint, mdp, "echo");
            worker.ready(again);
            worker.is_told_to_go();
            let client = Peer::connect(&endpoint, mdp);
            assert_eq!(client.ask(b"mmi.service", m![b"other"]), frames(m![b"404"]));
            assert_eq!(client.ask(b"mmi.service", m![b"echo"]), frames(m![b"404"]));
        }
    }
}

#[test]
fn b10_reply_before_ready() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        for last in [true, false] {
            let worker = Peer::connect(&endpoint, mdp);
            worker.answer(b"somebody", last, m![b"body"]);
            worker.is_told_to_go();
            worker.answer(b"somebody", last, m![b"body"]);
            worker.hears_silence();
        }
    }
}

#[test]
fn b10_heartbeat_before_ready() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::connect(&endpoint, mdp);
        worker.heartbeat();
        worker.is_told_to_go();
        worker.heartbeat();
        worker.hears_silence();
        // On a new connection it may begin anew (W6).
        let worker = Peer::worker(&endpoint, mdp, "echo");
        worker.disconnect();
    }
}

#[test]
fn b10_reply_while_idle() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        for address in [b"8 bytes.".as_slice(), b"", b"somebody else"] {
            let worker = Peer::worker(&endpoint, mdp, "echo");
            worker.answer(address, true, m![b"body"]);
            worker.is_told_to_go();
        }
    }
}

/// Fault 4.17, attack A2: a reply counts only from the worker that holds the request.
#[test]
fn b10_reply_to_another_workers_request() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        let client = Peer::connect(&endpoint, mdp);
        client.request(b"echo", m![b"hi"]);
        let (address, _) = worker.task();
        let rogue = Peer::worker(&endpoint, mdp, "rogue");
        rogue.answer(&address, true, m![b"forged"]);
        rogue.is_told_to_go();
        worker.answer(&address, true, m![b"right"]);
        assert_eq!(client.reply(b"echo", true), frames(m![b"right"]));
        worker.disconnect();
    }
}

#[test]
fn b10_second_final() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        let client = Peer::connect(&endpoint, mdp);
        client.request(b"echo", m![b"hi"]);
        let (address, _) = worker.task();
        worker.answer(&address, true, m![b"one"]);
        worker.answer(&address, true, m![b"two"]);
        worker.is_told_to_go();
        assert_eq!(client.reply(b"echo", true), frames(m![b"one"]));
        client.hears_silence();
    }
}

#[test]
fn b10_a_worker_that_asks() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        worker.request(b"echo", m![b"hi"]);
        worker.is_told_to_go();
    }
}

#[test]
fn b10_commands_that_go_the_other_way() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        match mdp {
            V01 => worker.send(m![b"", b"MDPW01", b"\x02", b"address", b"", b"body"]),
            V02 => worker.send(m![b"MDPW02", b"\x02", b"address", b"", b"body"]),
        }
        worker.is_told_to_go();
    }
}

#[test]
fn b11_invalid_messages_change_nothing_for_others() {
    let (_broker, endpoint) = broker(|builder| builder);
    let good = Peer::worker(&endpoint, V02, "echo");
    let client = Peer::connect(&endpoint, V01);
    let bad: [&[&[u8]]; 12] = [
        m![b""],
        m![b"", b""],
        m![b"MDPW02"],
        m![b"MDPW02", b""],
        m![b"MDPW02", b"\x09"],
        m![b"MDPW02", b"\x01\x01", b"echo"],
        m![b"", b"MDPW01", b"\x01", b"two words"],
        m![b"MDPW02", b"\x01", b""],
        m![b"", b"MDPC01"],
        m![b"MDPC02", b"\x03", b"echo", b"body"],
        m![b"GET / HTTP/1.1"],
        &[b"".as_slice(); 60],
    ];
    for frames in bad {
        let peer = Peer::connect(&endpoint, V02);
        peer.send(frames);
        // An invalid worker is told; of the others the broker forgets what they wanted.
        let told = peer.any(Duration::from_millis(50));
        assert!(told.is_some() || !frames.iter().any(|frame| frame.starts_with(b"MDPW")));
        client.request(b"echo", m![b"hi"]);
        let (address, _) = good.task();
        good.answer(&address, true, m![b"back"]);
        assert_eq!(client.reply(b"echo", true), [b"back"]);
    }
}

#[test]
fn b11_an_invalid_worker_is_forgotten() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        match mdp {
            V01 => worker.send(m![b"", b"MDPW01", b"\x09"]),
            V02 => worker.send(m![b"MDPW02", b"\x09"]),
        }
        worker.is_told_to_go();
        let client = Peer::connect(&endpoint, mdp);
        assert_eq!(client.ask(b"mmi.service", m![b"echo"]), frames(m![b"404"]));
    }
}
