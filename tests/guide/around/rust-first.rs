mod declared {
    // block
}

use declared::{GreetReply, GreetRequest, Greeter, GreeterClient, GreeterWorker};
use mdp_runtime::Status;

use crate::auth as pb;

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, req: GreetRequest) -> Result<GreetReply, Status> {
        Ok(GreetReply { greeting: format!("Good day, {}.", req.name) })
    }
}

#[tokio::test]
async fn a_service_is_declared_as_a_trait() -> crate::Ran {
    let greeter = GreeterClient::in_memory(GreeterWorker::new(Polite));
    let reply = greeter.greet(GreetRequest { name: "Ann".into() }).await?;
    assert_eq!(reply.greeting, "Good day, Ann.");
    Ok(())
}

// with "auth.binpb" as concat!(env!("CARGO_TARGET_TMPDIR"), "/auth.binpb")
// block
