//! The cases that RPC systems are compared by, under their common names and with the published sizes,
//! as far as streams go.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../src/service.rs"]
mod service;

use std::time::Duration;

use mdp_runtime::{Broker, Client, Code, RequestSender, Streaming, Worker};
use pb::test_client::TestClient;
use pb::test_worker::TestWorker;
use pb::{
    EchoStatus, Empty, Payload, ResponseParameters, StreamingInputCallRequest,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
};
use service::{ECHOED, Tested};

#[allow(missing_docs, unreachable_pub, dead_code)] // generated
mod pb {
    mdp_runtime::include_proto!("mdp.testing.v1");
}

const REQUESTS: [usize; 4] = [27_182, 8, 1_828, 45_904];
const REPLIES: [i32; 4] = [31_415, 9, 2_653, 58_979];

/// A broker, one worker with one slot, and a client, over tcp.
struct Bench {
    broker: Broker,
    _worker: Worker,
    test: TestClient,
}

async fn bench() -> Bench {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start().unwrap();
    let test = TestClient::new(Client::connect(&broker.endpoints()[0]).await.unwrap());
    let tested = TestWorker::new(Tested::new());
    let endpoint = &broker.endpoints()[0];
    let worker = Worker::builder().connect(endpoint).capacity(1).serve(tested).start().unwrap();
    worker.connected().await.unwrap();
    Bench { broker, _worker: worker, test }
}

impl Bench {
    /// The one slot is free.
    async fn slot_is_free(&self) {
        let call = self.test.empty_call(Empty {}).timeout(Duration::from_secs(20));
        call.await.unwrap();
        assert_eq!(self.broker.stats().await.running, 0);
    }
}

fn input(size: usize) -> StreamingInputCallRequest {
    StreamingInputCallRequest { payload: Some(Payload { body: vec![0; size] }) }
}

fn output(sizes: &[i32], payload: usize) -> StreamingOutputCallRequest {
    let parameters = sizes.iter().map(|size| ResponseParameters { size: *size });
    StreamingOutputCallRequest {
        response_parameters: parameters.collect(),
        payload: Some(Payload { body: vec![0; payload] }),
        response_status: None,
    }
}

fn size(reply: Option<StreamingOutputCallResponse>) -> Option<usize> {
    Some(reply?.payload.unwrap().body.len())
}

#[tokio::test]
async fn client_streaming() {
    let bench = bench().await;
    let (mut requests, reply) = bench.test.streaming_input_call().start();
    for size in REQUESTS {
        requests.send(input(size)).await.unwrap();
    }
    requests.finish();
    assert_eq!(reply.await.unwrap().aggregated_payload_size, 74_922);
}

#[tokio::test]
async fn server_streaming() {
    let bench = bench().await;
    let mut replies = bench.test.streaming_output_call(output(&REPLIES, 0)).await.unwrap();
    for expected in REPLIES {
        assert_eq!(size(replies.message().await.unwrap()), Some(expected as usize));
    }
    assert_eq!(replies.message().await.unwrap(), None);
}

#[tokio::test]
async fn ping_pong() {
    let bench = bench().await;
    let (mut requests, mut replies) = bench.test.full_duplex_call().open().await.unwrap();
    for (request, reply) in REQUESTS.into_iter().zip(REPLIES) {
        requests.send(output(&[reply], request)).await.unwrap();
        assert_eq!(size(replies.message().await.unwrap()), Some(reply as usize));
    }
    requests.finish();
    assert_eq!(replies.message().await.unwrap(), None);
    bench.slot_is_free().await;
}

#[tokio::test]
async fn empty_stream() {
    let bench = bench().await;
    let (requests, mut replies) = bench.test.full_duplex_call().start();
    requests.finish();
    assert_eq!(replies.message().await.unwrap(), None);
    let sum = bench.test.streaming_input_call().start();
    sum.0.finish();
    assert_eq!(sum.1.await.unwrap().aggregated_payload_size, 0);
    let mut replies = bench.test.streaming_output_call(output(&[], 0)).await.unwrap();
    assert_eq!(replies.message().await.unwrap(), None);
}

#[tokio::test]
async fn custom_metadata() {
    let [text, binary] = ECHOED;
    let bench = bench().await;
    let call = bench.test.full_duplex_call();
    let call = call.metadata(text, "test_initial_metadata_value");
    let call = call.metadata(binary, vec![0xab, 0xab, 0xab]);
    let (mut requests, mut replies) = call.open().await.unwrap();
    assert_eq!(replies.metadata().get_str(text), Some("test_initial_metadata_value"));
    assert_eq!(replies.metadata().get(binary), None);
    requests.send(output(&[314_159], 271_828)).await.unwrap();
    assert_eq!(size(replies.message().await.unwrap()), Some(314_159));
    requests.finish();
    assert_eq!(replies.message().await.unwrap(), None);
    let trailers = replies.trailers().unwrap();
    assert_eq!(trailers.get(binary).unwrap().as_ref(), [0xab, 0xab, 0xab]);
    assert_eq!(trailers.get(text), None);
}

#[tokio::test]
async fn status_code_and_message() {
    let bench = bench().await;
    let (mut requests, mut replies) = bench.test.full_duplex_call().start();
    let status = EchoStatus { code: 2, message: "test status message".into() };
    let request = StreamingOutputCallRequest { response_status: Some(status), ..output(&[], 0) };
    requests.send(request).await.unwrap();
    let status = replies.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unknown, "test status message"));
    bench.slot_is_free().await;
}

#[tokio::test]
async fn cancel_after_begin() {
    let bench = bench().await;
    let (requests, reply) = bench.test.streaming_input_call().start();
    drop(requests);
    assert_eq!(reply.await.unwrap_err().code(), Code::Cancelled);
    bench.slot_is_free().await;
}

async fn first_response(
    bench: &Bench,
) -> (RequestSender<StreamingOutputCallRequest>, Streaming<StreamingOutputCallResponse>) {
    let (mut requests, mut replies) = bench.test.full_duplex_call().start();
    requests.send(output(&[31_415], 27_182)).await.unwrap();
    assert_eq!(size(replies.message().await.unwrap()), Some(31_415));
    (requests, replies)
}

#[tokio::test]
async fn cancel_after_first_response() {
    let bench = bench().await;
    // By the one end, and by the other.
    let (requests, mut replies) = first_response(&bench).await;
    drop(requests);
    assert_eq!(replies.message().await.unwrap_err().code(), Code::Cancelled);
    bench.slot_is_free().await;
    let (mut requests, replies) = first_response(&bench).await;
    drop(replies);
    bench.slot_is_free().await;
    let status = requests.send(output(&[], 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled);
}

#[tokio::test]
async fn timeout_on_sleeping_server() {
    let bench = bench().await;
    let call = bench.test.full_duplex_call().timeout(Duration::from_millis(20));
    let (mut requests, mut replies) = call.start();
    // It waits for what does not come; that the time is up may be seen here already.
    drop(requests.send(output(&[], 27_182)).await);
    assert_eq!(replies.message().await.unwrap_err().code(), Code::DeadlineExceeded);
    bench.slot_is_free().await;
}
