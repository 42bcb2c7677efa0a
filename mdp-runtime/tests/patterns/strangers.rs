//! Foreign peers: the wire as it is documented, and what is not on it.

use std::sync::mpsc::RecvTimeoutError::Timeout as TIMEOUT;

use mdp_runtime::patterns::Published;

use super::*;

#[tokio::test]
async fn a_foreign_subscriber_gets_topic_and_message() {
    let publisher = Publisher::builder().bind(TCP).last_value(true).start().unwrap();
    within(publisher.send("a.b", &job(7))).await.unwrap();
    let socket = foreign(zmq::SUB);
    socket.set_subscribe(b"a.").unwrap();
    socket.connect(&publisher.endpoints()[0]).unwrap();
    let frames = tokio::task::spawn_blocking(move || socket.recv_multipart(0).unwrap());
    assert_eq!(within(frames).await.unwrap(), [b"a.b".to_vec(), encoded(&job(7))]);
}

#[tokio::test]
async fn foreign_pushers_pullers_and_pairs_take_part() {
    let (push, endpoint) = foreign_bound(zmq::PUSH);
    let mut puller = Puller::<Job>::builder().connect(&endpoint).start().unwrap();
    tokio::task::spawn_blocking(move || push.send(encoded(&job(1)), 0).unwrap()).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(1)));

    let (pull, endpoint) = foreign_bound(zmq::PULL);
    let pusher = Pusher::<Job>::builder().connect(&endpoint).start().unwrap();
    within(pusher.send(&job(2))).await.unwrap();
    let frames = tokio::task::spawn_blocking(move || pull.recv_multipart(0).unwrap());
    assert_eq!(within(frames).await.unwrap(), [encoded(&job(2))]);

    let (side, endpoint) = foreign_bound(zmq::PAIR);
    let mut pair = Pair::<Job>::builder().connect(&endpoint).start().unwrap();
    within(pair.send(&job(3))).await.unwrap();
    let echo = tokio::task::spawn_blocking(move || {
        let frames = side.recv_multipart(0).unwrap();
        side.send_multipart(frames, 0).unwrap();
    });
    assert_eq!(within(pair.recv()).await.unwrap(), Some(job(3)));
    within(echo).await.unwrap();
}

#[tokio::test]
async fn what_is_no_record_is_an_error_and_the_next_one_comes() {
    let (push, endpoint) = foreign_bound(zmq::PUSH);
    let mut puller =
        Puller::<Job>::builder().connect(&endpoint).max_message_bytes(4_000).start().unwrap();
    let good = encoded(&job(1));
    let sending = tokio::task::spawn_blocking(move || {
        push.send(&good, 0).unwrap();
        push.send(&b"\x08"[..], 0).unwrap();
        push.send_multipart([&good[..], &[], b"x"], 0).unwrap();
        push.send(vec![0; 4_001], 0).unwrap();
        push.send_multipart((0..10_000).map(|_| "x"), 0).unwrap();
        push.send(&[][..], 0).unwrap();
        push
    });
    let _push = within(sending).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(1)));

    let error = within(puller.recv()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("a message cannot be decoded as patterns::Job: "), "{text}");
    assert!(matches!(error, RecvError::Decode { topic: None, .. }), "{error:?}");

    let error = within(puller.recv()).await.unwrap_err();
    assert_eq!(error.to_string(), "a message has the wrong number of frames: 3, not 1");
    let error = within(puller.recv()).await.unwrap_err();
    assert_eq!(error.to_string(), "a message has a frame of 4001 bytes, and 4000 are allowed");
    let error = next(&mut puller).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "a message has the wrong number of frames: 10000, not 1");
    // An empty message is a record of which all is as it is by default.
    assert_eq!(next(&mut puller).await.unwrap().unwrap(), job(0));
}

#[tokio::test]
async fn errors_name_the_topic() {
    let (publisher, endpoint) = foreign_bound(zmq::XPUB);
    let mut subscriber = Subscriber::<Job>::builder()
        .connect(&endpoint)
        .subscribe("")
        .max_message_bytes(4_000)
        .start()
        .unwrap();
    let good = encoded(&job(1));
    let sending = tokio::task::spawn_blocking(move || {
        assert_eq!(publisher.recv_bytes(0).unwrap(), [1]);
        publisher.send_multipart([&b"bad"[..], b"\x08"], 0).unwrap();
        publisher.send("alone", 0).unwrap();
        publisher.send_multipart(["a", "b", "c"], 0).unwrap();
        publisher.send_multipart(["large".into(), vec![0; 5_000]], 0).unwrap();
        publisher.send_multipart([vec![b'x'; 4_001], good.clone()], 0).unwrap();
        publisher.send_multipart([&b""[..], &good], 0).unwrap();
        publisher
    });
    let _publisher = within(sending).await.unwrap();

    let error = within(subscriber.recv()).await.unwrap_err();
    assert_eq!(error.topic().unwrap(), &"bad");
    let text = error.to_string();
    assert!(text.contains("of the topic \"bad\" cannot be decoded as patterns::Job"), "{text}");
    for words in [
        "a message of the topic \"alone\" has the wrong number of frames: 1, not 2",
        "a message of the topic \"a\" has the wrong number of frames: 3, not 2",
        "a message of the topic \"large\" has a frame of 5000 bytes, and 4000 are allowed",
        "a message has a frame of 4001 bytes, and 4000 are allowed",
    ] {
        assert_eq!(within(subscriber.recv()).await.unwrap_err().to_string(), words);
    }
    let last = next(&mut subscriber).await.unwrap().unwrap();
    assert_eq!(last, Published { topic: "".into(), message: job(1) });
}

/// Far too much costs the connection, and no more: the next one is as good as the first.
#[tokio::test]
async fn what_is_far_too_large_is_not_read() {
    let (push, endpoint) = foreign_bound(zmq::PUSH);
    let puller = Puller::<Job>::builder().connect(&endpoint).max_message_bytes(2_000).start();
    let mut puller = puller.unwrap();
    sends_too_much(push, &[], async {
        assert_eq!(within(puller.recv()).await.unwrap(), Some(job(1)));
    })
    .await;
}

#[tokio::test]
async fn nor_by_a_pair_and_a_subscriber() {
    let (side, endpoint) = foreign_bound(zmq::PAIR);
    let pair = Pair::<Job>::builder().connect(&endpoint).max_message_bytes(2_000).start();
    let mut pair = pair.unwrap();
    sends_too_much(side, &[], async {
        assert_eq!(within(pair.recv()).await.unwrap(), Some(job(1)));
    })
    .await;

    let (publisher, endpoint) = foreign_bound(zmq::XPUB);
    // By a name, which libzmq tells the address of.
    let named = endpoint.replace("127.0.0.1", "localhost");
    let subscriber = Subscriber::<Job>::builder().connect(named).subscribe("a");
    let mut subscriber = subscriber.max_message_bytes(2_000).start().unwrap();
    let publisher = tokio::task::spawn_blocking(move || {
        assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01a");
        publisher
    });
    sends_too_much(within(publisher).await.unwrap(), b"a", async {
        assert_eq!(within(subscriber.recv()).await.unwrap().unwrap().message, job(1));
    })
    .await;
}

/// Sends far too much, and then a job each moment until `received` ends.
async fn sends_too_much(socket: zmq::Socket, topic: &'static [u8], received: impl Future) {
    let (done, over) = std::sync::mpsc::channel::<()>();
    let sending = tokio::task::spawn_blocking(move || {
        let send = |record: Vec<u8>| {
            // A pair finds out that its other side has gone only when it looks for what came.
            socket.get_events().unwrap();
            let sent = match topic {
                b"" => socket.send(record, zmq::DONTWAIT),
                topic => socket.send_multipart([topic.to_vec(), record], zmq::DONTWAIT),
            };
            sent == Ok(()) || sent == Err(zmq::Error::EAGAIN)
        };
        socket.poll(zmq::POLLOUT, 20_000).unwrap();
        assert!(send(vec![0; 1_000_000]));
        // Some of these may go into the connection that is closed.
        while over.recv_timeout(Duration::from_millis(5)).is_err_and(|error| error == TIMEOUT) {
            assert!(send(encoded(&job(1))));
        }
    });
    received.await;
    drop(done);
    within(sending).await.unwrap();
}

/// An XSUB may say anything: long subscriptions, too many of them, and messages that a publisher does not expect.
#[tokio::test]
async fn a_hostile_subscriber_harms_nobody() {
    let publisher = Publisher::builder().bind(TCP).last_value(true).start().unwrap();
    within(publisher.send("a", &job(1))).await.unwrap();
    let endpoint = publisher.endpoints()[0].clone();
    let hostile = foreign(zmq::XSUB);
    hostile.connect(&endpoint).unwrap();
    let sending = tokio::task::spawn_blocking(move || {
        for number in 0..3_000 {
            hostile.send(&format!("\u{1}a{number}"), 0).unwrap();
            hostile.send("\u{1}", 0).unwrap();
            hostile.send_multipart(["what", "\u{1}is", "", "\0this"], 0).unwrap();
            hostile.send("", 0).unwrap();
        }
        hostile.send([vec![1], vec![b'x'; 100_000]].concat(), 0).unwrap();
        hostile
    });
    let _hostile = within(sending).await.unwrap();
    let mut subscriber =
        Subscriber::<Job>::builder().connect(&endpoint).subscribe("a").start().unwrap();
    let first = within(subscriber.recv()).await.unwrap().unwrap();
    assert_eq!(first.message, job(1));
    within(publisher.send("a", &job(2))).await.unwrap();
    within(async { while subscriber.recv().await.unwrap().unwrap().message != job(2) {} }).await;
}
