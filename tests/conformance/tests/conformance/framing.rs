//! F1 to F9: how messages look.

use crate::peer::*;

#[test]
fn f1_requests_and_replies_of_01() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V01, "echo");
    let client = Peer::connect(&endpoint, V01);
    client.send(m![b"", b"MDPC01", b"echo", b"one", b"two"]);
    let (address, body) = worker.task();
    assert_eq!(body, frames(m![b"one", b"two"]));
    worker.answer(&address, true, m![b"three"]);
    assert_eq!(client.receive(), frames(m![b"", b"MDPC01", b"echo", b"three"]));
}

#[test]
fn f2_ready_of_01_has_four_frames() {
    let (_broker, endpoint) = broker(|builder| builder);
    let _good = Peer::worker(&endpoint, V01, "good");
    for spare in [
        m![b"".as_slice(), b"MDPW01", b"\x01", b"bad", b""] as &[&[u8]],
        m![b"", b"MDPW01", b"\x01"],
    ] {
        let bad = Peer::connect(&endpoint, V01);
        bad.send(spare);
        bad.is_told_to_go();
    }
    let asks = Peer::connect(&endpoint, V01);
    assert_eq!(asks.ask(b"mmi.service", m![b"good"]), frames(m![b"200"]));
    assert_eq!(asks.ask(b"mmi.service", m![b"bad"]), frames(m![b"404"]));
}

#[test]
fn f3_requests_to_workers_of_01_and_their_replies() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V01, "echo");
    let client = Peer::connect(&endpoint, V02);
    client.request(b"echo", m![b"hi"]);
    let request = worker.receive();
    assert_eq!(request[..3], frames(m![b"", b"MDPW01", b"\x02"])[..]);
    assert_eq!((request.len(), &*request[4], &*request[5]), (6, b"".as_slice(), b"hi".as_slice()));
    worker.send(m![b"", b"MDPW01", b"\x03", &request[3], b"", b"back"]);
    assert_eq!(client.reply(b"echo", true), frames(m![b"back"]));
}

#[test]
fn f4_heartbeat_has_three_frames() {
    let quick = |builder: mdp_runtime::BrokerBuilder| {
        builder.heartbeat(std::time::Duration::from_millis(50))
    };
    let (_broker, endpoint) = broker(quick);
    let worker = Peer::worker(&endpoint, V01, "echo");
    worker.wait_heartbeat();
    worker.send(m![b"", b"MDPW01", b"\x04", b"spare"]);
    worker.is_told_to_go();
}

#[test]
fn f5_disconnect_has_three_frames() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V01, "echo");
    worker.send(m![b"", b"MDPW01", b"\x05", b"spare"]);
    assert_eq!(worker.receive(), frames(m![b"", b"MDPW01", b"\x05"]));
}

#[test]
fn f6_clients_of_02() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::worker(&endpoint, V02, "echo");
    let client = Peer::connect(&endpoint, V02);
    client.send(m![b"MDPC02", b"\x01", b"echo", b"hi"]);
    let (address, _) = worker.task();
    worker.answer(&address, false, m![b"part"]);
    worker.answer(&address, true, m![b"end"]);
    assert_eq!(client.receive(), frames(m![b"MDPC02", b"\x02", b"echo", b"part"]));
    assert_eq!(client.receive(), frames(m![b"MDPC02", b"\x03", b"echo", b"end"]));
}

/// Beyond the RFC: who puts an empty frame before messages gets one, too.
#[test]
fn f6_an_empty_frame_in_front_is_answered_in_kind() {
    let (_broker, endpoint) = broker(|builder| builder);
    let worker = Peer::connect(&endpoint, V02);
    worker.send(m![b"", b"MDPW02", b"\x01", b"echo"]);
    let client = Peer::connect(&endpoint, V02);
    client.send(m![b"", b"MDPC02", b"\x01", b"echo", b"hi"]);
    let request = worker.receive();
    assert_eq!(request[..3], frames(m![b"", b"MDPW02", b"\x02"])[..]);
    worker.send(m![b"", b"MDPW02", b"\x04", &request[3], b"", b"back"]);
    assert_eq!(client.receive(), frames(m![b"", b"MDPC02", b"\x03", b"echo", b"back"]));
}

#[test]
fn f7_workers_of_02() {
    let quick = |builder: mdp_runtime::BrokerBuilder| {
        builder.heartbeat(std::time::Duration::from_millis(50))
    };
    let (_broker, endpoint) = broker(quick);
    let worker = Peer::connect(&endpoint, V02);
    worker.send(m![b"MDPW02", b"\x01", b"echo"]);
    assert_eq!(
        worker.any(std::time::Duration::from_secs(10)),
        Some(frames(m![b"MDPW02", b"\x05"]))
    );
    let client = Peer::connect(&endpoint, V02);
    client.request(b"echo", m![b"hi"]);
    let request = worker.receive();
    assert_eq!(request[..2], frames(m![b"MDPW02", b"\x02"])[..]);
    worker.send(m![b"MDPW02", b"\x03", &request[2], b"", b"part"]);
    worker.send(m![b"MDPW02", b"\x04", &request[2], b"", b"end"]);
    assert_eq!(client.reply(b"echo", false), frames(m![b"part"]));
    assert_eq!(client.reply(b"echo", true), frames(m![b"end"]));
    worker.send(m![b"MDPW02", b"\x01", b"echo"]);
    assert_eq!(worker.receive(), frames(m![b"MDPW02", b"\x06"]));
}

#[test]
fn f8_one_address_and_an_empty_frame() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let worker = Peer::worker(&endpoint, mdp, "echo");
        let client = Peer::connect(&endpoint, mdp);
        client.request(b"echo", m![b"hi"]);
        let (address, _) = worker.task();
        assert!(!address.is_empty());
        // Two addresses: the second stands where the empty frame should.
        match mdp {
            V01 => worker.send(m![b"", b"MDPW01", b"\x03", &address, &address, b"", b"back"]),
            V02 => worker.send(m![b"MDPW02", b"\x04", &address, &address, b"", b"back"]),
        }
        worker.is_told_to_go();
        client.hears_silence();
    }
}

#[test]
fn f9_bodies_pass_as_they_are() {
    let (_broker, endpoint) = broker(|builder| builder);
    let large = vec![0xd3; 1 << 20];
    let all: Vec<u8> = (0..=255).collect();
    let bodies: [&[&[u8]]; 6] = [
        m![],
        m![b""],
        m![b"", b"", b"end"],
        m![b"MDPC02", b"\x01", b"echo"],
        &[&all, &[0xd3, 1], &large],
        &[b"x".as_slice(); 24],
    ];
    for worker_speaks in BOTH {
        for client_speaks in BOTH {
            let service = format!("echo-{worker_speaks:?}-{client_speaks:?}");
            let worker = Peer::worker(&endpoint, worker_speaks, &service);
            let client = Peer::connect(&endpoint, client_speaks);
            for body in bodies {
                client.request(service.as_bytes(), body);
                let (address, came) = worker.task();
                assert!(came == frames(body), "{worker_speaks:?} got another body");
                worker.answer(&address, true, body);
                assert!(client.reply(service.as_bytes(), true) == frames(body));
            }
        }
    }
}
