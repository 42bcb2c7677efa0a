use std::sync::LazyLock;

use mdp_runtime::{Broker, CallContext, Client, Status, Worker};

use crate::Ran;
use pb::greeter_client::GreeterClient;
use pb::greeter_worker::{Greeter, GreeterWorker};
use pb::{GreetReply, GreetRequest};

// Of the page's own .proto text.
mod pb {
    mdp_runtime::include_proto!("first-service-1/greet.v1");
}

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, _: &CallContext, req: GreetRequest) -> Result<GreetReply, Status> {
        Ok(GreetReply { greeting: format!("Good day, {}.", req.name) })
    }
}

fn endpoint() -> &'static str {
    static BROKER: LazyLock<(Broker, String)> = LazyLock::new(|| crate::auth::broker().unwrap());
    &BROKER.1
}

mod worker {
    use super::{GreeterWorker, Polite, Worker};

    // with "tcp://127.0.0.1:5555" as super::endpoint()
    // block

    // It runs until a signal, or until the tests are over.
    pub fn start() {
        std::thread::spawn(|| main().unwrap());
    }
}

#[tokio::test]
async fn three_programs() -> Ran {
    worker::start();
    // with "tcp://127.0.0.1:5555" as endpoint()
    // block
    assert_eq!(reply.greeting, "Good day, Ann.");
    Ok(())
}
