//! Publishers and subscribers.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::super::subscribers::MAX_TOPICS;
use super::*;

#[tokio::test]
async fn a_subscriber_gets_what_it_wants_and_no_more() {
    for transport in [NATIVE, LIBZMQ] {
        let (mut publisher, endpoint) = bound(Pattern::Publisher, 100);
        let context = Context::with_transport(transport);
        let mut subscriber = plain(&context, Pattern::Subscriber, 100);
        for topic in ["a", "ab", "a", "z"] {
            subscriber.subscribe(topic.as_bytes(), true).unwrap();
        }
        subscriber.connect(&endpoint).unwrap();
        noticed([&mut publisher, &mut subscriber], b"\x01z").await;
        for (topic, text) in [("", "1"), ("a", "2"), ("b", "3"), ("abc", "4"), ("ba", "5")] {
            assert!(publish(&mut publisher, topic, text));
        }
        // A topic that was added twice is taken back twice.
        subscriber.subscribe(b"a", false).unwrap();
        assert!(publish(&mut publisher, "ac", "6"));
        for wanted in ["2", "4", "6"] {
            hears([&mut publisher, &mut subscriber], wanted).await;
        }
        subscriber.subscribe(b"a", false).unwrap();
        noticed([&mut publisher, &mut subscriber], b"\0a").await;
        assert!(publish(&mut publisher, "ac", "7") && publish(&mut publisher, "ab", "8"));
        hears([&mut publisher, &mut subscriber], "8").await;
        // What is on its way when a subscription ends is dropped at the subscriber.
        subscriber.subscribe(b"ab", false).unwrap();
        assert!(publish(&mut publisher, "ab", "9") && publish(&mut publisher, "z", "10"));
        hears([&mut publisher, &mut subscriber], "10").await;
        drop(subscriber);
        noticed([&mut publisher], b"\0z").await;
        assert_eq!((publisher.lost(), publisher.losses()), (Some(0), vec![]));
    }
}

#[tokio::test]
async fn a_verbose_publisher_hears_of_each_subscription() {
    let verbose = PatternSettings { verbose: true, ..settings(10) };
    let context = Context::with_transport(NATIVE);
    let mut publisher = open(&context, Pattern::Publisher, &verbose, None).unwrap();
    publisher.bind("inproc://verbose").unwrap();
    let mut subscribers = [(); 3].map(|()| plain(&context, Pattern::Subscriber, 10));
    for subscriber in &mut subscribers {
        subscriber.connect("inproc://verbose").unwrap();
        subscriber.subscribe(b"a", true).unwrap();
        noticed([&mut publisher, subscriber], b"\x01a").await;
    }
}

/// What a subscriber has not received was lost, and the publisher knows how much that is.
#[tokio::test]
async fn what_a_slow_subscriber_loses_is_counted() {
    let record = Bytes::from(vec![7; 64 * 1024]);
    let (mut publisher, endpoint) = bound(Pattern::Publisher, 10);
    let mut slow = connected(Pattern::Subscriber, 10, &endpoint);
    let mut quick = connected(Pattern::Subscriber, 10, &endpoint);
    for (subscriber, topic) in [(&mut slow, &b"a"[..]), (&mut quick, b"ab")] {
        subscriber.subscribe(topic, true).unwrap();
        noticed([&mut publisher, subscriber], &[b"\x01", topic].concat()).await;
    }
    let (mut sent, mut refused) = (0, 0);
    let topic = bytes("abc");
    while refused < 50 {
        refused += u64::from(!publisher.publish(Some(&topic), &record).unwrap());
        sent += 1;
        // The quick one has received it before the next one is sent.
        until([&mut publisher, &mut quick], |[_, quick]| quick.receive().unwrap()).await;
        assert!(sent < 10_000, "nothing is lost");
    }
    assert_eq!(publisher.lost(), Some(refused));
    let losses = publisher.losses();
    assert_eq!(losses.len(), 1);
    assert_eq!((losses[0].host.as_deref(), losses[0].messages), (Some("127.0.0.1"), refused));
    let mut heard = 0;
    until([&mut publisher, &mut slow], |[_, slow]| {
        heard += std::iter::from_fn(|| slow.receive().unwrap()).count() as u64;
        (heard == sent - refused).then_some(())
    })
    .await;
    // It reads on.
    assert!(publisher.publish(Some(&topic), &bytes("last")).unwrap());
    hears([&mut publisher, &mut slow], "last").await;
    assert_eq!(publisher.lost(), Some(refused));
}

#[tokio::test]
async fn a_message_may_be_refused_for_all() {
    let context = Context::with_transport(NATIVE);
    let mut publisher = plain(&context, Pattern::Publisher, 2);
    publisher.bind("inproc://refused").unwrap();
    publisher.refuse_if_full(true).unwrap();
    let mut subscribers = [1, 100].map(|waiting| plain(&context, Pattern::Subscriber, waiting));
    let [slow, quick] = &mut subscribers;
    for (subscriber, topic) in [(&mut *slow, b"a"), (&mut *quick, b"b")] {
        subscriber.connect("inproc://refused").unwrap();
        subscriber.subscribe(topic, true).unwrap();
        noticed([&mut publisher, subscriber], &[1, topic[0]]).await;
    }
    quick.subscribe(b"a", true).unwrap();
    moves(quick, Duration::from_millis(20)).await;
    moves(&mut publisher, Duration::from_millis(20)).await;
    let (topic, mut sent) = (bytes("a"), 0);
    while publisher.send(Some(&topic), &bytes("x")).unwrap() {
        sent += 1;
        until([&mut publisher, &mut *quick], |[_, quick]| received(quick)).await;
        assert!(sent < 10);
    }
    assert_eq!(publisher.lost(), Some(0));
    assert!(!publisher.publish(Some(&topic), &bytes("y")).unwrap());
    hears([&mut publisher, &mut *quick], "y").await;
    for wanted in std::iter::repeat_n("x", sent) {
        hears([&mut publisher, &mut *slow], wanted).await;
    }
}

/// Too many subscriptions cost the connection. While nobody takes the notices, the peer is not read.
#[tokio::test]
async fn a_flood_of_subscriptions_is_bounded() {
    let (mut publisher, endpoint) = bound(Pattern::Publisher, 10);
    let mut flood = native(Pattern::Subscriber, 10);
    for number in 0..=MAX_TOPICS {
        flood.subscribe(format!("{number:06}").as_bytes(), true).unwrap();
    }
    flood.connect(&endpoint).unwrap();
    let mut subscribed = 0;
    until([&mut publisher, &mut flood], |[publisher, _]| {
        while let Some(notice) = publisher.notice().unwrap() {
            if notice[0] == 0 {
                return Some(());
            }
            subscribed += 1;
        }
        None
    })
    .await;
    assert_eq!(subscribed, MAX_TOPICS);
    drop(flood);
    // Others are served.
    let mut other = connected(Pattern::Subscriber, 10, &endpoint);
    other.subscribe(b"x", true).unwrap();
    noticed([&mut publisher, &mut other], b"\x01x").await;
    assert!(publish(&mut publisher, "x", "1"));
    hears([&mut publisher, &mut other], "1").await;
}

/// Octet by octet, as the RFC has it: subscriptions are messages before ZMTP 3.1.
#[tokio::test]
async fn a_subscriber_of_an_older_protocol_is_served() {
    let (mut publisher, endpoint) = bound(Pattern::Publisher, 10);
    let mut peer = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    let mut greeting = [0; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB";
    let command = [4, u8::try_from(ready.len()).unwrap()];
    let topics = b"\0\x02\x01a\0\x02\x01b\0\x02\0b\0\x04what";
    peer.write_all(&[&greeting[..], &command, ready, topics].concat()).unwrap();
    noticed([&mut publisher], b"\0b").await;
    assert!(publish(&mut publisher, "b", "1") && publish(&mut publisher, "ab", "2"));
    let reading = tokio::task::spawn_blocking(move || {
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut all, mut some) = (Vec::new(), [0; 100]);
        while !all.ends_with(b"\x01\x02ab\0\x012") {
            let count = peer.read(&mut some).unwrap();
            assert!(count > 0, "{all:?}");
            all.extend_from_slice(&some[..count]);
        }
    });
    moves(&mut publisher, Duration::from_millis(1)).await;
    timeout(PATIENCE, reading).await.unwrap().unwrap();
}
