//! Handshakes that are not over, and peers that come back.

use std::net::TcpStream;

use super::*;

/// Those that connect and say nothing do not fill the table, and keep nobody out.
#[tokio::test]
async fn handshakes_that_are_not_over_are_bounded() {
    let hub = Arc::<Hub>::default();
    let settings = PatternSettings { waiting: 10, frame_bytes: 1_000, verbose: false };
    let new = |pattern| PatternSocket::new(&hub, pattern, &settings, None).unwrap();
    let mut puller = new(Pattern::Puller);
    // Four at once.
    puller.handshakes = Handshakes::new(8);
    let endpoint = puller.bind("tcp://127.0.0.1:*").unwrap();
    let address = endpoint.strip_prefix("tcp://").unwrap();
    let silent: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut pusher = new(Pattern::Pusher);
    pusher.connect(&endpoint).unwrap();
    let (wanted, record) = (Wanted { message: true, room: true }, Bytes::from_static(b"x"));
    let mut most = 0;
    let received = async {
        while puller.receive().is_none() {
            most = most.max(puller.peers.iter().count());
            pusher.send(None, &record).unwrap();
            tokio::task::yield_now().await;
            tokio::select! {
                () = puller.ready(wanted) => {}
                () = pusher.ready(wanted) => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), received).await.unwrap();
    assert!(most <= 5, "{most}");
    drop(silent);
}

/// A connection has the place of the one before. Those before do not count.
#[tokio::test]
async fn a_peer_that_comes_back_many_times_is_let_in() {
    let hub = Arc::<Hub>::default();
    let settings = PatternSettings { waiting: 10, frame_bytes: 1_000, verbose: false };
    let new = |pattern| PatternSocket::new(&hub, pattern, &settings, None).unwrap();
    let mut puller = new(Pattern::Puller);
    // Four at once.
    puller.handshakes = Handshakes::new(8);
    let endpoint = puller.bind("tcp://127.0.0.1:*").unwrap();
    let (wanted, record) = (Wanted { message: true, room: true }, Bytes::from_static(b"x"));
    for time in 0..20 {
        let mut pusher = new(Pattern::Pusher);
        pusher.connect(&endpoint).unwrap();
        let mut sent = false;
        let received = async {
            while puller.receive().is_none() {
                sent = sent || pusher.send(None, &record).unwrap();
                tokio::select! {
                    () = puller.ready(wanted) => {}
                    () = pusher.ready(wanted), if !sent => {}
                    () = tokio::time::sleep(Duration::from_millis(1)) => pusher.drive(),
                }
            }
        };
        let received = tokio::time::timeout(Duration::from_secs(60), received).await;
        assert!(received.is_ok(), "time {time}");
        drop(pusher);
        while puller.peers.iter().next().is_some() {
            puller.drive();
            tokio::task::yield_now().await;
        }
    }
}
