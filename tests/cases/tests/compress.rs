//! Compression: that it happens is seen by what passes a broker that takes small frames only.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../src/service.rs"]
mod service;

use mdp_runtime::{
    Broker, Client, ClientBuilder, Code, Compression, Limits, Worker, WorkerBuilder,
};
use pb::test_client::TestClient;
use pb::test_worker::TestWorker;
use pb::{
    Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
    StreamingOutputCallRequest,
};
use service::Tested;

#[allow(missing_docs, unreachable_pub, dead_code)] // generated
mod pb {
    mdp_runtime::include_proto!("mdp.testing.v1");
}

const FRAME: usize = 64 << 10;
const REQUEST: usize = 271_828;
const REPLY: i32 = 314_159;
const CODECS: [Compression; 2] = [Compression::Zstd, Compression::Lz4];

struct Bench {
    _broker: Broker,
    _worker: Worker,
    test: TestClient,
}

async fn bench(
    client: impl FnOnce(ClientBuilder) -> ClientBuilder,
    worker: impl FnOnce(WorkerBuilder) -> WorkerBuilder,
) -> Bench {
    let limits = Limits { frame_bytes: FRAME, ..Limits::default() };
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").limits(limits).start().unwrap();
    let endpoint = &broker.endpoints()[0];
    let tested = TestWorker::new(Tested::new());
    let worker = worker(Worker::builder().connect(endpoint)).serve(tested).start().unwrap();
    worker.connected().await.unwrap();
    let client = client(Client::builder().connect(endpoint)).open().await.unwrap();
    Bench { test: TestClient::new(client), _worker: worker, _broker: broker }
}

fn request(size: usize, response_size: i32) -> SimpleRequest {
    let payload = Some(Payload { body: vec![0; size] });
    SimpleRequest { response_size, payload, ..SimpleRequest::default() }
}

#[tokio::test]
async fn a_client_compresses_all_its_calls() {
    for with in CODECS {
        let bench = bench(|client| client.compress(with), |worker| worker).await;
        let reply =
            bench.test.unary_call(request(REQUEST, REPLY)).metadata("a", "b").await.unwrap();
        assert_eq!(reply.payload.unwrap().body, vec![0; REPLY as usize]);
        // Small ones go as they are.
        let reply = bench.test.unary_call(request(10, 10)).await.unwrap();
        assert_eq!(reply.payload.unwrap().body, vec![0; 10]);
        for request in [request(REQUEST, 0), request(0, REPLY)] {
            let status = bench.test.unary_call(request).uncompressed().await.unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
        }
    }
}

#[tokio::test]
async fn a_call_compresses_on_its_own() {
    let bench = bench(|client| client, |worker| worker).await;
    for with in CODECS {
        let call = bench.test.unary_call(request(REQUEST, REPLY)).compress(with);
        assert_eq!(call.await.unwrap().payload.unwrap().body, vec![0; REPLY as usize]);
    }
    let status = bench.test.unary_call(request(REQUEST, 0)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn items_of_streams_are_compressed() {
    for with in CODECS {
        let bench = bench(|client| client.compress(with), |worker| worker).await;
        let (mut requests, reply) = bench.test.streaming_input_call().start();
        for _ in 0..5 {
            let payload = Some(Payload { body: vec![0; REQUEST] });
            requests.send(StreamingInputCallRequest { payload }).await.unwrap();
        }
        requests.finish();
        assert_eq!(reply.await.unwrap().aggregated_payload_size, 5 * REQUEST as i32);

        let sizes = [REPLY, 5, REPLY, 0, REPLY];
        let response_parameters = sizes.map(|size| ResponseParameters { size }).into();
        let request = StreamingOutputCallRequest { response_parameters, ..Default::default() };
        let mut replies = bench.test.streaming_output_call(request.clone()).await.unwrap();
        for size in sizes {
            let reply = replies.message().await.unwrap().unwrap();
            assert_eq!(reply.payload.unwrap().body, vec![0; size as usize]);
        }
        assert_eq!(replies.message().await.unwrap(), None);
        // The end may come together with the beginning, and is the answer then.
        let status = match bench.test.streaming_output_call(request).uncompressed().await {
            Ok(mut replies) => replies.message().await.unwrap_err(),
            Err(status) => status,
        };
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn what_comes_out_is_bounded_at_the_worker() {
    for with in CODECS {
        let max = |worker: WorkerBuilder| worker.max_decompressed(100_000);
        let bench = bench(|client| client.compress(with), max).await;
        bench.test.unary_call(request(99_000, 0)).await.unwrap();
        let status = bench.test.unary_call(request(REQUEST, 0)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("max_decompressed"), "{status}");
        let (mut requests, reply) = bench.test.streaming_input_call().start();
        let payload = Some(Payload { body: vec![0; REQUEST] });
        requests.send(StreamingInputCallRequest { payload }).await.unwrap();
        requests.finish();
        assert_eq!(reply.await.unwrap_err().code(), Code::ResourceExhausted);
    }
}

#[tokio::test]
async fn what_comes_out_is_bounded_at_the_client() {
    for with in CODECS {
        let max = |client: ClientBuilder| client.compress(with).max_decompressed(100_000);
        let bench = bench(max, |worker| worker).await;
        bench.test.unary_call(request(0, 99_000)).await.unwrap();
        let status = bench.test.unary_call(request(0, REPLY)).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("max_decompressed"), "{status}");
        let response_parameters = vec![ResponseParameters { size: REPLY }];
        let request = StreamingOutputCallRequest { response_parameters, ..Default::default() };
        let mut replies = bench.test.streaming_output_call(request).await.unwrap();
        assert_eq!(replies.message().await.unwrap_err().code(), Code::ResourceExhausted);
    }
}
