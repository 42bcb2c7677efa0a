//! Calls without generated code, and what services say of themselves.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod support;

use mdp_protocol::wire::DisconnectReason;
use mdp_runtime::codegen;
use mdp_runtime::dynamic::{self, Method, MethodError};
use mdp_runtime::{
    CallKind, Code, Dialect, Idempotency, MdpRecord, Status, Worker, mdp_service, testing::InMemory,
};
use support::{Raw, RawPeer, broker, client, echo, within, worker};

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

/// A service of the support's name whose schema says what its methods are.
mod described {
    use mdp_runtime::{Status, mdp_service};

    use super::Note;

    #[mdp_service(package = "test.v1")]
    pub trait Echo {
        async fn echo(&self, req: Note) -> Result<Note, Status>;
        #[mdp(idempotent)]
        async fn safe(&self, req: Note) -> Result<Note, Status>;
        #[mdp(no_side_effects)]
        async fn look(&self, req: Note) -> Result<Note, Status>;
    }
}

#[test]
fn a_method_is_what_the_schema_says() {
    let schema = described::echo_service::schema();
    for (name, idempotency) in [
        ("Echo", Idempotency::Unknown),
        ("Safe", Idempotency::Idempotent),
        ("Look", Idempotency::NoSideEffects),
    ] {
        let path = format!("test.v1.Echo/{name}");
        let method = Method::in_schema(&schema, &path).unwrap();
        assert_eq!((method.kind(), method.idempotency()), (CallKind::Unary, idempotency));
        let unknown = Method::new(&path, CallKind::Unary).unwrap();
        assert_eq!(unknown.with_idempotency(idempotency), Ok(method));
    }
    let missing = Method::in_schema(&schema, "test.v1.Echo/Cry").unwrap_err();
    assert_eq!(missing.to_string(), "test.v1.Echo has no method Cry; it has Echo, Safe, Look");
    let missing = Method::in_schema(&schema, "test.v2.Echo/Echo").unwrap_err();
    assert!(matches!(missing, MethodError::NoService { .. }));
    assert!(matches!(Method::in_schema(&schema, "nothing"), Err(MethodError::Path { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_moved_from_a_lost_worker_if_the_schema_says_that_it_may_be() {
    let schema = described::echo_service::schema();
    for (name, attempts) in [("Echo", None), ("Safe", Some(2)), ("Look", Some(2))] {
        let broker = broker();
        let lost = RawPeer::worker(&broker, "lost");
        let client = client(&broker).await;
        let method = Method::in_schema(&schema, &format!("test.v1.Echo/{name}")).unwrap();
        let request = codegen::encode(&"hello".to_owned());
        let asked = tokio::spawn(method.call(&client, request).send());
        let lost = within(tokio::task::spawn_blocking(move || {
            lost.receive_one(|record| matches!(record, Raw::Request { .. }).then_some(()));
            lost
        }));
        let lost = lost.await.unwrap();
        let _worker = worker(&broker, echo()).await;
        lost.send(&[Raw::Disconnect(DisconnectReason::Shutdown)]);
        let ended = within(asked).await.unwrap();
        assert_eq!(
            ended.as_ref().ok().map(|reply| reply.attempts()),
            attempts,
            "{name}: {ended:?}"
        );
    }
}
