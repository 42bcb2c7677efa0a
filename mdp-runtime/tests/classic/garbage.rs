//! Brokers that send what is none of classic MDP.

use std::time::Duration;

use mdp_runtime::{Client, Dialect, RawClient, RawError, RawWorker, Worker};

use crate::ms;
use crate::support::{call, echo, within};

type Frames = Vec<Vec<u8>>;

/// What no peer may take for something.
fn garbage() -> Vec<Frames> {
    let list = |frames: &[&[u8]]| frames.iter().map(|frame| frame.to_vec()).collect::<Frames>();
    vec![
        list(&[b""]),
        list(&[b"", b""]),
        list(&[b"MDPX02", b"\x02"]),
        list(&[b"MDPW02"]),
        list(&[b"MDPW02", b""]),
        list(&[b"MDPW02", b"\x02"]),
        list(&[b"MDPW02", b"\x02", b"client"]),
        list(&[b"MDPW02", b"\x02", b"client", b"no empty frame", b"body"]),
        list(&[b"MDPW02", b"\x07"]),
        list(&[b"MDPW02", b"\x05", b"more"]),
        list(&[b"MDPW01", b"\x02", b"client", b"", b"body"]),
        list(&[b"MDPC02", b"\x03"]),
        list(&[b"MDPC02", b"\x01", b"echo", b"body"]),
        list(&[b"MDPC02", b"\x03", b"another", b"body"]),
        vec![b"MDPC02".to_vec(); 2_000],
        vec![vec![0xd3, 1], vec![0xff; 100]],
    ]
}

/// A router that answers the first message of each of its peers with garbage, as much as there is. It gives how many peers
/// there were, once there were enough.
fn start(enough: usize) -> (String, std::thread::JoinHandle<usize>) {
    let router = zmq::Context::new().socket(zmq::ROUTER).unwrap();
    router.set_linger(0).unwrap();
    router.set_rcvtimeo(20_000).unwrap();
    router.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    let thread = std::thread::spawn(move || {
        let mut peers = std::collections::HashSet::new();
        let all = garbage();
        while peers.len() < enough {
            let message = router.recv_multipart(0).unwrap();
            if peers.insert(message[0].clone()) {
                let mut garbage = all[peers.len() % all.len()].clone();
                garbage.insert(0, message[0].clone());
                router.send_multipart(garbage, 0).unwrap();
            }
        }
        peers.len()
    });
    (endpoint, thread)
}

async fn joined(thread: std::thread::JoinHandle<usize>) -> usize {
    let join = tokio::task::spawn_blocking(move || thread.join().unwrap());
    tokio::time::timeout(Duration::from_secs(60), join).await.unwrap().unwrap()
}

#[tokio::test]
async fn workers_begin_anew_on_another_socket() {
    let enough = garbage().len();
    let (endpoint, peers) = start(enough);
    let worker = Worker::builder().dialect(Dialect::Mdp02).connect(&endpoint).capacity(8);
    let _typed = worker.heartbeat(ms(50)).serve(echo()).start().unwrap();
    let raw = RawWorker::builder("raw").connect(&endpoint).capacity(8).heartbeat(ms(50));
    let _raw = raw.start().unwrap();
    assert_eq!(joined(peers).await, enough);
}

#[tokio::test]
async fn clients_end_what_was_sent_and_begin_anew() {
    let enough = garbage().len();
    let (endpoint, peers) = start(enough);
    let typed = Client::builder().dialect(Dialect::Mdp02).connect(&endpoint).open_lazy().unwrap();
    let raw = RawClient::builder().connect(&endpoint).timeout(ms(500)).open().unwrap();
    let asking = tokio::spawn(async move {
        loop {
            let typed = within(call(&typed, "typed").timeout(ms(500))).await;
            assert!(typed.is_err());
            let raw = within(raw.send("echo", vec!["raw".into()])).await;
            assert!(matches!(raw, Err(RawError::Lost(_) | RawError::Timeout { .. })), "{raw:?}");
        }
    });
    assert_eq!(joined(peers).await, enough);
    assert!(!asking.is_finished());
    asking.abort();
}
