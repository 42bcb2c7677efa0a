//! Calls without generated code, and what services say of themselves.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use mdp_runtime::codegen;
use mdp_runtime::dynamic::{self, Method, MethodError};
use mdp_runtime::{
    CallKind, Code, Dialect, MdpRecord, Status, Worker, mdp_service, testing::InMemory,
};
use support::{broker, client, echo, within, worker};

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Note {
    #[mdp(1)]
    pub text: String,
}

#[mdp_service(package = "notes.v1")]
pub trait Notes {
    async fn keep(&self, req: Note) -> Result<Note, Status>;
}

struct Shelf;

impl Notes for Shelf {
    async fn keep(&self, req: Note) -> Result<Note, Status> {
        Ok(Note { text: format!("kept {}", req.text) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_what_its_services_are_over_all_dialects() {
    for dialect in [Dialect::Rpc, Dialect::Mdp02, Dialect::Mdp01] {
        let broker = broker();
        let builder = Worker::builder().connect(broker.endpoints()[0].clone()).dialect(dialect);
        let _worker = builder.serve(NotesWorker::new(Shelf)).start().unwrap();
        let client = client(&broker).await;
        let schema = within(dynamic::schema(&client, "notes.v1.Notes")).await.unwrap();
        let files = &schema.descriptors().file;
        assert_eq!(files[0].service[0].method[0].name(), "Keep", "{dialect:?}");
        let keep = Method::new("notes.v1.Notes/Keep", CallKind::Unary).unwrap();
        let request = codegen::encode(&Note { text: "this".into() });
        let reply = within(keep.call(&client, request)).await.unwrap();
        assert_eq!(reply.0, codegen::encode(&Note { text: "kept this".into() }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_told_is_unimplemented() {
    let broker = broker();
    // It was written by hand, and has no descriptors.
    let _echo = worker(&broker, echo()).await;
    let builder = Worker::builder().connect(broker.endpoints()[0].clone()).reflection(false);
    let _shy = builder.serve(NotesWorker::new(Shelf)).start().unwrap();
    let client = client(&broker).await;
    for service in ["test.v1.Echo", "notes.v1.Notes"] {
        let status = within(dynamic::schema(&client, service)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented, "{service}");
    }
    let wrong = within(dynamic::schema(&client, "no name")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory_it_is_the_same() {
    let client = InMemory::new().serve(NotesWorker::new(Shelf)).client();
    let schema = dynamic::schema(&client, "notes.v1.Notes").await.unwrap();
    assert_eq!(schema.descriptors().file[0].service[0].name(), "Notes");
    let status = dynamic::schema(&client, "notes.v1.Other").await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[test]
fn a_method_is_made_once() {
    let one = Method::new("a.B/C", CallKind::Unary).unwrap();
    let same = Method::new("a.B/C", CallKind::Unary).unwrap();
    assert!(std::ptr::eq(one.path(), same.path()));
    let other = Method::new("a.B/C", CallKind::BidiStreaming).unwrap();
    assert_ne!(one, other);
    for wrong in ["", "a.B", "a b/C", &"x".repeat(300)] {
        assert!(matches!(Method::new(wrong, CallKind::Unary), Err(MethodError::Path { .. })));
    }
}
