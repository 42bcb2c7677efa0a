//! Dealers and a router over real sockets.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mdp_protocol::{Limits, Span};

use super::router::{Message, Router};
use super::wire::SERVER_HANDSHAKE_MS;
use super::{Dealer, Hub, WakeHandle};
use crate::error::Unsent;
use crate::packet::{InPacket, OutPacket};
use crate::security::curve::CurveClient;
use crate::security::{AllowList, HandshakeFault, KeyPair};

const PATIENCE: Duration = Duration::from_secs(20);

fn router(hub: &Arc<Hub>, endpoint: &str, curve: Option<(&KeyPair, AllowList)>) -> Router {
    let (_, wait) = WakeHandle::pair().unwrap();
    Router::bind(hub, &Limits::default(), &[endpoint.to_owned()], curve, wait).unwrap()
}

fn out(first: &[u8], frames: &[Bytes]) -> OutPacket {
    OutPacket { first: first.to_vec(), frames: frames.to_vec() }
}

/// The next message of a router.
fn next(router: &mut Router) -> Message {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(message) = router.receive() {
            return message;
        }
        router.wait(Some(Span::from_ms(100))).unwrap();
    }
    panic!("nothing came");
}

/// The rest of a handshake, and a message.
const HELLO: &[u8] = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER\0\x05hello";

/// A connection whose greetings are exchanged.
fn greeted(router: &mut Router) -> TcpStream {
    let mut peer = TcpStream::connect(&router.endpoints()[0]["tcp://".len()..]).unwrap();
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    peer.write_all(&greeting).unwrap();
    // The router's own greeting: it has accepted the connection, and its time runs.
    peer.set_nonblocking(true).unwrap();
    let until = Instant::now() + PATIENCE;
    while peer.read(&mut greeting).is_err() {
        assert!(Instant::now() < until, "no greeting");
        assert!(router.receive().is_none());
        router.wait(Some(Span::from_ms(5))).unwrap();
    }
    peer.set_nonblocking(false).unwrap();
    peer
}

/// A worker that waited for a busy broker in vain: what it said is read after it has left. Nothing is sent to it, so that
/// its calls count as not given to it.
#[test]
fn a_peer_that_has_left_takes_no_messages() {
    let mut router = router(&Arc::default(), "tcp://127.0.0.1:*", None);
    for leaves_before in [true, false] {
        let mut peer = greeted(&mut router);
        peer.write_all(HELLO).unwrap();
        let from = match leaves_before {
            true => {
                drop(peer);
                next(&mut router).from
            }
            false => {
                let from = next(&mut router).from;
                drop(peer);
                from
            }
        };
        let sent = router.send(from.as_bytes(), &mut out(b"work", &[]), Some(()));
        assert_eq!(sent, Err(Unsent::Gone), "it left before it was read: {leaves_before}");
    }
    let mut peer = greeted(&mut router);
    peer.write_all(HELLO).unwrap();
    let from = next(&mut router).from;
    router.send(from.as_bytes(), &mut out(b"work", &[]), Some(())).unwrap();
}

/// A worker that leaves while what it has sent waits to be read: the broker hears that it leaves, then reads it, and then
/// hears that it has gone.
#[test]
fn a_peer_that_leaves_is_told_before_its_messages_are_read() {
    let hub = Arc::default();
    let mut router = router(&hub, "tcp://127.0.0.1:*", None);
    let mut local = self::router(&hub, "inproc://leaves", None);
    let until = Instant::now() + PATIENCE;
    let mut peer = greeted(&mut router);
    peer.write_all(HELLO).unwrap();
    let from = next(&mut router).from;
    assert!(router.leaving().is_empty());
    peer.write_all(b"\0\x05reply").unwrap();
    drop(peer);
    let mut leaving = Vec::new();
    while leaving.is_empty() {
        assert!(Instant::now() < until, "it leaves, and nobody tells");
        router.wait(Some(Span::from_ms(100))).unwrap();
        leaving = router.leaving();
    }
    assert_eq!((leaving, router.next_lost()), (vec![from], None));
    assert_eq!(&*next(&mut router).packet.first, b"reply");
    assert!(router.receive().is_none() && router.leaving().is_empty());
    assert_eq!(router.next_lost(), Some(from));

    let peer = hub.connect("leaves").unwrap();
    let reply = || InPacket { first: Bytes::from_static(b"reply"), frames: Vec::new() };
    peer.send(reply());
    let from = next(&mut local).from;
    peer.send(reply());
    drop(peer);
    assert_eq!((local.leaving(), local.next_lost()), (vec![from], None));
    assert_eq!(&*next(&mut local).packet.first, b"reply");
    assert!(local.receive().is_none() && local.leaving().is_empty());
    assert_eq!(local.next_lost(), Some(from));
}

/// The broker's thread stands still for longer than a handshake may take, and the peer was in time.
#[test]
fn what_came_in_time_is_read_before_it_counts_as_late() {
    let mut router = router(&Arc::default(), "tcp://127.0.0.1:*", None);
    let mut peer = greeted(&mut router);
    peer.write_all(HELLO).unwrap();
    thread::sleep(Duration::from_millis(SERVER_HANDSHAKE_MS + 100));
    assert_eq!(&*next(&mut router).packet.first, b"hello");
}

/// A peer that does not go on is still ended.
#[test]
fn a_handshake_that_does_not_go_on_ends() {
    let mut router = router(&Arc::default(), "tcp://127.0.0.1:*", None);
    let mut peer = TcpStream::connect(&router.endpoints()[0]["tcp://".len()..]).unwrap();
    peer.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let until = Instant::now() + PATIENCE;
    let mut bytes = [0; 100];
    while !matches!(peer.read(&mut bytes), Ok(0)) {
        assert!(Instant::now() < until, "the connection stays");
        assert!(router.receive().is_none());
        router.wait(Some(Span::from_ms(1))).unwrap();
    }
}

/// Sends all that comes back to its sender, until a peer says `end`, and then reports what it has lost.
fn echo(mut router: Router) -> mpsc::Receiver<usize> {
    let (told, lost) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let Message { from, packet, .. } = next(&mut router);
            if &*packet.first == b"end" {
                break;
            }
            let mut back = OutPacket { first: packet.first.to_vec(), frames: packet.frames };
            router.send(from.as_bytes(), &mut back, Some(())).unwrap();
        }
        let mut gone = 0;
        let until = Instant::now() + PATIENCE;
        while gone == 0 && Instant::now() < until {
            router.wait(Some(Span::from_ms(50))).unwrap();
            assert!(router.receive().is_none());
            gone += std::iter::from_fn(|| router.next_lost()).count();
        }
        told.send(gone).unwrap();
        router.close();
    });
    lost
}

async fn send(dealer: &mut Dealer, mut packet: OutPacket) {
    while !dealer.send(&mut packet) {
        wait(dealer, true).await;
    }
}

async fn wait(dealer: &mut Dealer, to_send: bool) {
    dealer.take_made();
    let ready = poll_fn(|cx| dealer.poll_ready(cx, to_send));
    tokio::time::timeout(PATIENCE, ready).await.expect("nothing happened");
}

async fn receive(dealer: &mut Dealer) -> InPacket {
    loop {
        if let Some(packet) = dealer.receive(&Limits::default()) {
            return packet;
        }
        assert!(!dealer.is_lost(), "lost");
        wait(dealer, false).await;
    }
}

async fn speaks(endpoint: &str, curve: bool) {
    let context = Arc::new(Hub::default());
    let (server, own) = (KeyPair::new().unwrap(), KeyPair::new().unwrap());
    let list = AllowList::of([*own.public()]);
    let router = router(&context, endpoint, curve.then_some((&server, list)));
    let endpoint = router.endpoints()[0].clone();
    let lost = echo(router);
    let keys = CurveClient::new(*server.public()).key_pair(own).prepare(true, 1).unwrap();
    let keys = curve.then_some((&keys, 0));
    let mut dealer = Dealer::connect(&context, &endpoint, keys).unwrap();
    for bytes in [0, 1, 254, 255, 256, 1_023, 1_024, 65_535, 65_536, 3_000_000] {
        let body = Bytes::from(vec![bytes as u8; bytes]);
        for frames in [vec![], vec![body.clone()], vec![Bytes::new(), body.clone(), body.clone()]] {
            send(&mut dealer, out(&body, &frames)).await;
            let back = receive(&mut dealer).await;
            assert_eq!((back.first, back.frames), (body.clone(), frames), "{bytes}");
        }
    }
    // Many at once.
    for n in 0..10_000_u32 {
        send(&mut dealer, out(&n.to_be_bytes(), &[])).await;
        if n % 100 == 99 {
            for m in n - 99..=n {
                assert_eq!(receive(&mut dealer).await.first, m.to_be_bytes()[..]);
            }
        }
    }
    send(&mut dealer, out(b"end", &[])).await;
    dealer.into_closing().close().await;
    assert_eq!(lost.recv_timeout(PATIENCE), Ok(1));
}

#[tokio::test]
async fn packets_come_as_they_were_sent() {
    for endpoint in ["tcp://127.0.0.1:*", "tcp://[::1]:*", "ipc://*", "inproc://a"] {
        speaks(endpoint, false).await;
    }
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*"] {
        speaks(endpoint, true).await;
    }
}

#[tokio::test]
async fn a_dealer_waits_for_its_router() {
    let context = Arc::new(Hub::default());
    let first = router(&context, "tcp://127.0.0.1:*", None);
    let endpoint = first.endpoints()[0].clone();
    first.close();
    let mut dealer = Dealer::connect(&context, &endpoint, None).unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), wait(&mut dealer, true));
    assert!(early.await.is_err(), "nobody is there");
    let again = router(&context, &endpoint, None);
    let _lost = echo(again);
    send(&mut dealer, out(b"hello", &[])).await;
    assert_eq!(receive(&mut dealer).await.first, &b"hello"[..]);
}

#[tokio::test]
async fn a_lost_router_is_known_at_once() {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "inproc://lost"] {
        let context = Arc::new(Hub::default());
        let mut router = router(&context, endpoint, None);
        let endpoint = router.endpoints()[0].clone();
        let (told, ends) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            let Message { from, .. } = next(&mut router);
            router.send(from.as_bytes(), &mut out(b"last", &[]), Some(())).unwrap();
            ends.recv().unwrap();
            router.close();
        });
        let mut dealer = Dealer::connect(&context, &endpoint, None).unwrap();
        send(&mut dealer, out(b"hello", &[])).await;
        told.send(()).unwrap();
        assert_eq!(receive(&mut dealer).await.first, &b"last"[..], "before the loss");
        while !dealer.is_lost() {
            assert!(dealer.receive(&Limits::default()).is_none());
            wait(&mut dealer, false).await;
        }
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn who_may_not_connect_hears_why() {
    let context = Arc::new(Hub::default());
    let (server, own) = (KeyPair::new().unwrap(), KeyPair::new().unwrap());
    let (denied, wrong) = (AllowList::nobody(), KeyPair::new().unwrap());
    let router = router(&context, "tcp://127.0.0.1:*", Some((&server, denied)));
    let endpoint = router.endpoints()[0].clone();
    thread::spawn(move || {
        let mut router = router;
        loop {
            assert!(router.receive().is_none());
            router.wait(Some(Span::from_ms(50))).unwrap();
        }
    });
    for (key, wanted) in [
        (Some(server.public()), HandshakeFault::Refused { status: 400 }),
        (Some(wrong.public()), HandshakeFault::Ended),
        (None, HandshakeFault::Mechanism),
    ] {
        let keys =
            key.map(|key| CurveClient::new(*key).key_pair(own.clone()).prepare(true, 1).unwrap());
        let keys = keys.as_ref().map(|keys| (keys, 0));
        let mut dealer = Dealer::connect(&context, &endpoint, keys).unwrap();
        let fault = loop {
            wait(&mut dealer, false).await;
            assert!(dealer.receive(&Limits::default()).is_none());
            if let Some(fault) = dealer.look_around() {
                break fault;
            }
        };
        assert_eq!(fault, wanted);
    }
}

/// A thread that always has messages to receive never waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_keeps_no_new_peer_out() {
    let hub = Arc::new(Hub::default());
    let mut router = router(&hub, "tcp://127.0.0.1:*", None);
    let endpoint = router.endpoints()[0].clone();
    let mut flooder = Dealer::connect(&hub, &endpoint, None).unwrap();
    let flood = tokio::spawn(async move {
        // A receive finds the end of the connection.
        while flooder.receive(&Limits::default()).is_none() && !flooder.is_lost() {
            match flooder.send(&mut out(b"flood", &[])) {
                true => tokio::task::yield_now().await,
                false => wait(&mut flooder, true).await,
            }
        }
    });
    let mut router = tokio::task::spawn_blocking(move || {
        next(&mut router);
        router
    })
    .await
    .unwrap();
    let mut peer = Dealer::connect(&hub, &endpoint, None).unwrap();
    let peer = tokio::spawn(async move {
        send(&mut peer, out(b"hello", &[])).await;
        peer
    });
    tokio::task::spawn_blocking(move || {
        let until = Instant::now() + PATIENCE;
        while router.receive().is_none_or(|message| &*message.packet.first != b"hello") {
            assert!(Instant::now() < until, "the new peer was not heard");
        }
    })
    .await
    .unwrap();
    flood.await.unwrap();
    drop(peer.await);
}

/// The broker ends its session at once, and does not wait for missing heartbeats.
#[test]
fn a_peer_that_breaks_the_protocol_is_lost() {
    let mut router = router(&Arc::new(Hub::default()), "tcp://127.0.0.1:*", None);
    let mut peer =
        TcpStream::connect(router.endpoints()[0].strip_prefix("tcp://").unwrap()).unwrap();
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER";
    let command = [4, u8::try_from(ready.len()).unwrap()];
    peer.write_all(&[&greeting[..], &command, ready, b"\0\x05hello"].concat()).unwrap();
    let from = next(&mut router).from;
    peer.write_all(&[0xf0, 0]).unwrap();
    let until = Instant::now() + PATIENCE;
    let lost = loop {
        assert!(router.receive().is_none() && Instant::now() < until);
        if let Some(lost) = router.next_lost() {
            break lost;
        }
        router.wait(Some(Span::from_ms(50))).unwrap();
    };
    assert_eq!(lost, from);
    assert!(router.send(from.as_bytes(), &mut out(b"x", &[]), Some(())).is_err());
}

/// Values go when their message is written, not sooner.
#[tokio::test]
async fn what_is_not_read_is_counted() {
    let context = Arc::new(Hub::default());
    let mut router = router(&context, "tcp://127.0.0.1:*", None);
    let mut dealer = Dealer::connect(&context, &router.endpoints()[0].clone(), None).unwrap();
    let asks = tokio::spawn(async move {
        send(&mut dealer, out(b"hello", &[])).await;
        dealer
    });
    let (router, from, counted) = tokio::task::spawn_blocking(move || {
        let from = next(&mut router).from;
        let counted = Arc::new(());
        for _ in 0..100 {
            let body = Bytes::from(vec![7; 1 << 20]);
            let with = Some(Arc::clone(&counted));
            router.send(from.as_bytes(), &mut out(b"x", &[body]), with).unwrap();
        }
        (router, from, counted)
    })
    .await
    .unwrap();
    let waiting = Arc::strong_count(&counted) - 1;
    assert!((50..100).contains(&waiting), "{waiting}");
    let mut dealer = asks.await.unwrap();
    let mut router = router;
    let reads = tokio::task::spawn_blocking(move || {
        while Arc::strong_count(&counted) > 1 {
            router.wait(Some(Span::from_ms(20))).unwrap();
        }
        assert!(router.send(&[9; 8], &mut out(b"x", &[]), Some(())).is_err(), "nobody is there");
        from
    });
    for _ in 0..100 {
        assert_eq!(receive(&mut dealer).await.frames[0].len(), 1 << 20);
    }
    reads.await.unwrap();
}
