//! Pushers and pullers.

use mdp_runtime::patterns::SendError;

use super::*;

#[tokio::test]
async fn over_each_transport_and_whoever_binds() {
    let (_folder, endpoints) = endpoints();
    for endpoint in &endpoints {
        let pusher = Pusher::builder().bind(endpoint).start().unwrap();
        let mut puller = Puller::builder().connect(&pusher.endpoints()[0]).start().unwrap();
        carries(&pusher, &mut puller).await;
        pusher.shutdown().await;
        puller.shutdown().await;

        let mut puller = Puller::builder().bind(endpoint).start().unwrap();
        let pusher = Pusher::builder().connect(&puller.endpoints()[0]).start().unwrap();
        carries(&pusher, &mut puller).await;
        pusher.shutdown().await;
        puller.shutdown().await;
    }
}

async fn carries(pusher: &Pusher<Job>, puller: &mut Puller<Job>) {
    for number in 0..3 {
        within(pusher.send(&job(number))).await.unwrap();
    }
    for number in 0..3 {
        assert_eq!(within(puller.recv()).await.unwrap(), Some(job(number)));
    }
}

#[tokio::test]
async fn one_socket_has_several_endpoints() {
    let (_folder, endpoints) = endpoints();
    let mut puller = Puller::<Job>::builder();
    for endpoint in &endpoints {
        puller = puller.bind(endpoint);
    }
    let mut puller = puller.start().unwrap();
    let taken = puller.endpoints().to_vec();
    assert_eq!((taken.len(), &taken[1..]), (3, &endpoints[1..]));
    let mut pushers = Vec::new();
    for (endpoint, number) in taken.iter().zip(0..) {
        let pusher = Pusher::builder().connect(endpoint).start().unwrap();
        within(pusher.send(&job(number))).await.unwrap();
        pushers.push(pusher);
    }
    let mut numbers = Vec::new();
    for _ in &taken {
        numbers.push(next(&mut puller).await.unwrap().unwrap().number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2]);
}

#[tokio::test]
async fn two_pullers_share_the_work() {
    let pusher = Pusher::builder().bind(TCP).start().unwrap();
    let endpoint = pusher.endpoints()[0].clone();
    let (done, mut all) = tokio::sync::mpsc::unbounded_channel();
    for puller in 0..2 {
        let done = done.clone();
        let mut jobs = Puller::<Job>::builder().connect(&endpoint).start().unwrap();
        tokio::spawn(async move {
            while let Some(job) = jobs.recv().await.unwrap() {
                done.send((puller, job.number)).unwrap();
            }
        });
    }
    // Who is there first gets the first ones.
    let mut counts = [0; 2];
    let mut sent = 0;
    while counts.contains(&0) {
        within(pusher.send(&job(sent))).await.unwrap();
        let (puller, number) = within(all.recv()).await.unwrap();
        counts[puller] += 1;
        assert_eq!(number, sent);
        sent += 1;
    }
    // Now both are there.
    let (mut numbers, mut counts) = (Vec::new(), [0; 2]);
    for number in 0..100 {
        within(pusher.send(&job(number))).await.unwrap();
    }
    for _ in 0..100 {
        let (puller, number) = within(all.recv()).await.unwrap();
        counts[puller] += 1;
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, Vec::from_iter(0..100));
    assert_eq!(counts, [50, 50]);
}

#[tokio::test]
async fn a_pusher_without_a_puller_waits_for_one() {
    let pusher = Pusher::<Job>::builder().bind(TCP).start().unwrap();
    let first = job(1);
    let mut sending = std::pin::pin!(pusher.send(&first));
    assert!(waits(sending.as_mut()).await);
    let mut puller = Puller::<Job>::builder().connect(&pusher.endpoints()[0]).start().unwrap();
    within(sending).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(1)));
}

#[tokio::test]
async fn a_slow_puller_slows_its_pusher_down() {
    let (_folder, endpoints) = endpoints();
    let mut puller =
        Puller::<Job>::builder().bind(&endpoints[2]).high_water_mark(1).start().unwrap();
    let pusher =
        Pusher::<Job>::builder().connect(&endpoints[2]).high_water_mark(1).start().unwrap();
    let mut sent = 0;
    while !waits(pusher.send(&job(sent))).await {
        sent += 1;
        assert!(sent < 10, "two wait in ZeroMQ, one for the reader, and one is on its way");
    }
    // What was given up is not among what comes.
    for number in 0..sent {
        assert_eq!(within(puller.recv()).await.unwrap(), Some(job(number)));
    }
    within(pusher.send(&job(100))).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(100)));
}

#[tokio::test]
async fn a_send_that_is_dropped_takes_its_record_back() {
    let pusher = Pusher::<Job>::builder().bind(TCP).start().unwrap();
    assert!(waits(pusher.send(&job(1))).await);
    let second = job(2);
    let mut sending = std::pin::pin!(pusher.send(&second));
    assert!(waits(sending.as_mut()).await);
    let mut puller = Puller::<Job>::builder().connect(&pusher.endpoints()[0]).start().unwrap();
    within(sending).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(2)));
    assert!(waits(puller.recv()).await);
}

#[tokio::test]
async fn who_waits_while_the_socket_is_shut_down_is_told() {
    let pusher = Pusher::<Job>::builder().bind(TCP).start().unwrap();
    let mut waiting = Vec::new();
    // More than are handed over at once.
    for number in 0..200 {
        let pusher = pusher.clone();
        waiting.push(tokio::spawn(async move { pusher.send(&job(number)).await }));
    }
    assert!(waits(pusher.send(&job(1_000))).await);
    within(pusher.shutdown()).await;
    for waiting in waiting {
        assert_eq!(within(waiting).await.unwrap(), Err(SendError::Closed));
    }
    assert_eq!(within(pusher.send(&job(1))).await, Err(SendError::Closed));
    within(pusher.shutdown()).await;
    assert!(Puller::<Job>::builder().bind(&pusher.endpoints()[0]).start().is_ok());
}

#[tokio::test]
async fn shutdown_writes_everything() {
    let mut puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
    let pusher = Pusher::<Job>::builder().connect(&puller.endpoints()[0]).start().unwrap();
    let text = "x".repeat(1_000);
    for number in 0..900 {
        within(pusher.send(&Job { number, text: text.clone() })).await.unwrap();
    }
    within(pusher.shutdown()).await;
    for number in 0..900 {
        assert_eq!(next(&mut puller).await.unwrap().unwrap().number, number);
    }
}

#[tokio::test]
async fn a_dropped_pusher_writes_everything_too() {
    let mut puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
    let pusher = Pusher::<Job>::builder().connect(&puller.endpoints()[0]).start().unwrap();
    for number in 0..500 {
        within(pusher.send(&job(number))).await.unwrap();
    }
    drop(pusher);
    for number in 0..500 {
        assert_eq!(next(&mut puller).await.unwrap().unwrap().number, number);
    }
}

#[tokio::test]
async fn dropped_handles_close_their_socket() {
    let pusher = Pusher::<Job>::builder().bind(TCP).start().unwrap();
    let endpoint = pusher.endpoints()[0].clone();
    let clone = pusher.clone();
    drop(pusher);
    assert!(Puller::<Job>::builder().bind(&endpoint).start().is_err(), "a clone holds it");
    drop(clone);
    bound_again(&endpoint).await;

    let puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
    let endpoint = puller.endpoints()[0].clone();
    drop(puller);
    bound_again(&endpoint).await;
}

#[tokio::test]
async fn a_puller_that_is_shut_down_ends() {
    let mut puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
    let pusher = Pusher::<Job>::builder().connect(&puller.endpoints()[0]).start().unwrap();
    within(pusher.send(&job(1))).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(1)));
    within(puller.shutdown()).await;
    assert_eq!(within(puller.recv()).await.unwrap(), None);
    assert!(next(&mut puller).await.is_none());
}

#[tokio::test]
async fn a_pusher_finds_the_next_puller_at_the_same_place() {
    let mut puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
    let endpoint = puller.endpoints()[0].clone();
    let pusher = Pusher::<Job>::builder().connect(&endpoint).start().unwrap();
    within(pusher.send(&job(1))).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(1)));
    within(puller.shutdown()).await;
    let mut puller = Puller::<Job>::builder().bind(&endpoint).start().unwrap();
    // What is sent before the loss shows may be lost.
    within(async {
        loop {
            pusher.send(&job(2)).await.unwrap();
            if !waits(puller.recv()).await {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let max = encoded(&Job { number: 1, text: "x".repeat(50) }).len();
    let mut puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
    let pusher = Pusher::<Job>::builder()
        .connect(&puller.endpoints()[0])
        .max_message_bytes(max)
        .start()
        .unwrap();
    let large = Job { number: 1, text: "x".repeat(51) };
    let error = within(pusher.send(&large)).await.unwrap_err();
    assert_eq!(error, SendError::TooLarge { bytes: max + 1, max });
    let largest = Job { number: 1, text: "x".repeat(50) };
    within(pusher.send(&largest)).await.unwrap();
    assert_eq!(within(puller.recv()).await.unwrap(), Some(largest));
}

/// Within a process ZeroMQ has no limit of its own.
#[tokio::test]
async fn what_is_too_large_is_an_error_within_a_process_too() {
    let (_folder, endpoints) = endpoints();
    let puller = Puller::<Job>::builder().bind(&endpoints[2]).max_message_bytes(100);
    let mut puller = puller.start().unwrap();
    let pusher = Pusher::<Job>::builder().connect(&endpoints[2]).start().unwrap();
    within(pusher.send(&Job { number: 1, text: "x".repeat(1_000_000) })).await.unwrap();
    within(pusher.send(&job(2))).await.unwrap();
    let error = within(puller.recv()).await.unwrap_err();
    assert!(matches!(error, RecvError::TooLarge { topic: None, max: 100, .. }), "{error}");
    assert_eq!(within(puller.recv()).await.unwrap(), Some(job(2)));
}

/// A runtime that ends takes its sockets with it, and harms no others of the process.
#[test]
fn a_tokio_runtime_may_end_under_its_sockets() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    };
    for _ in 0..10 {
        runtime().block_on(async {
            let puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
            let endpoint = &puller.endpoints()[0];
            let pusher = Pusher::<Job>::builder().connect(endpoint).start().unwrap();
            let failed = Pusher::<Job>::builder().connect(endpoint).bind(endpoint).start();
            assert!(matches!(failed, Err(StartError::Bind(_))));
            within(pusher.send(&job(1))).await.unwrap();
            std::mem::forget((puller, pusher));
        });
    }
    runtime().block_on(async {
        let mut puller = Puller::<Job>::builder().bind(TCP).start().unwrap();
        let pusher = Pusher::<Job>::builder().connect(&puller.endpoints()[0]).start().unwrap();
        carries(&pusher, &mut puller).await;
    });
}

/// Reader, writer and both sockets' tasks on threads of their own, with queues that are often full and often empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn nothing_gets_stuck_between_threads() {
    let (_folder, endpoints) = endpoints();
    for (high_water_mark, count) in [(1, 3_000), (7, 5_000), (1_000, 20_000)] {
        for endpoint in &endpoints {
            let puller = Puller::<Job>::builder().bind(endpoint);
            let mut puller = puller.high_water_mark(high_water_mark).start().unwrap();
            let pusher = Pusher::<Job>::builder().connect(&puller.endpoints()[0]);
            let pusher = pusher.high_water_mark(high_water_mark).start().unwrap();
            let sending = tokio::spawn(async move {
                for number in 0..count {
                    within(pusher.send(&job(number))).await.unwrap();
                }
                pusher
            });
            for number in 0..count {
                assert_eq!(next(&mut puller).await.unwrap().unwrap().number, number);
            }
            within(within(sending).await.unwrap().shutdown()).await;
            within(puller.shutdown()).await;
        }
    }
}
