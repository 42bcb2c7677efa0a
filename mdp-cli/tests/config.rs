//! Each setting of the configuration file has its effect, seen from outside.

// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::time::{Duration, Instant};

use mdp_protocol::wire::DisconnectReason::{LimitReached, Malformed};
use mdp_protocol::wire::{CallKind, Direction};
use mdp_protocol::{Code, Span};
use process::Process;
use raw::{Final, Raw, RawPeer, hello, ready};
use support::{SERVICE_NAME, bound, config, mdp, request};
use zmtp::Peer;

/// A broker whose file says `text`, its endpoint, and the file.
fn broker(text: &str) -> (Process, String) {
    let file = config(&format!("bind = [\"tcp://127.0.0.1:*\"]\n{text}\n"));
    let mut process = Process::start(mdp().args(["broker", "--config"]).arg(file.path()));
    let endpoint = bound(&mut process);
    (process, endpoint)
}

/// A REQUEST of another service than the one that workers offer here.
fn elsewhere(call: u64) -> Raw {
    request_for(call, "test.v1.Elsewhere/Pass")
}

fn request_for(call: u64, path: &str) -> Raw {
    let Raw::Request { timeout, idempotent, attempt, peer, kind, .. } = request(call) else {
        unreachable!("a REQUEST")
    };
    Raw::Request { call, timeout, idempotent, attempt, peer, kind, body: path.into() }
}

fn welcome(endpoint: &str) -> (Span, u8, u64) {
    let mut peer = RawPeer::connect(endpoint);
    peer.send(&[Raw::Hello { id: Vec::new(), heartbeat: Span::from_ms(1), liveness: 1 }]);
    peer.wait(|record| match record {
        Raw::Welcome { heartbeat, liveness, frame_bytes, .. } => {
            Some((*heartbeat, *liveness, *frame_bytes))
        }
        _ => None,
    })
}

/// Two calls of one client; the second must be refused because of this limit.
fn refuses_the_second(limit: &str, setting: &str, first: Raw, second: Raw) {
    let (_broker, endpoint) = broker(&format!("[limits]\n{limit} = {setting}"));
    let mut client = RawPeer::greeted(&endpoint);
    client.send(&[first, second]);
    refused(&client.wait_final(), 2, limit);
}

fn refused(ended: &Final, call: u64, limit: &str) {
    assert_eq!(ended.call, call, "{ended:?}");
    assert_eq!(ended.code, Code::ResourceExhausted, "{ended:?}");
    assert!(ended.not_started && ended.words.contains(limit), "{limit}: {ended:?}");
}

/// A welcomed peer that says this loses its session because of this limit.
fn disconnects(limit: &str, setting: &str, records: &[Raw]) {
    let (_broker, endpoint) = broker(&format!("[limits]\n{limit} = {setting}"));
    let mut peer = RawPeer::greeted(&endpoint);
    peer.send(records);
    assert_eq!(peer.wait_disconnect(), LimitReached, "{limit}");
}

/// What `mdp broker --config` says of a file that it does not take.
fn refuses(path: &std::path::Path) -> String {
    let bind = ["broker", "--bind", "tcp://127.0.0.1:*", "--config"];
    let ended = Process::start(mdp().args(bind).arg(path)).end();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    ended.stderr
}

#[test]
fn a42_a_file_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let file = config("bind = [\"tcp://127.0.0.1:*\"]\n");
    for mode in [0o666, 0o664, 0o622] {
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        let said = refuses(file.path());
        assert!(said.contains("chmod go-w ") && said.contains(&format!("{mode:04o}")), "{said}");
    }
    std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o644)).unwrap();
    let mut process = Process::start(mdp().args(["broker", "--config"]).arg(file.path()));
    bound(&mut process);
}

#[test]
fn a37_a_file_without_a_setting_is_refused() {
    for text in ["", "# all by default\n"] {
        let said = refuses(config(text).path());
        assert!(said.contains("has no setting"), "{said}");
    }
}

#[test]
fn heartbeat_ms_and_liveness_are_what_a_peer_is_told() {
    let (_broker, endpoint) = broker("heartbeat_ms = 1234\nliveness = 7");
    let (heartbeat, liveness, _) = welcome(&endpoint);
    assert_eq!((heartbeat, liveness), (Span::from_ms(1234), 7));
}

#[test]
fn unserved_wait_ms_bounds_the_wait_for_a_worker() {
    let (_broker, endpoint) = broker("unserved_wait_ms = 50");
    let mut client = RawPeer::greeted(&endpoint);
    let asked = Instant::now();
    client.send(&[request(1)]);
    let ended = client.wait_final();
    assert_eq!(ended.code, Code::Unavailable, "{ended:?}");
    assert!(ended.words.contains("NO_SERVICE"), "{ended:?}");
    assert!(asked.elapsed() < Duration::from_secs(4), "the default is 5 s");
}

#[test]
fn overrun_ms_is_how_long_a_slot_stays_taken_beyond_the_deadline() {
    let (_broker, endpoint) = broker("overrun_ms = 600000");
    let mut worker = RawPeer::worker(&endpoint, SERVICE_NAME, 1);
    let mut client = RawPeer::greeted(&endpoint);
    let with_timeout = |call, ms| match request(call) {
        Raw::Request { idempotent, attempt, peer, kind, body, .. } => {
            Raw::Request { call, timeout: Span::from_ms(ms), idempotent, attempt, peer, kind, body }
        }
        other => other,
    };
    client.send(&[with_timeout(1, 100)]);
    worker.wait_request(); // and no answer, so the only slot stays taken
    assert_eq!(client.wait_final().call, 1);
    // By default the slot would be free after a second, and the worker would be given the call.
    client.send(&[with_timeout(2, 2_500)]);
    let ended = client.wait_final();
    assert_eq!((ended.call, ended.code), (2, Code::DeadlineExceeded), "{ended:?}");
    assert!(ended.not_started, "it was given to the worker: {ended:?}");
}

#[test]
fn frame_bytes_is_what_a_peer_is_told() {
    let (_broker, endpoint) = broker("[limits]\nframe_bytes = 123456");
    assert_eq!(welcome(&endpoint).2, 123_456);
}

#[test]
fn frames_and_records_bound_a_message() {
    let (_broker, endpoint) = broker("[limits]\nrecords = 2");
    let mut peer = RawPeer::greeted(&endpoint);
    peer.send(&[Raw::Heartbeat, Raw::Heartbeat, Raw::Heartbeat]);
    assert_eq!(peer.wait_disconnect(), Malformed);

    // Two payload frames that their records announce: with the packet, three frames.
    let packet = support::packet_with_frames(&[1, 2]);
    let frames: [&[u8]; 3] = [&packet, b"x", b"y"];
    let (_broker, endpoint) = broker("[limits]\nframes = 3\nunserved_services = 0");
    let mut peer = RawPeer::greeted(&endpoint);
    peer.send_frames(&frames);
    refused(&peer.wait_final(), 1, "unserved_services");
    let (_broker, endpoint) = broker("[limits]\nframes = 2");
    let mut peer = RawPeer::greeted(&endpoint);
    peer.send_frames(&frames);
    assert_eq!(peer.wait_disconnect(), Malformed);
}

#[test]
fn sessions_bounds_the_peers() {
    let (_broker, endpoint) = broker("[limits]\nsessions = 1");
    let _first = RawPeer::greeted(&endpoint);
    let mut second = RawPeer::connect(&endpoint);
    second.send(&[hello()]);
    assert_eq!(second.wait_disconnect(), LimitReached);
}

#[test]
fn what_workers_offer_is_bounded() {
    let two = [ready("a.A", 1), ready("b.B", 1)];
    disconnects("services", "1", &two);
    disconnects("services_per_worker", "1", &two);
    disconnects("registrations", "1", &two);
    disconnects("capacity", "5", &[ready("a.A", 6)]);
}

#[test]
fn what_clients_ask_is_bounded() {
    refuses_the_second("unserved_services", "1", request(1), elsewhere(2));
    refuses_the_second("queued_calls_per_service", "1", request(1), request(2));
    refuses_the_second("calls_per_client", "1", request(1), elsewhere(2));
    refuses_the_second("calls", "1", request(1), elsewhere(2));
    // A path alone has 17 bytes or more, so one call fits and two do not.
    refuses_the_second("queued_bytes_per_service", "30", request(1), request(2));
    refuses_the_second("held_bytes", "30", request(1), elsewhere(2));
}

/// What is gathered for a peer while one message is handled is unread, too: it ends the session of a peer that has too
/// much of it.
#[test]
fn unread_bytes_bound_what_is_on_its_way() {
    for limit in ["unread_bytes_per_session", "unread_bytes"] {
        let settings = format!("[limits]\nunserved_services = 0\n{limit} = 9000");
        let (_broker, endpoint) = broker(&settings);
        let mut peer = RawPeer::greeted(&endpoint);
        let requests: Vec<Raw> = (1..=120).map(request).collect();
        peer.send(&requests[..1]);
        refused(&peer.wait_final(), 1, "unserved_services");
        peer.send(&requests[1..]);
        // It is told so when it has read.
        for _ in 0..50 {
            peer.hears(Duration::from_millis(20));
            peer.send(&[Raw::Heartbeat]);
        }
        assert_eq!(
            peer.wait_disconnect(),
            mdp_protocol::wire::DisconnectReason::NoSession,
            "{limit}"
        );
    }
}

#[test]
fn attempts_bounds_how_often_a_call_is_given_out() {
    let idempotent = || match request(1) {
        Raw::Request { call, timeout, attempt, peer, kind, body, .. } => {
            Raw::Request { call, timeout, idempotent: true, attempt, peer, kind, body }
        }
        other => other,
    };
    let (_broker, endpoint) = broker("[limits]\nattempts = 1");
    let mut first = RawPeer::worker(&endpoint, SERVICE_NAME, 1);
    let mut client = RawPeer::greeted(&endpoint);
    client.send(&[idempotent()]);
    first.wait_request();
    let _second = RawPeer::worker(&endpoint, SERVICE_NAME, 1);
    first.send(&[Raw::Disconnect(mdp_protocol::wire::DisconnectReason::Shutdown)]);
    let ended = client.wait_final();
    assert_eq!(ended.code, Code::Unavailable, "{ended:?}");
    assert!(ended.words.contains("MAYBE_EXECUTED"), "{ended:?}");
}

#[test]
fn unanswered_bounds_how_many_slots_are_taken_back() {
    let (_broker, endpoint) = broker("overrun_ms = 1\n[limits]\nunanswered = 2");
    let mut worker = RawPeer::worker(&endpoint, SERVICE_NAME, 10);
    let client = RawPeer::greeted(&endpoint);
    client.send(&[request(1), Raw::Cancel { call: 1 }]);
    worker.wait(|record| matches!(record, Raw::Cancel { .. }).then_some(()));
    // The slot is back, for the first time: the worker still gets calls.
    client.send(&[request(2)]);
    worker.wait_request();
    client.send(&[Raw::Cancel { call: 2 }]);
    assert_eq!(worker.wait_disconnect(), mdp_protocol::wire::DisconnectReason::Silence);
}

#[test]
fn window_bounds_the_credit_that_a_stream_has() {
    let (_broker, endpoint) = broker("[limits]\nwindow = 20");
    let mut worker = RawPeer::worker(&endpoint, SERVICE_NAME, 1);
    let client = RawPeer::greeted(&endpoint);
    let Raw::Request { call, timeout, idempotent, attempt, peer, body, .. } = request(1) else {
        unreachable!("a REQUEST")
    };
    let kind = CallKind::ServerStreaming;
    let request = Raw::Request { call, timeout, idempotent, attempt, peer, kind, body };
    client.send(&[request, Raw::Credit { call: 1, of: Direction::Replies, units: 4_096 }]);
    let credit = worker.wait(|record| match record {
        Raw::Credit { units, .. } => Some(*units),
        _ => None,
    });
    assert_eq!(credit, 20);
}

#[test]
fn contracts_are_kept_as_far_as_the_file_says() {
    // A worker is asked each of three times, or once where its answer is kept.
    for (setting, asked) in
        [("schemas = 1", 1), ("schemas = 0", 3), ("schema_bytes = 5", 1), ("schema_bytes = 4", 3)]
    {
        let (_broker, endpoint) = broker(&format!("[limits]\n{setting}"));
        let mut worker = RawPeer::greeted(&endpoint);
        let service = SERVICE_NAME.into();
        worker.send(&[Raw::Ready { service, capacity: 1, shared: false, schema: Some([7; 16]) }]);
        let client = Peer::connect(&endpoint);
        for number in 0..3 {
            client.send(&["MDPC02", "\x01", "mmi.schema", SERVICE_NAME]);
            if number < asked {
                let call = worker.wait_request();
                let reply = mdp_protocol::wire::Reply::Body(b"bytes".to_vec());
                let (code, attempt, peer) = (Code::Ok, 1, Vec::new());
                let not_started = false;
                worker.send(&[Raw::Final { call, code, not_started, attempt, peer, reply }]);
            }
            let told = client.receive();
            assert_eq!(told.get(3..5).unwrap(), [&b"200"[..], b"bytes"], "{setting}: {told:?}");
        }
    }
}

#[test]
fn allow_drain_lets_everybody_end_the_broker() {
    for (text, status) in [("", "403"), ("allow_drain = true", "200")] {
        let (process, endpoint) = broker(text);
        let client = Peer::connect(&endpoint);
        client.send(&["MDPC02", "\x01", "mmi.drain.broker", ""]);
        let told = client.receive();
        assert_eq!(told.get(3).map(Vec::as_slice), Some(status.as_bytes()), "{told:?}");
        if status == "200" {
            assert_eq!(process.end().status.code(), Some(0));
        }
    }
}

/// A classic worker, as RFC 18 has it, and what it hears until the broker tells it to go.
fn classic_worker(endpoint: &str) -> Peer {
    let worker = Peer::connect(endpoint);
    worker.send(&["MDPW02", "\x01", "echo"]);
    worker
}

fn classic_request(endpoint: &str) -> Peer {
    let client = Peer::connect(endpoint);
    client.send(&["MDPC02", "\x01", "echo", "hi"]);
    client
}

/// The next message to a classic worker with this command; how long it took.
fn wait_command(worker: &Peer, command: u8) -> Duration {
    let start = Instant::now();
    loop {
        let message = worker.receive();
        if message.get(1).is_some_and(|frame| *frame == [command]) {
            return start.elapsed();
        }
    }
}

#[test]
fn classic_expiries_are_those_of_the_file() {
    let (_broker, endpoint) = broker(
        "heartbeat_ms = 50\n[classic]\nidle_expiry_ms = 300\nbusy_expiry_ms = 900\nredispatch = false",
    );
    let idle = wait_command(&classic_worker(&endpoint), 6);
    assert!((200..800).contains(&(idle.as_millis() as u64)), "{idle:?}");
    let worker = classic_worker(&endpoint);
    let _client = classic_request(&endpoint);
    wait_command(&worker, 2);
    let busy = wait_command(&worker, 6);
    assert!(busy >= Duration::from_millis(700), "{busy:?}");
    // Not given to another one, for it may have been run.
    let other = classic_worker(&endpoint);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(200) {
        let message = other.receive();
        assert_ne!(message.get(1).map(Vec::as_slice), Some([2].as_slice()), "a request");
    }
}

#[test]
fn classic_requests_wait_and_run_as_long_as_the_file_says() {
    let (_broker, endpoint) =
        broker("[classic]\nqueue_expiry_ms = 200\nrun_timeout_ms = 300\nbusy_expiry_ms = 400");
    let client = classic_request(&endpoint);
    let answer = client.receive_within(Duration::from_millis(400));
    assert!(answer.is_none(), "it has expired without a word");
    let worker = classic_worker(&endpoint);
    let _client = classic_request(&endpoint);
    wait_command(&worker, 2);
    // Its time is up, nobody waits, and the worker keeps it for as long as it may be busy.
    let told = wait_command(&worker, 6);
    assert!(told >= Duration::from_millis(350), "{told:?}");
}
