//! A connection that is lost: what came before counts, and what follows waits for the next one.

#![cfg(not(mdp_without_c))] // libzmq is the other side.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // tests

mod support;

use std::future::IntoFuture;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mdp_protocol::wire::{self, Record, Reply, Tail};
use mdp_protocol::{Limits, Span};
use mdp_runtime::{Client, Code, ConnectionState, Worker};
use support::{Raw, call, echo, within};

/// A broker that speaks the wire by hand, and whose connections end with it.
struct Router {
    socket: zmq::Socket,
    endpoint: String,
}

impl Router {
    fn bind(endpoint: &str) -> Self {
        let socket = zmq::Context::new().socket(zmq::ROUTER).unwrap();
        socket.set_linger(5_000).unwrap();
        socket.set_rcvtimeo(20_000).unwrap();
        socket.bind(endpoint).unwrap();
        let endpoint = socket.get_last_endpoint().unwrap().unwrap();
        Router { socket, endpoint }
    }

    fn send(&self, to: &[u8], record: &Raw) {
        let mut packet = Vec::new();
        let body = record.body().map_or(&[][..], Vec::as_slice);
        let tail = Tail { bytes: body, payload_len: body.len() as u32, ..Tail::default() };
        wire::put_tail(&mut packet, record, tail);
        self.socket.send_multipart([to, &packet], 0).unwrap();
    }

    /// Welcomes a peer and waits for a REQUEST of it: who sends, and the number.
    fn serve(&self) -> (Vec<u8>, u64) {
        loop {
            let frames = self.socket.recv_multipart(0).unwrap();
            let mut heads = Vec::new();
            wire::decode(&frames[1], &[], &Limits::default(), &mut heads).unwrap();
            for head in &heads {
                match Record::read(head, &frames[1], |_| Vec::<u8>::new()).unwrap() {
                    Record::Hello { .. } => {
                        let (heartbeat, liveness) = (Span::from_secs(60), 10);
                        let frame_bytes = 1 << 20;
                        let id = b"p".to_vec();
                        let welcome = Raw::Welcome { id, heartbeat, liveness, frame_bytes };
                        self.send(&frames[0], &welcome);
                    }
                    Record::Request { call, .. } => return (frames[0].clone(), call),
                    _ => {}
                }
            }
        }
    }

    fn answer(&self, (to, call): &(Vec<u8>, u64)) {
        let reply = Reply::Body(Vec::new());
        let (code, not_started, attempt) = (Code::Ok, false, 1);
        let peer = b"w".to_vec();
        self.send(to, &Raw::Final { call: *call, code, not_started, attempt, peer, reply });
    }
}

/// The answer and the end of the connection are both there when the client looks.
#[test]
fn an_answer_that_came_before_the_connection_was_lost_counts() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let router = Router::bind("tcp://127.0.0.1:*");
    let endpoint = router.endpoint.clone();
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    let (gone, has_gone) = mpsc::channel();
    let broker = std::thread::spawn(move || {
        let call = router.serve();
        asked.send(()).unwrap();
        router.answer(&call);
        // Waits until all is written.
        drop(router);
        gone.send(()).unwrap();
    });
    tokio.block_on(async {
        let client = within(Client::connect(endpoint)).await.unwrap();
        let call = tokio::spawn(call(&client, "").into_future());
        within(was_asked).await.unwrap();
        // Nothing of the client runs meanwhile: the pause is for the bytes on their way.
        has_gone.recv_timeout(Duration::from_secs(20)).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(within(call).await.unwrap().unwrap(), "");
        let mut state = client.state();
        let lost = |state: &ConnectionState| !matches!(state, ConnectionState::Connected { .. });
        within(state.wait_for(lost)).await.unwrap();
    });
    broker.join().unwrap();
}

/// Their broker wants a sign of life every 60 s, ten times: silence would tell nothing for ten minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_known_at_once_by_client_and_worker() {
    let folder = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}", folder.path().join("broker").to_str().unwrap());
    for endpoint in ["tcp://127.0.0.1:*", &*ipc] {
        let router = Router::bind(endpoint);
        let endpoint = router.endpoint.clone();
        let (asked, was_asked) = tokio::sync::oneshot::channel();
        let (end, ended) = mpsc::channel::<()>();
        let broker = std::thread::spawn(move || {
            router.serve();
            asked.send(()).unwrap();
            ended.recv().unwrap();
        });
        let worker = Worker::builder().connect(&endpoint).serve(echo()).start().unwrap();
        within(worker.connected()).await.unwrap();
        let client = within(Client::connect(&endpoint)).await.unwrap();
        let sent = tokio::spawn(call(&client, "").timeout(Duration::from_secs(600)).into_future());
        let (mut of_client, mut of_worker) = (client.state(), worker.state());
        within(was_asked).await.unwrap();
        let begun = Instant::now();
        end.send(()).unwrap();
        let lost = |state: &ConnectionState| !matches!(state, ConnectionState::Connected { .. });
        within(of_client.wait_for(lost)).await.unwrap();
        within(of_worker.wait_for(lost)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        let status = within(sent).await.unwrap().unwrap_err();
        assert_eq!(status.reason().as_deref(), Some("MAYBE_EXECUTED"), "{status}");
        assert!(!status.not_started());
        // What is made now has no connection to go to.
        let late = call(&client, "").timeout(Duration::from_millis(100));
        let status = within(late.into_future()).await.unwrap_err();
        assert_eq!((status.code(), status.not_started()), (Code::DeadlineExceeded, true));
        broker.join().unwrap();
    }
}
