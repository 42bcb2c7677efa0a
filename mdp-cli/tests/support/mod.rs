//! The program, a configuration, a service whose handler waits until it may go on.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test uses its part of it

use std::io::Write;
use std::process::Command;

use mdp_protocol::{Span, wire};
use mdp_runtime::codegen::{
    self, Bytes, CallContext, CallKind, HandlerFuture, MethodSpec, Schema, Service, ServiceSpec,
};
use mdp_runtime::{Call, Client};
use tempfile::NamedTempFile;
use tokio::sync::watch;

use crate::process::Process;
use crate::raw::{Raw, RawPeer};

pub const SERVICE_NAME: &str = "test.v1.Gate";
pub const PATH: &str = "test.v1.Gate/Pass";
static PASS: MethodSpec = MethodSpec::new(PATH, CallKind::Unary);
static SPEC: ServiceSpec = ServiceSpec { name: SERVICE_NAME, methods: &[PASS] };

pub fn mdp() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdp"));
    command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "0");
    command
}

/// A broker on a free port, and its endpoint.
pub fn broker(args: &[&str]) -> (Process, String) {
    let bind = ["broker", "--bind", "tcp://127.0.0.1:*"];
    let mut process = Process::start(mdp().args(bind).args(args));
    let endpoint = bound(&mut process);
    (process, endpoint)
}

/// The next endpoint that the program announces.
pub fn bound(process: &mut Process) -> String {
    process.line("bound ").strip_prefix("bound ").unwrap().to_owned()
}

pub fn config(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// A REQUEST of a raw client; it waits for ten minutes.
pub fn request(call: u64) -> Raw {
    Raw::Request {
        call,
        timeout: Span::from_secs(600),
        idempotent: false,
        attempt: 1,
        peer: Vec::new(),
        kind: mdp_protocol::wire::CallKind::Unary,
        body: PATH.into(),
    }
}

/// A raw worker that holds call 1 of a raw client.
pub fn held_call(endpoint: &str) -> (RawPeer, RawPeer) {
    let mut worker = RawPeer::worker(endpoint, SERVICE_NAME, 100);
    let client = RawPeer::greeted(endpoint);
    client.send(&[request(1)]);
    worker.wait_request();
    (worker, client)
}

/// A service that gives the request back, but not before the gate is open.
#[derive(Clone)]
pub struct Gate {
    entered: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate { entered: watch::Sender::new(false), open: watch::Sender::new(false) }
    }
}

impl Gate {
    pub fn service(&self) -> impl Service {
        self.clone()
    }

    /// Waits until a handler stands before the gate.
    pub async fn entered(&self) {
        self.entered.subscribe().wait_for(|entered| *entered).await.unwrap();
    }

    pub fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Service for Gate {
    fn spec(&self) -> &'static ServiceSpec {
        &SPEC
    }

    fn schema(&self) -> Schema {
        Schema::of_files(Vec::new())
    }

    fn call(&self, _: u32, _: CallContext, body: Bytes) -> HandlerFuture {
        let text = codegen::decode::<String>(&PASS, body);
        self.entered.send_replace(true);
        let mut open = self.open.subscribe();
        codegen::handling(async move {
            open.wait_for(|open| *open).await.unwrap();
            Ok(codegen::encode(&text?))
        })
    }
}

pub fn call(client: &Client, text: &str) -> Call<String> {
    Call::new(client, &PASS, &text.to_owned())
}

/// A packet with a REQUEST for each call, whose payload of one byte is in a frame of its own.
pub fn packet_with_frames(calls: &[u64]) -> Vec<u8> {
    let mut packet = Vec::new();
    for call in calls {
        let tail = wire::Tail {
            bytes: PATH.as_bytes(),
            name_len: PATH.len() as u8,
            payload_len: 1,
            out: true,
            ..wire::Tail::default()
        };
        wire::put_tail(&mut packet, &request(*call), tail);
    }
    packet
}
