//! B12 to B20: signs of life, and replies in their order.

use std::time::{Duration, Instant};

use mdp_runtime::BrokerBuilder;

use crate::peer::*;

const BEAT: Duration = Duration::from_millis(100);
const EXPIRY: Duration = Duration::from_millis(600);

fn quick(builder: BrokerBuilder) -> BrokerBuilder {
    builder.heartbeat(BEAT).classic_idle_expiry(EXPIRY).classic_busy_expiry(4 * EXPIRY)
}

/// Whether the service is there at the end of a time during which something is done again and again.
fn there_after(endpoint: &str, time: Duration, mut again: impl FnMut()) -> bool {
    let start = Instant::now();
    while start.elapsed() < time {
        again();
        std::thread::sleep(BEAT / 2);
    }
    Peer::connect(endpoint, V02).ask(b"mmi.service", m![b"echo"]) == frames(m![b"200"])
}

#[test]
fn b12_any_command_is_a_sign_of_life() {
    let (_broker, endpoint) = broker(quick);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        assert!(there_after(&endpoint, 2 * EXPIRY, || worker.heartbeat()), "heartbeats");
        let client = Peer::connect(&endpoint, mdp);
        let replies = || {
            client.request(b"echo", m![b"hi"]);
            let (address, _) = worker.task();
            worker.answer(&address, true, m![b"back"]);
            client.reply(b"echo", true);
        };
        assert!(there_after(&endpoint, 2 * EXPIRY, replies), "replies");
        if mdp == V02 {
            client.request(b"echo", m![b"hi"]);
            let (address, _) = worker.task();
            let parts = || worker.answer(&address, false, m![b"part"]);
            assert!(there_after(&endpoint, 5 * EXPIRY, parts), "partial replies");
        }
        worker.disconnect();
    }
}

#[test]
fn b13_heartbeats_come_at_regular_intervals() {
    let (_broker, endpoint) = broker(quick);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        worker.wait_heartbeat();
        let start = Instant::now();
        for _ in 0..8 {
            worker.heartbeat();
            worker.wait_heartbeat();
        }
        let took = start.elapsed();
        assert!(took >= BEAT * 6 && took < BEAT * 30, "8 heartbeats in {took:?}");
        worker.disconnect();
    }
}

#[test]
fn b14_a_silent_worker_is_gone() {
    let (_broker, endpoint) = broker(quick);
    for mdp in BOTH {
        let worker = Peer::connect(&endpoint, mdp);
        let start = Instant::now();
        worker.ready("echo");
        assert_eq!(worker.receive(), worker.disconnect_frames());
        let took = start.elapsed();
        assert!(took >= EXPIRY && took < 4 * EXPIRY, "{took:?}");
    }
}

/// Fault 4.6: a busy worker that is gone is found out, and its request is another one's.
#[test]
fn b14_a_silent_busy_worker_is_gone_later() {
    let (_broker, endpoint) = broker(quick);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        let client = Peer::connect(&endpoint, mdp);
        client.request(b"echo", m![b"hi"]);
        let start = Instant::now();
        worker.task();
        let other = Peer::worker(&endpoint, mdp, "echo");
        assert_eq!(worker.receive(), worker.disconnect_frames());
        let took = start.elapsed();
        assert!(took >= 4 * EXPIRY - BEAT, "{took:?}");
        // The other one was idle and silent, so it has gone before.
        assert_eq!(other.receive(), other.disconnect_frames());
        let third = Peer::connect(&endpoint, mdp);
        third.ready("echo");
        let (address, _) = third.task();
        third.answer(&address, true, m![b"back"]);
        assert_eq!(client.reply(b"echo", true), frames(m![b"back"]));
        third.disconnect();
    }
}

#[test]
fn b15_nothing_is_sent_to_who_is_gone() {
    let (_broker, endpoint) = broker(quick);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, &format!("echo-{mdp:?}"));
        assert_eq!(worker.receive(), worker.disconnect_frames());
        let client = Peer::connect(&endpoint, mdp);
        client.request(format!("echo-{mdp:?}").as_bytes(), m![b"hi"]);
        worker.hears_silence();
    }
}

#[test]
fn b16_no_heartbeats_between_other_commands() {
    let (_broker, endpoint) = broker(quick);
    for mdp in BOTH {
        let service = format!("echo-{mdp:?}");
        let worker = Peer::worker(&endpoint, mdp, &service);
        let client = Peer::connect(&endpoint, mdp);
        let start = Instant::now();
        let (mut requests, mut others) = (0, 0);
        client.request(service.as_bytes(), m![b"hi"]);
        while start.elapsed() < 8 * BEAT {
            let message = worker.any(Duration::from_secs(5)).unwrap();
            if message == worker.heartbeat_frames() {
                others += 1;
                continue;
            }
            requests += 1;
            worker.answer(&message[message.len() - 3], true, m![b"back"]);
            client.reply(service.as_bytes(), true);
            client.request(service.as_bytes(), m![b"hi"]);
        }
        // On a busy machine a request may take longer than an interval now and then.
        assert!(requests > 20 && others <= 3, "{others} heartbeats beside {requests} requests");
        worker.disconnect();
    }
}

#[test]
fn b17_heartbeat_is_valid_at_any_time_after_ready() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        let client = Peer::connect(&endpoint, mdp);
        worker.heartbeat();
        client.request(b"echo", m![b"hi"]);
        let (address, _) = worker.task();
        worker.heartbeat(); // busy
        worker.answer(&address, true, m![b"back"]);
        worker.heartbeat();
        assert_eq!(client.reply(b"echo", true), frames(m![b"back"]));
        worker.hears_nothing();
        worker.disconnect();
    }
}

#[test]
fn b18_ready_has_no_reply() {
    let (_broker, endpoint) = broker(|builder| builder.heartbeat(Duration::from_secs(60)));
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        worker.hears_silence();
        worker.disconnect();
    }
}

#[test]
fn b19_nothing_follows_the_final_reply() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V02, "echo");
    let client = Peer::connect(&endpoint, V02);
    client.request(b"echo", m![b"hi"]);
    let (address, _) = worker.task();
    worker.answer(&address, true, m![b"end"]);
    worker.answer(&address, false, m![b"after the end"]);
    assert_eq!(client.reply(b"echo", true), frames(m![b"end"]));
    worker.is_told_to_go();
    client.hears_silence();
}

#[test]
fn b20_partial_replies_then_the_final_one_in_order() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V02, "echo");
    let client = Peer::connect(&endpoint, V02);
    for parts in [0, 1, 2_000_u32] {
        client.request(b"echo", m![b"hi"]);
        let (address, _) = worker.task();
        for part in 0..parts {
            worker.answer(&address, false, m![&part.to_be_bytes(), b""]);
        }
        worker.answer(&address, true, m![b"end"]);
        for part in 0..parts {
            assert_eq!(client.reply(b"echo", false), frames(m![&part.to_be_bytes(), b""]));
        }
        assert_eq!(client.reply(b"echo", true), frames(m![b"end"]));
    }
}

/// A client of MDP/0.1 takes one reply: it gets the last one (wire.md R88).
#[test]
fn b20_a_client_of_01_gets_the_final_reply_only() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V02, "echo");
    let client = Peer::connect(&endpoint, V01);
    client.request(b"echo", m![b"hi"]);
    let (address, _) = worker.task();
    worker.answer(&address, false, m![b"part"]);
    worker.answer(&address, true, m![b"end"]);
    assert_eq!(client.reply(b"echo", true), frames(m![b"end"]));
    client.hears_silence();
}
