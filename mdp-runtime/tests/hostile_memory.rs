//! Memory that hostile peers can make a broker hold, measured: alone in its process.

#![cfg(not(mdp_without_c))] // libzmq is the other side.

// A test may end at the first wrong assumption.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use mdp_runtime::Broker;

/// What waits is held in memory of its own, and not in the buffers that it came in with others.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_takes_what_is_counted() {
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
    };
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let context = zmq::Context::new();
    let client = context.socket(zmq::DEALER).unwrap();
    client.set_linger(0).unwrap();
    client.connect(&broker.endpoints()[0]).unwrap();
    let (small, filler) = (vec![1_u8; 40], vec![2_u8; 8_000]);
    let mut before = resident();
    for number in 0..4_000 {
        if number == 100 {
            before = resident();
        }
        client.send_multipart([b"MDPC02".as_slice(), b"\x01", b"nobody", &small], 0).unwrap();
        client.send_multipart([b"MDPC02".as_slice(), b"\x01", b"mmi.service", &filler], 0).unwrap();
        client.recv_multipart(0).unwrap();
    }
    let stats = broker.stats().await;
    assert_eq!(stats.queued, 4_000);
    let grown = resident().saturating_sub(before);
    // Beside the bytes a call has its entry; in buffers that it shares it would be 8 KiB for each.
    assert!(grown < 16 << 20, "{} held, {grown} grown", stats.held_bytes);
}
