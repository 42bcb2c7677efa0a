//! A service written by hand, as the generator would write it, and a cluster to run it in.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)] // tests

#[path = "../../../tests/support/zmtp.rs"]
mod zmtp;

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use mdp_protocol::wire::{self, Record, Tail};
use mdp_protocol::{Limits, Span};
use mdp_runtime::codegen::{
    self, Bytes, CallContext, CallKind, HandlerFuture, Idempotency, MethodSpec, Schema, Service,
    ServiceSpec,
};
use mdp_runtime::{Broker, BrokerBuilder, Call, Client, Status, Worker};

pub const ECHO: MethodSpec = method(0, "test.v1.Echo/Echo", Idempotency::Unknown);
pub const SAFE: MethodSpec = method(1, "test.v1.Echo/Safe", Idempotency::Idempotent);
pub const LOOK: MethodSpec = method(2, "test.v1.Echo/Look", Idempotency::NoSideEffects);
pub const NOBODY: MethodSpec = method(9, "test.v1.Echo/Missing", Idempotency::Unknown);
pub static SERVICE: ServiceSpec =
    ServiceSpec { name: "test.v1.Echo", methods: &[ECHO, SAFE, LOOK] };

const fn method(number: u32, path: &'static str, idempotency: Idempotency) -> MethodSpec {
    MethodSpec::new(path, CallKind::Unary).with_number(number).with_idempotency(idempotency)
}

type Answer = Pin<Box<dyn Future<Output = Result<String, Status>> + Send>>;

/// An echo whose answer a test decides: from the context and the request, which is a string.
pub struct Echo(Box<dyn Fn(CallContext, String) -> Answer + Send + Sync>);

pub fn answering<F, A>(answer: F) -> Echo
where
    F: Fn(CallContext, String) -> A + Send + Sync + 'static,
    A: Future<Output = Result<String, Status>> + Send + 'static,
{
    Echo(Box::new(move |cx, request| Box::pin(answer(cx, request))))
}

impl Service for Echo {
    fn spec(&self) -> &'static ServiceSpec {
        &SERVICE
    }

    fn schema(&self) -> Schema {
        Schema::of_files(Vec::new())
    }

    fn call(&self, method: u32, cx: CallContext, body: Bytes) -> HandlerFuture {
        let spec = &SERVICE.methods[method as usize];
        let answer = codegen::decode::<String>(spec, body).map(|request| (self.0)(cx, request));
        codegen::handling(async move { Ok(codegen::encode(&answer?.await?)) })
    }
}

/// The request back.
pub fn echo() -> Echo {
    answering(|_, request| async move { Ok(request) })
}

/// A peer that speaks the wire by hand and does what a proper one never does.
pub struct RawPeer {
    peer: zmtp::Peer,
}

/// A record as a raw peer sends or gets it.
pub type Raw = Record<Vec<u8>, Vec<u8>>;

impl RawPeer {
    pub fn connect(broker: &Broker) -> Self {
        RawPeer { peer: zmtp::Peer::connect(&broker.endpoints()[0]) }
    }

    /// A worker of the test's service under this id.
    pub fn worker(broker: &Broker, id: &str) -> Self {
        let peer = RawPeer::connect(broker);
        peer.send(&[
            Raw::Hello { id: id.into(), heartbeat: Span::from_secs(1), liveness: 3 },
            Raw::Ready { service: SERVICE.name.into(), capacity: 100, shared: false, schema: None },
        ]);
        assert!(matches!(peer.receive()[0], Raw::Welcome { .. }));
        peer
    }

    pub fn send(&self, records: &[Raw]) {
        let mut packet = Vec::new();
        for record in records {
            let body = record.body().map_or(&[][..], Vec::as_slice);
            let tail = Tail { bytes: body, payload_len: body.len() as u32, ..Tail::default() };
            wire::put_tail(&mut packet, record, tail);
        }
        self.send_frames(&[&packet]);
    }

    pub fn send_frames(&self, frames: &[&[u8]]) {
        self.peer.send(frames);
    }

    /// The next message as it is.
    pub fn receive_frames(&self) -> Vec<Vec<u8>> {
        self.peer.receive()
    }

    /// The records of the next message.
    pub fn receive(&self) -> Vec<Raw> {
        let frames = self.peer.receive();
        let lens: Vec<usize> = frames[1..].iter().map(Vec::len).collect();
        let mut heads = Vec::new();
        wire::decode(&frames[0], &lens, &Limits::default(), &mut heads).unwrap();
        let read = |head: &wire::Head| {
            let body = |head: &wire::Head| head.tail.of(&frames[0]).to_vec();
            owned(Record::read(head, &frames[0], body).unwrap())
        };
        heads.iter().map(read).collect()
    }

    /// The next record that `wanted` takes; others are passed over.
    pub fn receive_one<T>(&self, wanted: impl Fn(Raw) -> Option<T>) -> T {
        loop {
            if let Some(found) = self.receive().into_iter().find_map(&wanted) {
                return found;
            }
        }
    }
}

fn owned(record: Record<&[u8], Vec<u8>>) -> Raw {
    match record {
        Record::Hello { id, heartbeat, liveness } => {
            Raw::Hello { id: id.to_vec(), heartbeat, liveness }
        }
        Record::Welcome { id, heartbeat, liveness, frame_bytes } => {
            Raw::Welcome { id: id.to_vec(), heartbeat, liveness, frame_bytes }
        }
        Record::Ready { service, capacity, shared, schema } => {
            Raw::Ready { service: service.to_vec(), capacity, shared, schema }
        }
        Record::Request { call, timeout, idempotent, attempt, peer, kind, body } => {
            Raw::Request { call, timeout, idempotent, attempt, peer: peer.to_vec(), kind, body }
        }
        Record::Data { call, of, part } => Raw::Data { call, of, part },
        Record::Credit { call, of, units } => Raw::Credit { call, of, units },
        Record::Final { call, code, not_started, attempt, peer, reply } => {
            Raw::Final { call, code, not_started, attempt, peer: peer.to_vec(), reply }
        }
        Record::Cancel { call } => Raw::Cancel { call },
        Record::Grant { service, slots, number } => {
            Raw::Grant { service: service.to_vec(), slots, number }
        }
        Record::Demand { service, calls } => Raw::Demand { service: service.to_vec(), calls },
        Record::Heartbeat => Raw::Heartbeat,
        Record::Drain => Raw::Drain,
        Record::Disconnect(reason) => Raw::Disconnect(reason),
    }
}

pub fn call(client: &Client, text: &str) -> Call<String> {
    static METHOD: MethodSpec = ECHO;
    Call::new(client, &METHOD, &text.to_owned())
}

pub fn safe_call(client: &Client, text: &str) -> Call<String> {
    static METHOD: MethodSpec = SAFE;
    Call::new(client, &METHOD, &text.to_owned())
}

pub fn look_call(client: &Client, text: &str) -> Call<String> {
    static METHOD: MethodSpec = LOOK;
    Call::new(client, &METHOD, &text.to_owned())
}

pub fn missing_call(client: &Client) -> Call<String> {
    static METHOD: MethodSpec = NOBODY;
    Call::new(client, &METHOD, &String::new())
}

pub fn broker() -> Broker {
    start(Broker::builder())
}

pub fn start(builder: BrokerBuilder) -> Broker {
    builder.bind("tcp://127.0.0.1:*").start().unwrap()
}

pub async fn worker(broker: &Broker, service: impl Service) -> Worker {
    let worker =
        Worker::builder().connect(broker.endpoints()[0].clone()).serve(service).start().unwrap();
    within(worker.connected()).await.unwrap();
    worker
}

pub async fn client(broker: &Broker) -> Client {
    Client::connect(broker.endpoints()[0].clone()).await.unwrap()
}

/// Waits for something that must come soon.
pub async fn within<T>(future: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future.into_future())
        .await
        .expect("it did not come in time")
}

/// Waits until `condition` holds.
pub async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    within(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
