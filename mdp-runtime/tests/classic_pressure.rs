//! A typed client over classic MDP whose broker is slow to read.

#![cfg(not(mdp_without_c))] // libzmq is the other side.

// A test may end at the first wrong assumption.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use std::time::{Duration, Instant};

use mdp_runtime::{Client, ConnectionState, Dialect};
use support::call;

/// A pipe that is full is no lost connection.
#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_for_a_broker_that_reads_slowly() {
    const CALLS: usize = 3_000;
    let context = zmq::Context::new();
    let router = context.socket(zmq::ROUTER).unwrap();
    router.set_linger(0).unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let client = Client::builder().dialect(Dialect::Mdp02).connect(&endpoint).open().await.unwrap();
    let state = client.state();
    let text = "x".repeat(20_000);
    let patience = Duration::from_secs(60);
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let (client, text) = (client.clone(), text.clone());
            tokio::spawn(async move { call(&client, &text).timeout(patience).send().await })
        })
        .collect();
    // Now it reads: each call is there, once, from one connection.
    let read = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(500)); // being slow is what this is about
        router.set_rcvtimeo(20_000).unwrap();
        let start = Instant::now();
        let mut ids = std::collections::BTreeSet::new();
        for number in 0..CALLS {
            let message = router.recv_multipart(0);
            let message =
                message.unwrap_or_else(|_| panic!("{number} after {:?}", start.elapsed()));
            ids.insert(message[0].clone());
        }
        ids.len()
    });
    assert_eq!(read.await.unwrap(), 1, "connections");
    assert!(calls.iter().all(|call| !call.is_finished()), "a call has ended without an answer");
    assert!(matches!(*state.borrow(), ConnectionState::Connected { .. }));
}
