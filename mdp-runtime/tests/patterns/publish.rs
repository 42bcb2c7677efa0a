//! Publishers and subscribers.

use mdp_runtime::Transport;
use mdp_runtime::patterns::{MAX_TOPIC_BYTES, Published, SendError, SubscribeError};

use super::*;

/// Behind all others, so that who gets it has all his subscriptions.
const SYNC: &str = "~";

/// Publishes until the subscriber hears it.
async fn synchronise(publisher: &Publisher<Job>, subscriber: &mut Subscriber<Job>) {
    subscriber.subscribe(SYNC).await.unwrap();
    within(async {
        loop {
            publisher.send(SYNC, &job(0)).await.unwrap();
            match tokio::time::timeout(Duration::from_millis(5), subscriber.recv()).await {
                Err(_) => continue,
                Ok(message) if message.as_ref().unwrap().as_ref().unwrap().topic == SYNC => break,
                Ok(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
}

/// The next message that is not of [`SYNC`].
async fn received(subscriber: &mut Subscriber<Job>) -> (String, u32) {
    loop {
        let Published { topic, message } = within(subscriber.recv()).await.unwrap().unwrap();
        if topic != SYNC {
            return (topic.to_string(), message.number);
        }
    }
}

async fn send(publisher: &Publisher<Job>, messages: &[(&str, u32)]) {
    for (topic, number) in messages {
        within(publisher.send(topic, &job(*number))).await.unwrap();
    }
    within(publisher.flush()).await.unwrap();
}

#[tokio::test]
async fn a_subscriber_gets_the_topics_that_begin_so() {
    let (_folder, endpoints) = endpoints();
    for endpoint in &endpoints {
        let publisher = Publisher::builder().bind(endpoint).start().unwrap();
        let place = &publisher.endpoints()[0];
        let mut subscriber =
            Subscriber::builder().connect(place).subscribe("a.").subscribe("b").start().unwrap();
        synchronise(&publisher, &mut subscriber).await;
        send(&publisher, &[("a", 1), ("a.x", 2), ("c", 3), ("b", 4), ("bc", 5), ("A.", 6)]).await;
        send(&publisher, &[("a.", 7)]).await;
        assert_eq!(received(&mut subscriber).await, ("a.x".into(), 2));
        assert_eq!(received(&mut subscriber).await, ("b".into(), 4));
        assert_eq!(received(&mut subscriber).await, ("bc".into(), 5));
        assert_eq!(received(&mut subscriber).await, ("a.".into(), 7));
        publisher.shutdown().await;
        subscriber.shutdown().await;
        assert_eq!(within(subscriber.recv()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_subscriber_may_bind_and_hear_several_publishers() {
    let mut subscriber = Subscriber::builder().bind(TCP).subscribe("").start().unwrap();
    let place = subscriber.endpoints()[0].clone();
    for number in 0..3 {
        let publisher = Publisher::builder().connect(&place).start().unwrap();
        synchronise(&publisher, &mut subscriber).await;
        send(&publisher, &[("here", number)]).await;
        assert_eq!(received(&mut subscriber).await, ("here".into(), number));
    }
}

#[tokio::test]
async fn subscriptions_change_at_run_time() {
    let publisher = Publisher::builder().bind(TCP).start().unwrap();
    let mut subscriber = Subscriber::builder().connect(&publisher.endpoints()[0]).start().unwrap();
    synchronise(&publisher, &mut subscriber).await;
    send(&publisher, &[("a", 1)]).await;
    subscriber.subscribe("a").await.unwrap();
    subscriber.subscribe(b"\xff\0").await.unwrap();
    subscriber.subscribe("}").await.unwrap();
    // Subscriptions arrive in their order: with the last one the others are there.
    let found = within(async {
        loop {
            publisher.send("}", &job(2)).await.unwrap();
            match tokio::time::timeout(Duration::from_millis(5), received(&mut subscriber)).await {
                Ok((topic, _)) => break topic,
                Err(_) => continue,
            }
        }
    });
    assert_eq!(found.await, "}");
    send(&publisher, &[("a", 3)]).await;
    within(publisher.send(b"\xff\0\x01", &job(4))).await.unwrap();
    let mut numbers = Vec::new();
    while numbers.len() < 2 {
        match received(&mut subscriber).await {
            (topic, _) if topic == "}" => {}
            (_, number) => numbers.push(number),
        }
    }
    assert_eq!(numbers, [3, 4]);
    subscriber.unsubscribe("a").await.unwrap();
    subscriber.unsubscribe("never").await.unwrap();
    send(&publisher, &[("a", 5)]).await;
    within(publisher.send(b"\xff\0", &job(6))).await.unwrap();
    loop {
        match received(&mut subscriber).await {
            (topic, _) if topic == "}" => {}
            (_, number) => break assert_eq!(number, 6),
        }
    }
}

#[tokio::test]
async fn who_comes_late_hears_what_comes_later() {
    let publisher = Publisher::builder().bind(TCP).start().unwrap();
    send(&publisher, &[("a", 1)]).await;
    let mut subscriber =
        Subscriber::builder().connect(&publisher.endpoints()[0]).subscribe("a").start().unwrap();
    synchronise(&publisher, &mut subscriber).await;
    send(&publisher, &[("a", 2)]).await;
    assert_eq!(received(&mut subscriber).await, ("a".into(), 2));
}

#[tokio::test]
async fn who_comes_late_gets_the_last_values() {
    let (_folder, endpoints) = endpoints();
    for endpoint in &endpoints {
        let publisher = Publisher::builder().bind(endpoint).last_value(true).start().unwrap();
        send(&publisher, &[("a.1", 1), ("a.2", 2), ("b", 3), ("a.1", 4)]).await;
        let place = publisher.endpoints()[0].clone();
        for _ in 0..3 {
            let mut late = Subscriber::builder().connect(&place).subscribe("a.").start().unwrap();
            assert_eq!(received(&mut late).await, ("a.1".into(), 4));
            assert_eq!(received(&mut late).await, ("a.2".into(), 2));
            late.subscribe("b").await.unwrap();
            assert_eq!(received(&mut late).await, ("b".into(), 3));
        }
        publisher.shutdown().await;
    }
}

#[tokio::test]
async fn more_last_values_than_are_kept() {
    let publisher =
        Publisher::builder().bind(TCP).last_value(true).last_value_topics(2).start().unwrap();
    send(&publisher, &[("a", 1), ("b", 2), ("a", 3), ("c", 4)]).await;
    let mut late =
        Subscriber::builder().connect(&publisher.endpoints()[0]).subscribe("").start().unwrap();
    assert_eq!(received(&mut late).await, ("a".into(), 3));
    assert_eq!(received(&mut late).await, ("c".into(), 4));
    assert_eq!(publisher.evicted(), 1);
}

/// As many topics as are kept fit into the queue of who subscribes to all.
#[tokio::test]
async fn all_last_values_reach_who_comes_late() {
    let publisher = Publisher::builder().bind(TCP).last_value(true).start().unwrap();
    for number in 0..1_000 {
        within(publisher.send(format!("{number:04}"), &job(number))).await.unwrap();
    }
    within(publisher.flush()).await.unwrap();
    let mut late =
        Subscriber::builder().connect(&publisher.endpoints()[0]).subscribe("").start().unwrap();
    for number in 0..1_000 {
        assert_eq!(received(&mut late).await, (format!("{number:04}"), number));
    }
    assert_eq!((publisher.evicted(), publisher.overruns()), (0, 0));
}

#[tokio::test]
async fn who_does_not_read_holds_up_neither_publisher_nor_others() {
    let (_folder, endpoints) = endpoints();
    let publisher = Publisher::builder().bind(&endpoints[2]).high_water_mark(1).start().unwrap();
    let slow = || Subscriber::<Job>::builder().connect(&endpoints[2]).high_water_mark(1);
    let mut slow = slow().subscribe("a").start().unwrap();
    synchronise(&publisher, &mut slow).await;
    let mut quick = Subscriber::builder().connect(&endpoints[2]).subscribe("a").start().unwrap();
    synchronise(&publisher, &mut quick).await;
    for number in 0..100 {
        send(&publisher, &[("a", number)]).await;
        assert_eq!(received(&mut quick).await, ("a".into(), number));
    }
    assert!(publisher.overruns() >= 1, "{publisher:?}");
    // The native transport knows what each subscriber has lost. Here only one loses.
    let native = Context::global().transport() == Transport::Native;
    assert_eq!(publisher.lost(), native.then(|| publisher.overruns()));
    // It reads on, with a gap.
    let (mut numbers, mut last) = (Vec::new(), 100);
    while numbers.last() != Some(&last) {
        last += 1;
        send(&publisher, &[("a", last)]).await;
        while let Ok((_, number)) =
            tokio::time::timeout(Duration::from_millis(20), received(&mut slow)).await
        {
            numbers.push(number);
        }
        assert!(last < 1_000, "{numbers:?}");
    }
    assert_eq!(numbers[0], 0);
    assert!(numbers.is_sorted() && numbers.len() < 100, "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn all_comes_where_there_is_room() {
    const COUNT: u32 = 20_000;
    let publisher = Publisher::builder().bind(TCP).high_water_mark(COUNT).start().unwrap();
    let subscriber = Subscriber::builder().connect(&publisher.endpoints()[0]).subscribe("a");
    let mut subscriber = subscriber.high_water_mark(10).start().unwrap();
    synchronise(&publisher, &mut subscriber).await;
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            publisher.send("a", &job(number)).await.unwrap();
        }
        publisher
    });
    for number in 0..COUNT {
        assert_eq!(received(&mut subscriber).await, ("a".into(), number));
    }
    assert_eq!(within(sending).await.unwrap().overruns(), 0);
}

#[tokio::test]
async fn shutdown_writes_everything() {
    let publisher = Publisher::builder().bind(TCP).start().unwrap();
    let mut subscriber =
        Subscriber::builder().connect(&publisher.endpoints()[0]).subscribe("a").start().unwrap();
    synchronise(&publisher, &mut subscriber).await;
    for number in 0..900 {
        within(publisher.send("a", &job(number))).await.unwrap();
    }
    let clone = publisher.clone();
    within(publisher.shutdown()).await;
    assert_eq!(within(clone.send("a", &job(1))).await, Err(SendError::Closed));
    assert_eq!(within(clone.flush()).await, Err(SendError::Closed));
    for number in 0..900 {
        assert_eq!(received(&mut subscriber).await, ("a".into(), number));
    }
}

#[tokio::test]
async fn a_dropped_publisher_writes_everything_and_closes() {
    let publisher = Publisher::builder().bind(TCP).start().unwrap();
    let endpoint = publisher.endpoints()[0].clone();
    let mut subscriber = Subscriber::builder().connect(&endpoint).subscribe("a").start().unwrap();
    synchronise(&publisher, &mut subscriber).await;
    for number in 0..900 {
        within(publisher.send("a", &job(number))).await.unwrap();
    }
    drop(publisher);
    for number in 0..900 {
        assert_eq!(received(&mut subscriber).await, ("a".into(), number));
    }
    bound_again(&endpoint).await;

    let subscriber = Subscriber::<Job>::builder().bind(TCP).start().unwrap();
    let endpoint = subscriber.endpoints()[0].clone();
    drop(subscriber);
    bound_again(&endpoint).await;
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let publisher = Publisher::builder().bind(TCP).max_message_bytes(10).start().unwrap();
    let (long, max) = ("x".repeat(MAX_TOPIC_BYTES + 1), MAX_TOPIC_BYTES);
    let bytes = max + 1;
    assert_eq!(
        within(publisher.send(&long, &job(1))).await,
        Err(SendError::TopicTooLong { bytes })
    );
    let large = Job { number: 0, text: "0123456789".into() };
    assert_eq!(
        within(publisher.send("a", &large)).await,
        Err(SendError::TooLarge { bytes: 12, max: 10 })
    );
    let subscriber = Subscriber::<Job>::builder().bind(TCP).start().unwrap();
    assert_eq!(
        within(subscriber.subscribe(&long)).await,
        Err(SubscribeError::TopicTooLong { bytes })
    );
    let error = Subscriber::<Job>::builder().bind(TCP).subscribe(&long).start().unwrap_err();
    assert_eq!(error.to_string(), "the topic has 1025 bytes, and 1024 are allowed");
    subscriber.shutdown().await;
    assert_eq!(within(subscriber.subscribe("a")).await, Err(SubscribeError::Closed));

    // The longest topic of all can be subscribed to.
    let longest = "x".repeat(max);
    let publisher = Publisher::builder().bind(TCP).last_value(true).start().unwrap();
    send(&publisher, &[(&longest, 7)]).await;
    let place = &publisher.endpoints()[0];
    let mut subscriber = Subscriber::builder().connect(place).subscribe(&longest).start().unwrap();
    assert_eq!(received(&mut subscriber).await, (longest, 7));
}
