//! The service of `src/streams.rs`, implemented with plain `async fn`s and called.

#![deny(warnings)]
// A test names its fault by failing.
#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{self, Poll};

use mdp_runtime::codegen::{CallKind, prost_types};
use mdp_runtime::{
    Broker, CallContext, Client, Code, Context, Schema, Status, Stream, Streaming, Worker, stream,
};
use test_macros::everything::Number;
use test_macros::streams::{Counting, CountingClient, CountingWorker, counting_service, records};

fn number(value: i64) -> Number {
    Number { value }
}

/// A stream of a type with a name.
struct List<T>(VecDeque<T>);

impl<T: Unpin> Stream for List<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// A stream that borrows from the worker and from the call.
struct Count<'a, 'b> {
    handler: &'a Handler,
    cx: &'b CallContext,
    next: i64,
    to: i64,
}

impl Stream for Count<'_, '_> {
    type Item = Result<Number, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        if self.next == self.handler.highest {
            let text = format!("{} is too high in attempt {}", self.to, self.cx.attempt());
            return Poll::Ready(Some(Err(Status::out_of_range(text))));
        }
        self.next += 1;
        Poll::Ready((self.next <= self.to).then(|| Ok(number(self.next))))
    }
}

struct Handler {
    highest: i64,
}

impl Counting for Handler {
    async fn next(&self, number: Number) -> Result<Number, Status> {
        Ok(self::number(number.value + 1))
    }

    async fn count(
        &self,
        cx: &CallContext,
        to: Number,
    ) -> Result<impl Stream<Item = Result<Number, Status>>, Status> {
        ready(()).await;
        if to.value < 0 {
            return Err(Status::invalid_argument("that is below zero"));
        }
        Ok(Count { handler: self, cx, next: 0, to: to.value })
    }

    async fn ticks(&self) -> Result<impl Stream<Item = Result<(), Status>> + Send, Status> {
        Ok(List(VecDeque::from([(); 3])))
    }

    async fn sum(&self, mut numbers: Streaming<Number>) -> Result<Number, Status> {
        let mut sum = 0;
        while let Some(number) = numbers.message().await? {
            sum += number.value;
        }
        Ok(number(sum))
    }

    async fn running_sum(
        &self,
        cx: &CallContext,
        mut numbers: Streaming<Number>,
    ) -> Result<impl Stream<Item = Result<Number, Status>>, Status> {
        let (sums, replies) = stream::channel(1);
        let mut sum = i64::from(cx.attempt());
        tokio::spawn(async move {
            while let Ok(Some(number)) = numbers.message().await {
                sum += number.value;
                if sums.send(self::number(sum)).await.is_err() {
                    return;
                }
            }
        });
        Ok(replies)
    }

    async fn unpack(
        &self,
        mut requests: Streaming<records::Streaming>,
    ) -> Result<records::Streaming, Status> {
        let first = requests.message().await?;
        first.ok_or_else(|| Status::not_found("no first one"))
    }

    async fn repeat(
        &self,
        request: records::Streaming,
    ) -> Result<impl Stream<Item = Result<records::Streaming, Status>>, Status> {
        let times = usize::try_from(request.number).unwrap_or_default();
        let repeated: VecDeque<_> = std::iter::repeat_n(request, times).collect();
        // Who gives streams of several types boxes them.
        let boxed: Pin<Box<dyn Stream<Item = Result<records::Streaming, Status>> + Send>> =
            match times {
                0 => Box::pin(stream::channel(1).1),
                _ => Box::pin(List(repeated)),
            };
        Ok(boxed)
    }
}

#[test]
fn methods_have_their_kinds() {
    let kinds = counting_service::SERVICE.methods.iter().map(|method| (method.number, method.kind));
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [
            (0, CallKind::Unary),
            (1, CallKind::ServerStreaming),
            (2, CallKind::ServerStreaming),
            (3, CallKind::ClientStreaming),
            (4, CallKind::BidiStreaming),
            // Number 5 is left out on this system.
            (6, CallKind::ClientStreaming),
            (7, CallKind::ServerStreaming),
        ]
    );
    assert_eq!(counting_service::methods::SUM.timeout_ms, Some(7_000));
}

#[test]
fn the_schema_tells_which_side_streams() {
    let schema: Schema = counting_service::schema();
    let methods: Vec<prost_types::MethodDescriptorProto> = schema
        .descriptors()
        .file
        .iter()
        .flat_map(|file| &file.service)
        .flat_map(|s| s.method.clone())
        .collect();
    let streams = methods.iter().map(|m| (m.name(), m.client_streaming(), m.server_streaming()));
    assert_eq!(
        streams.collect::<Vec<_>>(),
        [
            ("Next", false, false),
            ("Count", false, true),
            ("Ticks", false, true),
            ("Sum", true, false),
            ("RunningSum", true, true),
            ("Unpack", true, false),
            ("Repeat", false, true),
        ]
    );
}

/// A client of a service, and what has to live as long as it.
async fn cluster() -> (Broker, Worker, CountingClient) {
    let own = Context::new();
    let broker = Broker::builder().context(&own).bind("inproc://streams").start().unwrap();
    let worker = Worker::builder().context(&own).connect("inproc://streams");
    let worker = worker.serve(CountingWorker::new(Handler { highest: 5 })).start().unwrap();
    worker.connected().await.unwrap();
    let client = Client::builder().context(&own).connect("inproc://streams").open();
    (broker, worker, CountingClient::new(client.await.unwrap()))
}

async fn all(mut numbers: Streaming<Number>) -> (Vec<i64>, Option<Status>) {
    let mut found = Vec::new();
    loop {
        match numbers.message().await {
            Ok(Some(number)) => found.push(number.value),
            Ok(None) => return (found, None),
            Err(status) => return (found, Some(status)),
        }
    }
}

async fn each_kind(client: CountingClient) {
    assert_eq!(client.next(number(1)).await.unwrap(), number(2));

    let numbers = client.count(number(4)).await.unwrap();
    assert_eq!(all(numbers).await, (vec![1, 2, 3, 4], None));
    let status = client.count(number(-1)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let (numbers, status) = all(client.count(number(9)).await.unwrap()).await;
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(
        status.unwrap().to_string(),
        "OUT_OF_RANGE: streams.v1.Counting/Count: 9 is too high in attempt 1"
    );

    let mut ticks = client.ticks().await.unwrap();
    for _ in 0..3 {
        assert_eq!(ticks.message().await.unwrap(), Some(()));
    }
    assert_eq!(ticks.message().await.unwrap(), None);

    let (mut numbers, sum) = client.sum().start();
    for value in [1, 2, 3] {
        numbers.send(number(value)).await.unwrap();
    }
    numbers.finish();
    assert_eq!(sum.await.unwrap(), number(6));

    let (mut numbers, mut sums) = client.running_sum().start();
    for (value, sum) in [(5, 6), (-7, -1)] {
        numbers.send(number(value)).await.unwrap();
        assert_eq!(sums.message().await.unwrap(), Some(number(sum)));
    }
    numbers.finish();
    assert_eq!(sums.message().await.unwrap(), None);

    let mut repeated = client.repeat(records::Streaming { number: 2 }).await.unwrap();
    assert_eq!(repeated.message().await.unwrap(), Some(records::Streaming { number: 2 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_method_is_called() {
    let (_broker, _worker, client) = cluster().await;
    each_kind(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_method_is_called_in_memory() {
    each_kind(CountingClient::in_memory(CountingWorker::new(Handler { highest: 5 }))).await;
}

/// What a handler gives goes to any thread.
#[test]
fn futures_and_streams_are_send() {
    fn of<T: Counting>(handler: &'static T, cx: &'static CallContext) -> impl Future + Send {
        let counting = handler.count(cx, number(1));
        async move {
            drop(
                counting
                    .await
                    .map(|stream| Box::pin(stream) as Pin<Box<dyn Stream<Item = _> + Send>>),
            )
        }
    }
    let _ = of::<Handler>;
}
