//! What `option (mdp.method)` says, beside the services of other files.

#![allow(missing_docs, clippy::unwrap_used)]

use mdp_runtime::codegen::{OnCancel, Service};
use mdp_runtime::{CallContext, Status, Streaming};
use test_generated::pb::handlers::v1::Job;
use test_generated::pb::handlers::v1::handlers_service::SERVICE;
use test_generated::pb::handlers::v1::handlers_worker::{Handlers, HandlersWorker};

struct Doubles;

impl Handlers for Doubles {
    fn hash(&self, _cx: &CallContext, req: Job) -> Result<Job, Status> {
        // Where it may.
        std::thread::yield_now();
        Ok(Job { number: 2 * req.number })
    }

    async fn send(&self, _cx: &CallContext, mut requests: Streaming<Job>) -> Result<Job, Status> {
        let mut number = 0;
        while let Some(job) = requests.message().await? {
            number += job.number;
        }
        Ok(Job { number })
    }

    async fn usual(&self, _cx: &CallContext, req: Job) -> Result<Job, Status> {
        Ok(req)
    }
}

#[test]
fn the_specifications_have_it() {
    let said =
        SERVICE.methods.iter().map(|method| (method.name, method.timeout_ms, method.on_cancel));
    let expected = [
        ("Hash", Some(500), OnCancel::Detach),
        ("Send", None, OnCancel::Detach),
        ("Usual", None, OnCancel::Cancel),
    ];
    assert_eq!(said.collect::<Vec<_>>(), expected);
}

/// Without a runtime no call is made here; mdp-runtime's own tests do.
#[test]
fn a_plain_fn_is_served() {
    assert_eq!(HandlersWorker::new(Doubles).spec().methods, SERVICE.methods);
}

/// Options are no part of the contract.
#[test]
fn the_schema_does_without_them() {
    let schema = test_generated::pb::handlers::v1::handlers_service::schema();
    let files = schema.to_proto().unwrap();
    assert_eq!(files.len(), 1);
    assert!(!format!("{files:?}").contains("mdp"), "{files:?}");
}
