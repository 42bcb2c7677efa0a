//! Pairs.

use super::*;

#[tokio::test]
async fn both_sides_speak_over_each_transport() {
    let (_folder, endpoints) = endpoints();
    for endpoint in &endpoints {
        let mut one = Pair::builder().bind(endpoint).start().unwrap();
        let mut other = Pair::builder().connect(&one.endpoints()[0]).start().unwrap();
        for number in 0..3 {
            within(one.send(&job(number))).await.unwrap();
            within(other.send(&job(100 + number))).await.unwrap();
        }
        for number in 0..3 {
            assert_eq!(within(other.recv()).await.unwrap(), Some(job(number)));
            assert_eq!(next(&mut one).await.unwrap().unwrap(), job(100 + number));
        }
        within(one.shutdown()).await;
        within(other.shutdown()).await;
        assert_eq!(within(other.recv()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_pair_has_one_endpoint() {
    let error = Pair::<Job>::builder().bind(TCP).connect("inproc://b").start().unwrap_err();
    assert_eq!(error.to_string(), "a pair has one endpoint, and 2 are given");
    assert!(matches!(Pair::<Job>::builder().start(), Err(StartError::Endpoint(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn halves_work_at_the_same_time() {
    let one = Pair::<Job>::builder().bind(TCP).high_water_mark(4).start().unwrap();
    let other =
        Pair::<Job>::builder().connect(&one.endpoints()[0]).high_water_mark(4).start().unwrap();
    let sides = [one, other].map(|side| {
        let (sender, mut receiver) = side.split();
        let sending = tokio::spawn(async move {
            for number in 0..5_000 {
                sender.send(&job(number)).await.unwrap();
            }
            sender
        });
        let receiving = tokio::spawn(async move {
            for number in 0..5_000 {
                assert_eq!(next(&mut receiver).await.unwrap().unwrap(), job(number));
            }
            receiver
        });
        (sending, receiving)
    });
    for (sending, receiving) in sides {
        drop(within(sending).await.unwrap());
        drop(within(receiving).await.unwrap());
    }
}

#[tokio::test]
async fn a_pair_waits_for_its_other_side() {
    let one = Pair::<Job>::builder().bind(TCP).start().unwrap();
    let first = job(1);
    let mut sending = std::pin::pin!(one.send(&first));
    assert!(waits(sending.as_mut()).await);
    let mut other = Pair::<Job>::builder().connect(&one.endpoints()[0]).start().unwrap();
    within(sending).await.unwrap();
    assert_eq!(within(other.recv()).await.unwrap(), Some(job(1)));
}

#[tokio::test]
async fn the_socket_closes_with_its_last_half() {
    let one = Pair::<Job>::builder().bind(TCP).start().unwrap();
    let endpoint = one.endpoints()[0].clone();
    let mut other = Pair::<Job>::builder().connect(&endpoint).start().unwrap();
    let (sender, receiver) = one.split();
    drop(receiver);
    within(sender.send(&job(1))).await.unwrap();
    assert_eq!(within(other.recv()).await.unwrap(), Some(job(1)));
    // Nobody reads this, and nobody is harmed.
    within(other.send(&job(2))).await.unwrap();
    within(sender.send(&job(3))).await.unwrap();
    drop(sender);
    assert_eq!(within(other.recv()).await.unwrap(), Some(job(3)));
    bound_again(&endpoint).await;
}

#[tokio::test]
async fn another_side_may_come_when_the_first_has_gone() {
    let mut one = Pair::<Job>::builder().bind(TCP).start().unwrap();
    let endpoint = one.endpoints()[0].clone();
    for number in 0..3 {
        let other = Pair::<Job>::builder().connect(&endpoint).start().unwrap();
        within(other.send(&job(number))).await.unwrap();
        assert_eq!(within(one.recv()).await.unwrap(), Some(job(number)));
        within(other.shutdown()).await;
        // Until it is known here that it has gone, another one would be turned away.
        within(async { while !waits(one.send(&job(9))).await {} }).await;
    }
}
