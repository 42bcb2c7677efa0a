use std::time::Duration;

use mdp_runtime::{
    CallContext, Client, Interceptor, MdpRecord, Next, Reply, Request, Status, Worker, mdp_service,
};

use crate::Ran;
use crate::auth::{AuthClient, World};

#[tokio::test]
async fn a_call_has_options() -> Ran {
    let world = World::start().await?;
    let auth = world.auth().await?;
    let req = crate::auth::ann();
    // block
    assert_eq!((reply.token.as_str(), attempts), ("t-1", 1));
    Ok(())
}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct ListRequest {}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct ListReply {
    #[mdp(1)]
    notes: Vec<String>,
}

#[mdp_service(package = "notes.v1")]
pub trait Notes {
    async fn list(&self, cx: &CallContext, req: ListRequest) -> Result<ListReply, Status>;
}

struct Tenants;

impl Notes for Tenants {
    async fn list(&self, cx: &CallContext, _: ListRequest) -> Result<ListReply, Status> {
        let tenant = cx.metadata().get_str("tenant").unwrap_or_default();
        Ok(ListReply { notes: vec![tenant.to_owned()] })
    }
}

#[tokio::test]
async fn an_interceptor_of_a_client() -> Ran {
    let client = Client::in_memory(NotesWorker::new(Tenants));
    // block
    let reply = NotesClient::new(client).list(ListRequest {}).await?;
    assert_eq!(reply.notes, ["acme"]);
    Ok(())
}

struct Guard;

impl Guard {
    fn new() -> Self {
        Guard
    }

    fn check(&self, token: Option<&str>) -> Option<String> {
        Some(token?.strip_prefix("token of ")?.to_owned())
    }
}

struct Pad;

impl Pad {
    fn notes_of(&self, name: &str) -> ListReply {
        ListReply { notes: vec![format!("a note of {name}")] }
    }
}

async fn guarded(endpoint: &str, pad: Pad) -> Ran {
    // block
    Ok(())
}

#[tokio::test]
async fn a_guard_of_a_worker() -> Ran {
    let (_broker, endpoint) = crate::auth::broker()?;
    let notes = NotesClient::new(Client::connect(&endpoint).await?);
    let calls = async {
        let list = notes.list(ListRequest {}).metadata("authorization", "token of ann");
        assert_eq!(list.await?.notes, ["a note of ann"]);
        let status = notes.list(ListRequest {}).await.unwrap_err();
        assert_eq!(status.message(), "log in first");
        Ok(())
    };
    // The worker runs until a signal.
    tokio::select! {
        ended = guarded(&endpoint, Pad) => ended,
        ended = crate::soon(calls) => ended,
    }
}

#[test]
fn without_tokio() -> Ran {
    let runtime = tokio::runtime::Runtime::new()?;
    let world = runtime.block_on(World::start())?;
    let req = crate::auth::ann();
    // with "tcp://127.0.0.1:5555" as &world.endpoint
    // block
    assert_eq!(reply.token, "t-1");
    Ok(())
}
