//! Bad input over real sockets: a clear answer, as docs/wire.md has it, and a broker that goes on.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../support/process.rs"]
mod process;
#[path = "../../support/raw.rs"]
mod raw;
#[path = "../../support/zmtp.rs"]
mod zmtp;

use std::process::Command;

use mdp_protocol::wire::{CallKind, DisconnectReason, Reply};
use mdp_protocol::{Code, Span};
use process::Process;
use raw::{Raw, RawPeer, hello, packet, ready};

fn part(args: &[&str]) -> Process {
    Process::start(Command::new(env!("CARGO_BIN_EXE_e2e-part")).args(args))
}

/// A broker process that is tried with bad input.
struct Victim {
    process: Process,
    endpoint: String,
}

impl Victim {
    fn start() -> Self {
        let mut process = part(&["broker"]);
        let endpoint = process.line("bound ").strip_prefix("bound ").unwrap().to_owned();
        Victim { process, endpoint }
    }

    /// A peer with a session says this; it ends the session, for this reason.
    fn ends_session(&self, records: &[Raw], reason: DisconnectReason) {
        let mut peer = RawPeer::greeted(&self.endpoint);
        peer.send(records);
        assert_eq!(peer.wait_disconnect(), reason, "{records:?}");
        is_stranger(&mut peer);
    }

    /// A good call still works: a worker and a client as they should be.
    fn still_serves(mut self) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger");
        let _worker = part(&["worker", &self.endpoint, ledger.to_str().unwrap()]);
        let ended = part(&["client", &self.endpoint, "0", "2"]).end();
        assert!(ended.status.success(), "{ended:?}");
        let mut said: Vec<&str> = ended.stdout.lines().collect();
        said.sort_unstable();
        assert_eq!(said, ["again 0 OK 1", "once 1 OK 1"], "{ended:?}");
        assert!(self.process.is_running());
        self.process.signal("TERM");
        let ended = self.process.end();
        assert!(ended.status.success(), "{ended:?}");
    }
}

/// The broker knows no session of the peer.
fn is_stranger(peer: &mut RawPeer) {
    peer.send(&[Raw::Heartbeat]);
    assert_eq!(peer.wait_disconnect(), DisconnectReason::NoSession);
}

fn request(path: &str) -> Raw {
    Raw::Request {
        call: 7,
        timeout: Span::from_secs(60),
        idempotent: false,
        attempt: 1,
        peer: Vec::new(),
        body: path.into(),
        kind: CallKind::Unary,
    }
}

fn reply_to(call: u64) -> Raw {
    Raw::Final {
        call,
        code: Code::Ok,
        not_started: false,
        attempt: 0,
        peer: Vec::new(),
        reply: Reply::Body(Vec::new()),
    }
}

#[test]
fn every_truncation_of_a_record_is_answered() {
    let victim = Victim::start();
    let mut stranger = RawPeer::connect(&victim.endpoint);
    let records = [
        Raw::Hello { id: b"somebody".to_vec(), heartbeat: Span::from_secs(1), liveness: 3 },
        ready("test.v1.Service", 16),
        request("test.v1.Service/Method"),
        Raw::Heartbeat,
        Raw::Disconnect(DisconnectReason::Shutdown),
    ];
    for record in records {
        let whole = packet(std::slice::from_ref(&record));
        for len in 0..whole.len() {
            // wire.md R55: without its second byte a packet is of no version.
            let reason = match len {
                1 => DisconnectReason::Version,
                _ => DisconnectReason::Malformed,
            };
            stranger.send_frames(&[&whole[..len]]);
            assert_eq!(stranger.wait_disconnect(), reason, "{len} bytes of {record:?}");
        }
        // The same to a session: it is over then.
        let mut peer = RawPeer::greeted(&victim.endpoint);
        peer.send_frames(&[&whole[..whole.len() - 1]]);
        assert_eq!(peer.wait_disconnect(), DisconnectReason::Malformed, "{record:?}");
        is_stranger(&mut peer);
    }
    victim.still_serves();
}

#[test]
fn messages_that_are_none_are_answered() {
    let victim = Victim::start();
    let mut stranger = RawPeer::connect(&victim.endpoint);
    let beat = packet(&[Raw::Heartbeat]);
    let mut later = beat.clone();
    later[1] = 2;
    let mut unknown = beat.clone();
    unknown[2] = 200;
    let many = vec![beat.as_slice(); 40];
    for (frames, reason) in [
        (vec![later.as_slice()], DisconnectReason::Version),
        (vec![unknown.as_slice()], DisconnectReason::UnknownCommand),
        (vec![b"hello".as_slice()], DisconnectReason::Malformed),
        (vec![b"".as_slice(), b"MDPC03", b"echo", b"body"], DisconnectReason::Malformed),
        (vec![beat.as_slice(), b"not announced"], DisconnectReason::Malformed),
        (many, DisconnectReason::Malformed),
    ] {
        stranger.send_frames(&frames);
        assert_eq!(stranger.wait_disconnect(), reason, "{} frames: {:?}", frames.len(), frames[0]);
    }
    victim.still_serves();
}

#[test]
fn a_frame_beyond_the_limit_ends_the_connection_and_the_session() {
    let victim = Victim::start();
    let peer = RawPeer::greeted(&victim.endpoint);
    let large = vec![0xd3; 5 << 20];
    peer.send_frames(&[&large]);
    peer.wait_closed();
    victim.still_serves();
}

#[test]
fn a_message_that_never_ends_holds_up_nobody() {
    let victim = Victim::start();
    let mut endless = zmtp::Peer::connect(&victim.endpoint);
    for _ in 0..10_000 {
        // The native transport cuts it off.
        if endless.try_part(b"more").is_err() {
            break;
        }
    }
    let mut cut = zmtp::Peer::connect(&victim.endpoint);
    cut.send_part(&packet(&[hello()]));
    drop(cut); // in the middle of a message
    // The endless one is still connected.
    victim.still_serves();
    drop(endless);
}

#[test]
fn names_that_are_none_are_refused() {
    let victim = Victim::start();
    let long = "x".repeat(255);
    for name in ["", "a b", "a\u{1}b", "a\nb", "a\0b", "\u{e9}", "mmi.service"] {
        victim.ends_session(&[ready(name, 1)], DisconnectReason::BadName);
    }
    for id in ["a b", "a\u{1}b", "\u{7f}"] {
        let mut peer = RawPeer::connect(&victim.endpoint);
        peer.send(&[Raw::Hello { id: id.into(), heartbeat: Span::from_secs(1), liveness: 3 }]);
        assert_eq!(peer.wait_disconnect(), DisconnectReason::BadName, "{id:?}");
    }
    let mut client = RawPeer::greeted(&victim.endpoint);
    for path in ["", "/", "a/", "/b", "no.slash", "a\u{1}b/c", "a b/c", &long] {
        client.send(&[request(path)]);
        let ended = client.wait_final();
        assert_eq!((ended.call, ended.code), (7, Code::InvalidArgument), "{path:?}: {ended:?}");
        assert!(ended.not_started && ended.words.contains("BAD_REQUEST"), "{path:?}: {ended:?}");
    }
    // A name of 256 bytes cannot be said: its length has one byte.
    let mut bytes = packet(&[ready("", 1)]);
    bytes.extend_from_slice(&[b'x'; 256]);
    client.send_frames(&[&bytes]);
    assert_eq!(client.wait_disconnect(), DisconnectReason::Malformed);
    victim.still_serves();
}

#[test]
fn records_that_have_no_place_end_the_session() {
    use DisconnectReason::{LimitReached, NoSession, Unexpected};
    let victim = Victim::start();
    let offer = || ready("test.v1.Service", 16);
    victim.ends_session(&[offer(), offer()], Unexpected);
    victim.ends_session(&[hello()], Unexpected);
    // Two calls of one number.
    let call = || request("test.v1.Nobody/Method");
    victim.ends_session(&[call(), call()], Unexpected);
    victim.ends_session(&[ready("test.v1.Service", 0)], LimitReached);
    victim.ends_session(&[reply_to(1)], Unexpected);
    victim.ends_session(&[offer(), reply_to(u64::MAX)], Unexpected);
    // Nothing but HELLO counts from a stranger.
    for record in [offer(), reply_to(1), Raw::Drain, Raw::Heartbeat] {
        let mut stranger = RawPeer::connect(&victim.endpoint);
        stranger.send(&[record]);
        assert_eq!(stranger.wait_disconnect(), NoSession);
    }
    let mut stranger = RawPeer::connect(&victim.endpoint);
    stranger.send(&[request("test.v1.Service/Method")]);
    stranger.wait(|record| matches!(record, Raw::Cancel { call: 7 }).then_some(()));
    assert_eq!(stranger.wait_disconnect(), NoSession);
    victim.still_serves();
}
