//! Routing ids that are not their owner's.

use std::time::{Duration, Instant};

use crate::cluster::{Target, dealer};
use crate::{count, is_native, ms, report, together};

/// Connects with a routing id.
fn known_as(id: &[u8], endpoint: &str) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::DEALER).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(30_000).unwrap();
    socket.set_identity(id).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

/// Who gets a ROUTER's reply to the first of two peers with one id: the first, or the second?
fn first_keeps_its_reply(handover: bool) -> bool {
    let router = zmq::Context::new().socket(zmq::ROUTER).unwrap();
    router.set_linger(0).unwrap();
    router.set_rcvtimeo(30_000).unwrap();
    router.set_router_handover(handover).unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let victim = known_as(b"victim", &endpoint);
    victim.send("question", 0).unwrap();
    let question = router.recv_multipart(0).unwrap();
    let thief = known_as(b"victim", &endpoint);
    thief.send("anything", 0).unwrap();
    if handover {
        assert_eq!(router.recv_multipart(0).unwrap()[1], b"anything");
    } else {
        // What the thief says never comes; another peer shows that it had the time.
        let other = known_as(b"other", &endpoint);
        other.send("later", 0).unwrap();
        assert_eq!(router.recv_multipart(0).unwrap()[1], b"later");
    }
    router.send_multipart([&question[0][..], b"answer"], 0).unwrap();
    let mut items = [victim.as_poll_item(zmq::POLLIN), thief.as_poll_item(zmq::POLLIN)];
    zmq::poll(&mut items, 10_000).unwrap();
    items[0].is_readable()
}

/// A7: what libzmq does with either setting, and that the broker has the right one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a7_a_routing_id_is_not_handed_over() {
    let _turn = together().await;
    assert!(first_keeps_its_reply(false));
    assert!(!first_keeps_its_reply(true), "the option would not be worth a test");
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let (endpoint, thefts) = (target.endpoint.clone(), count(200));
    let attack = tokio::task::spawn_blocking(move || {
        let worker = dealer(&endpoint);
        worker.send_multipart(["MDPW02", "\x01", "held"], 0).unwrap();
        let victim = known_as(b"victim", &endpoint);
        for number in 0..thefts {
            victim.send_multipart(["MDPC02", "\x01", "held", &number.to_string()], 0).unwrap();
            let task = loop {
                let message = worker.recv_multipart(0).unwrap();
                if message[1] == b"\x02" {
                    break message;
                }
            };
            // While the request is held, somebody else takes on the id.
            let thief = known_as(b"victim", &endpoint);
            thief.send_multipart(["MDPC02", "\x01", "mmi.service", "held"], zmq::DONTWAIT).unwrap();
            let body = task.last().unwrap();
            worker.send_multipart([b"MDPW02", &b"\x04"[..], &task[2], b"", body], 0).unwrap();
            let reply = victim.recv_multipart(0).expect("the victim's reply");
            assert_eq!(reply.last().unwrap(), number.to_string().as_bytes());
            // libzmq keeps the second one out. The native transport gives each peer an id of its own, and the thief gets
            // what it asked for itself.
            while let Ok(message) = thief.recv_multipart(zmq::DONTWAIT) {
                assert!(is_native() && message.last().unwrap() == b"200", "{message:?}");
            }
        }
    });
    attack.await.unwrap();
    target.serves().await;
    report(&format!("a7: {thefts} thefts of an id: the victim has kept each reply"));
}

/// A8: who takes an id first keeps whoever comes with the same one out. Peers of this toolkit have none of their own to
/// take; others find out by waiting, and come with another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_a_squatter_keeps_nobody_out_for_long() {
    let _turn = together().await;
    let mut target = Target::start();
    let _worker = target.worker(8).await;
    let endpoint = target.endpoint.clone();
    let squat = tokio::task::spawn_blocking(move || {
        let squatters: Vec<zmq::Socket> = (0..10)
            .map(|number| {
                let squatter = known_as(format!("client-{number}").as_bytes(), &endpoint);
                squatter.send_multipart(["MDPC02", "\x01", "mmi.service", "nobody"], 0).unwrap();
                assert_eq!(squatter.recv_multipart(0).unwrap().last().unwrap(), b"404");
                squatter
            })
            .collect();
        let begun = Instant::now();
        let ask = |victim: &zmq::Socket, patience: i32| {
            victim.send_multipart(["MDPC02", "\x01", "mmi.service", "attacks.v1.Work"], 0).unwrap();
            victim.set_rcvtimeo(patience).unwrap();
            victim.recv_multipart(0).ok()
        };
        let deaf = known_as(b"client-3", &endpoint);
        // A native broker does not look at it.
        assert_eq!(ask(&deaf, 1_000).is_some(), is_native(), "an id that is taken");
        let other = known_as(b"client-3 anew", &endpoint);
        assert_eq!(ask(&other, 10_000).unwrap().last().unwrap(), b"200");
        let took = begun.elapsed();
        assert!(took <= Duration::from_secs(5), "{took:?}");
        (squatters, took)
    });
    let (_squatters, took) = squat.await.unwrap();
    let begun = Instant::now();
    target.serves().await;
    assert!(begun.elapsed() <= Duration::from_secs(5));
    report(&format!(
        "a8: served after {took:.1?} under another id, {ms:?} of them waiting",
        ms = ms(1_000)
    ));
}
