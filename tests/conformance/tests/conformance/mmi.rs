//! M1 to M5: RFC 8.

use crate::peer::*;

#[test]
fn m1_mmi_is_the_brokers_own() {
    let (broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let client = Peer::connect(&endpoint, mdp);
        for service in [b"mmi.service".as_slice(), b"mmi.", b"mmi.nobody.knows"] {
            let status = client.ask(service, m![b"echo"]);
            assert_eq!(status[0].len(), 3, "{status:?}");
        }
    }
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stats = tokio.block_on(broker.stats());
    assert_eq!((stats.requests, stats.queued), (0, 0), "no call, and nothing that waits");
}

#[test]
fn m2_nobody_registers_in_mmi() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        for service in ["mmi.service", "mmi.", "mmi.x"] {
            let worker = Peer::connect(&endpoint, mdp);
            worker.ready(service);
            worker.is_told_to_go();
        }
        // What only looks like it is a service like others (fault 4.16).
        for service in ["mmi", "MMI.service", "xmmi.service", "m", "i.", "echo.mmi."] {
            let worker = Peer::worker(&endpoint, mdp, service);
            let client = Peer::connect(&endpoint, mdp);
            client.request(service.as_bytes(), m![b"hi"]);
            let (address, _) = worker.task();
            worker.answer(&address, true, m![b"mine"]);
            assert_eq!(client.reply(service.as_bytes(), true), frames(m![b"mine"]));
            worker.disconnect();
        }
    }
}

#[test]
fn m3_mmi_service_says_whether_a_worker_is_there() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let client = Peer::connect(&endpoint, mdp);
        assert_eq!(client.ask(b"mmi.service", m![b"echo"]), frames(m![b"404"]));
        let worker = Peer::worker(&endpoint, V01, "echo");
        assert_eq!(client.ask(b"mmi.service", m![b"echo"]), frames(m![b"200"]));
        // The name is the last frame, and compared byte by byte.
        assert_eq!(client.ask(b"mmi.service", m![b"other", b"echo"]), frames(m![b"200"]));
        assert_eq!(client.ask(b"mmi.service", m![b"ech"]), frames(m![b"404"]));
        assert_eq!(client.ask(b"mmi.service", m![]), frames(m![b"404"]));
        // A busy worker is there, too.
        client.request(b"echo", m![b"hi"]);
        let (address, _) = worker.task();
        assert_eq!(client.ask(b"mmi.service", m![b"echo"]), frames(m![b"200"]));
        worker.answer(&address, true, m![b"back"]);
        assert_eq!(client.reply(b"echo", true), frames(m![b"back"]));
        worker.disconnect();
        let gone = frames(m![b"404"]);
        until(|| client.ask(b"mmi.service", m![b"echo"]) == gone);
    }
}

#[test]
fn m4_unknown_mmi_services_are_501() {
    let (_broker, endpoint) = broker(|builder| builder);
    for mdp in BOTH {
        let client = Peer::connect(&endpoint, mdp);
        for service in [b"mmi.nothing".as_slice(), b"mmi.", b"mmi.Service", b"mmi.service."] {
            assert_eq!(client.ask(service, m![b"echo"]), frames(m![b"501"]), "{service:?}");
        }
    }
}

#[test]
fn m5_the_default_set_and_more() {
    let (_broker, endpoint) = broker(|builder| builder);
    let _worker = Peer::worker(&endpoint, V01, "echo");
    let client = Peer::connect(&endpoint, V02);
    let list = |service: &[u8], about: &[u8]| {
        let reply = client.ask(service, m![about]);
        assert_eq!((reply.len(), &*reply[0]), (2, b"200".as_slice()));
        String::from_utf8(reply[1].clone()).unwrap()
    };
    let services = list(b"mmi.services", b"");
    assert!(services.contains(r#""service":"echo""#) && services.contains(r#""workers":1"#));
    let workers = list(b"mmi.workers", b"echo");
    assert!(workers.contains(r#""dialect":"0.1""#) && workers.contains(r#""capacity":1"#));
    assert!(list(b"mmi.counters", b"").contains(r#""requests":0"#));
    assert_eq!(client.ask(b"mmi.workers", m![b"nobody"]), frames(m![b"404"]));
}
