//! Streams of replies over MDP/0.2, and what classic MDP has no place for.

use std::pin::Pin;
use std::task::{Context, Poll};

use mdp_runtime::codegen::{
    self, Bytes, CallContext, CallKind, HandlerFuture, MethodSpec, Schema, Service, ServiceSpec,
};
use mdp_runtime::{Call, Code, Dialect, ServerStreaming, Status, Stream};

use crate::broker::ClassicBroker;
use crate::support::within;
use crate::{client, serve, worker};

const fn method(number: u32, path: &'static str, kind: CallKind) -> MethodSpec {
    MethodSpec::new(path, kind).with_number(number)
}

const COUNT: MethodSpec = method(0, "test.v1.Streams/Count", CallKind::ServerStreaming);
const SUM: MethodSpec = method(1, "test.v1.Streams/Sum", CallKind::ClientStreaming);
const MIRROR: MethodSpec = method(2, "test.v1.Streams/Mirror", CallKind::BidiStreaming);
static SERVICE: ServiceSpec =
    ServiceSpec { name: "test.v1.Streams", methods: &[COUNT, SUM, MIRROR] };

/// Counts up to a number. A count to 13 fails there.
struct Counter;

struct CountUp {
    next: u64,
    to: u64,
}

impl Stream for CountUp {
    type Item = Result<u64, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let number = self.next;
        self.next += 1;
        Poll::Ready(match number {
            13 if self.to == 13 => Some(Err(Status::out_of_range("bad luck"))),
            _ => (number < self.to).then_some(Ok(number)),
        })
    }
}

impl Service for Counter {
    fn spec(&self) -> &'static ServiceSpec {
        &SERVICE
    }

    fn schema(&self) -> Schema {
        Schema::of_files(Vec::new())
    }

    fn call(&self, _: u32, cx: CallContext, body: Bytes) -> HandlerFuture {
        codegen::handling(async move {
            let to = codegen::decode::<u64>(&COUNT, body)?;
            cx.reply_metadata("leading", "yes");
            codegen::send_replies(&cx, CountUp { next: 0, to }).await
        })
    }
}

fn count(client: &mdp_runtime::Client, to: u64) -> Call<u64, ServerStreaming> {
    Call::server_streaming(client, &COUNT, &to)
}

#[tokio::test]
async fn replies_come_in_order_and_end_once() {
    let broker = ClassicBroker::start();
    let _worker = serve(&broker, Dialect::Mdp02, Counter).await;
    let client = client(&broker, Dialect::Mdp02).await;
    for to in [0, 1, 2_000, 20_000] {
        let mut numbers = within(count(&client, to)).await.unwrap();
        assert_eq!(numbers.metadata().get_str("leading"), Some("yes"));
        for expected in 0..to {
            assert_eq!(within(numbers.message()).await.unwrap(), Some(expected));
        }
        assert_eq!(within(numbers.message()).await.unwrap(), None);
    }
    let mut numbers = within(count(&client, 13)).await.unwrap();
    for expected in 0..13 {
        assert_eq!(within(numbers.message()).await.unwrap(), Some(expected));
    }
    let status = within(numbers.message()).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::OutOfRange, "bad luck"));
    broker.assert_clean();
}

#[tokio::test]
async fn a_reader_that_is_too_slow_ends_its_own_call_only() {
    let broker = ClassicBroker::start();
    let builder = worker(&broker, Dialect::Mdp02).capacity(1);
    let _worker = builder.serve(Counter).start().unwrap();
    let client = client(&broker, Dialect::Mdp02).await;
    let mut other = within(count(&client, 3)).await.unwrap();
    assert_eq!(within(other.message()).await.unwrap(), Some(0));
    let mut slow = within(count(&client, 60_000)).await.unwrap();
    // Behind all of it, for there is one worker.
    let mut behind = within(count(&client, 1)).await.unwrap();
    assert_eq!(within(behind.message()).await.unwrap(), Some(0));
    let mut read = 0;
    let status = loop {
        match within(slow.message()).await {
            Ok(Some(number)) => {
                assert_eq!(number, read);
                read += 1;
            }
            Ok(None) => panic!("all {read} were kept"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.reason().as_deref(), Some("LIMIT_REACHED"));
    assert_eq!(read, 4_096);
    assert_eq!(within(other.message()).await.unwrap(), Some(1));
    broker.assert_clean();
}

#[tokio::test]
async fn what_has_no_place_is_unimplemented_at_once() {
    let broker = ClassicBroker::start();
    for dialect in crate::BOTH {
        let client = client(&broker, dialect).await;
        let (_requests, sum) =
            Call::<u64, mdp_runtime::ClientStreaming<u64>>::client_streaming(&client, &SUM).start();
        let mut ends = vec![within(sum).await.unwrap_err()];
        let (_lines, mut mirror) =
            Call::<u64, mdp_runtime::BidiStreaming<u64>>::bidi_streaming(&client, &MIRROR).start();
        ends.extend(within(mirror.message()).await.err());
        if dialect == Dialect::Mdp01 {
            ends.extend(within(count(&client, 3)).await.err());
        }
        for status in &ends {
            assert_eq!(status.code(), Code::Unimplemented, "{status}");
            assert!(status.not_started());
        }
        assert_eq!(ends.len(), if dialect == Dialect::Mdp01 { 3 } else { 2 });
    }
    assert_eq!(broker.seen().requests, 0);
}
