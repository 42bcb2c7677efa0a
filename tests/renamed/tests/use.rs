//! The services are there, under whatever name the runtime goes.

use majordomo::codegen::Service;
use majordomo::{CallContext, Status, Stream, Streaming};
use test_renamed::by_name::{Echo, EchoWorker, Words, echo_service};
use test_renamed::by_path::{Path, PathWorker};

struct Handler;

impl Echo for Handler {
    async fn echo(&self, _: &CallContext, req: Words) -> Result<Words, Status> {
        Ok(req)
    }
}

impl Path for Handler {
    async fn echo(&self) -> Result<(), Status> {
        Ok(())
    }

    async fn echoes(
        &self,
        calls: Streaming<()>,
    ) -> Result<impl Stream<Item = Result<(), Status>>, Status> {
        Ok(calls)
    }
}

#[test]
fn workers_know_their_services() {
    assert_eq!(EchoWorker::new(Handler).spec().name, "renamed.v1.Echo");
    let schema = echo_service::schema();
    assert!(schema.hash().is_ok_and(|hash| hash.is_some()), "the record describes itself");
    assert_eq!(Words::default().text, "");
    assert_eq!(PathWorker::new(Handler).spec().name, "renamed.v1.Path");
}
