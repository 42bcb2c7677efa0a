//! Connections that end, and those that are refused.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

/// A socket that is bound again at an endpoint whose former socket was closed.
async fn bound_again(context: &Context, pattern: Pattern, endpoint: &str) -> PatternSocket {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut socket = plain(context, pattern, 100);
        match socket.bind(endpoint) {
            Ok(_) => return socket,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn sockets_connect_again_and_subscribe_again() {
    for [server, client] in [[NATIVE, NATIVE], [LIBZMQ, NATIVE], [NATIVE, LIBZMQ]] {
        for endpoint in [TCP, "ipc://*", "inproc://again"] {
            if endpoint.starts_with("inproc") && [server, client] != [NATIVE, NATIVE] {
                continue;
            }
            let context = Context::with_transport(server);
            let of_client = match client == server {
                true => context.clone(),
                false => Context::with_transport(client),
            };
            let mut publisher = plain(&context, Pattern::Publisher, 100);
            let endpoint = publisher.bind(endpoint).unwrap();
            let mut subscriber = plain(&of_client, Pattern::Subscriber, 100);
            subscriber.connect(&endpoint).unwrap();
            subscriber.subscribe(b"a", true).unwrap();
            for number in 0..3 {
                noticed([&mut publisher, &mut subscriber], b"\x01a").await;
                let said = number.to_string();
                assert!(publish(&mut publisher, "a", &said));
                hears([&mut publisher, &mut subscriber], &said).await;
                close_all(&context, vec![into_closing(publisher)]).await;
                publisher = bound_again(&context, Pattern::Publisher, &endpoint).await;
            }
        }
    }
}

/// Messages that were not written when a connection was lost go over the next one, as with libzmq.
#[tokio::test]
async fn a_pusher_keeps_what_was_not_written() {
    let (mut puller, endpoint) = bound(Pattern::Puller, 1);
    let mut pusher = connected(Pattern::Pusher, 5, &endpoint);
    let mut number = 0_u32;
    let large = |number: u32| {
        let mut large = vec![0; 200_000];
        large[..4].copy_from_slice(&number.to_be_bytes());
        Bytes::from(large)
    };
    until([&mut pusher, &mut puller], |[pusher, _]| {
        number += u32::from(pusher.send(None, &large(number)).unwrap());
        (number > 0).then_some(())
    })
    .await;
    while timeout(SHORT, pusher.ready(Wanted { message: false, room: true })).await.is_ok() {
        number += u32::from(pusher.send(None, &large(number)).unwrap());
    }
    drop(puller);
    let context = Context::with_transport(NATIVE);
    let mut puller = bound_again(&context, Pattern::Puller, &endpoint).await;
    let mut numbers = Vec::new();
    until([&mut pusher, &mut puller], |[_, puller]| {
        let message = puller.receive().unwrap()?;
        numbers.push(u32::from_be_bytes(*message.first.first_chunk().unwrap()));
        (numbers.len() == 5).then_some(())
    })
    .await;
    assert_eq!(numbers, Vec::from_iter(number - 5..number));
}

#[tokio::test]
async fn a_key_that_is_not_allowed_is_refused_until_it_is() {
    for transport in [NATIVE, LIBZMQ] {
        let (context, keys) = (Context::with_transport(NATIVE), Keys::new());
        let stranger = Keys { server: keys.server.clone(), own: KeyPair::new().unwrap() };
        let list = AllowList::of([*keys.own.public()]);
        let registration = Registration::new(&context, list.clone(), || {}).unwrap();
        let curve = Some(PatternKeys::Server(&keys.server, &registration));
        let mut puller = open(&context, Pattern::Puller, &settings(10), curve).unwrap();
        let endpoint = puller.bind(TCP).unwrap();
        let of_client = Context::with_transport(transport);
        let mut known = keys.client(&of_client, Pattern::Pusher);
        let mut refused = stranger.client(&of_client, Pattern::Pusher);
        refused.connect(&endpoint).unwrap();
        known.connect(&endpoint).unwrap();
        until([&mut refused, &mut known, &mut puller], |[_, known, _]| {
            sends(known, "known").then_some(())
        })
        .await;
        hears([&mut refused, &mut known, &mut puller], "known").await;
        // Without keys there is no connection, either.
        let mut open = connected(Pattern::Pusher, 10, &endpoint);
        let begun = Instant::now();
        while begun.elapsed() < SHORT {
            for socket in [&mut refused, &mut open, &mut puller] {
                moves(socket, Duration::from_millis(5)).await;
            }
        }
        assert!(!sends(&mut open, "open"));
        if transport == NATIVE {
            assert!(!sends(&mut refused, "refused"));
            list.add(*stranger.own.public());
            until([&mut refused, &mut puller], |[refused, _]| {
                sends(refused, "allowed").then_some(())
            })
            .await;
            hears([&mut refused, &mut puller], "allowed").await;
        }
        assert_eq!(received(&mut puller), None);
    }
}

#[tokio::test]
async fn who_breaks_the_protocol_loses_the_connection() {
    let (mut puller, endpoint) = bound(Pattern::Puller, 10);
    let address = endpoint.strip_prefix("tcp://").unwrap().to_owned();
    let peers: [&[u8]; 4] = [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 1_000], &[0; 64], b""];
    let peers = peers.map(|octets| {
        let mut peer = TcpStream::connect(&address).unwrap();
        peer.write_all(octets).unwrap();
        // The last one says nothing, and its handshake takes too long.
        tokio::task::spawn_blocking(move || {
            peer.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut all = Vec::new();
            // A reset is an end, too.
            let _ = peer.read_to_end(&mut all);
            Instant::now()
        })
    });
    let begun = Instant::now();
    until([&mut puller], |_| peers.iter().all(|peer| peer.is_finished()).then_some(())).await;
    for peer in peers {
        assert!(peer.await.unwrap() - begun < PATIENCE);
    }
    let mut pusher = connected(Pattern::Pusher, 10, &endpoint);
    until([&mut pusher, &mut puller], |[pusher, _]| sends(pusher, "good").then_some(())).await;
    hears([&mut pusher, &mut puller], "good").await;
}

#[tokio::test]
async fn a_frame_that_is_too_large_ends_the_connection_and_no_more() {
    let context = Context::with_transport(NATIVE);
    let small = PatternSettings { frame_bytes: 1_000, ..settings(10) };
    let mut puller = open(&context, Pattern::Puller, &small, None).unwrap();
    let endpoint = puller.bind(TCP).unwrap();
    let mut pusher = connected(Pattern::Pusher, 10, &endpoint);
    let sent = |pusher: &mut PatternSocket, bytes| {
        pusher.send(None, &Bytes::from(vec![b'x'; bytes])).unwrap().then_some(())
    };
    until([&mut pusher, &mut puller], |[pusher, _]| sent(pusher, 1_000)).await;
    until([&mut pusher, &mut puller], |[pusher, _]| sent(pusher, 1_001)).await;
    assert_eq!(
        until([&mut pusher, &mut puller], |[_, puller]| received(puller)).await.len(),
        1_000
    );
    until([&mut pusher, &mut puller], |[pusher, puller]| {
        sent(pusher, 999);
        received(puller)
    })
    .await;
}

#[tokio::test]
async fn endpoints_are_known() {
    let context = Context::with_transport(NATIVE);
    let mut puller = plain(&context, Pattern::Puller, 10);
    let endpoint = puller.bind(TCP).unwrap();
    puller.bind("inproc://known").unwrap();
    for taken in [endpoint.as_str(), "inproc://known"] {
        let error = plain(&context, Pattern::Puller, 10).bind(taken).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert_eq!(error.endpoint(), Some(taken));
    }
    assert!(puller.send(None, &bytes("x")).is_err());
    let mut pusher = plain(&context, Pattern::Pusher, 10);
    assert!(pusher.disconnect(&endpoint).is_err());
    pusher.connect(&endpoint).unwrap();
    until([&mut pusher, &mut puller], |[pusher, _]| sends(pusher, "1").then_some(())).await;
    hears([&mut pusher, &mut puller], "1").await;
    pusher.disconnect(&endpoint).unwrap();
    assert!(!sends(&mut pusher, "2"));
    // A name can be bound again, and a socket whose pattern does not fit is not connected.
    drop(puller);
    pusher.connect("inproc://known").unwrap();
    let mut wrong = plain(&context, Pattern::Pusher, 10);
    wrong.bind("inproc://known").unwrap();
    moves(&mut pusher, SHORT).await;
    assert!(!sends(&mut pusher, "3") && !sends(&mut wrong, "3"));
    drop(wrong);
    let mut puller = plain(&context, Pattern::Puller, 10);
    puller.bind("inproc://known").unwrap();
    until([&mut pusher, &mut puller], |[pusher, _]| sends(pusher, "4").then_some(())).await;
    hears([&mut pusher, &mut puller], "4").await;
}
