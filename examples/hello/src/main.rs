//! A broker, two workers and three clients that greet.

use std::error::Error;
use std::time::Duration;

use mdp_runtime::{Broker, CallContext, Client, Status, Worker};
use pb::hello_client::HelloClient;
use pb::hello_worker::{Hello, HelloWorker};
use pb::{GreetReply, GreetRequest};

#[allow(missing_docs, unreachable_pub)] // generated
mod pb {
    mdp_runtime::include_proto!("hello.v1");
}

/// What a worker does: it implements the generated trait.
struct Greeter {
    worker: &'static str,
}

impl Hello for Greeter {
    async fn greet(&self, _: &CallContext, req: GreetRequest) -> Result<GreetReply, Status> {
        if req.name.is_empty() {
            return Err(Status::invalid_argument("a greeting needs a name"));
        }
        Ok(GreetReply { greeting: format!("Hello {}, says {}.", req.name, self.worker) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A broker on a free port. Nobody else can reach it: it listens on this machine only.
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
    let endpoint = broker.endpoints().first().ok_or("the broker is bound nowhere")?.clone();

    // Two workers for one service; the broker shares the calls out between them.
    let mut workers = Vec::new();
    for name in ["w-1", "w-2"] {
        let greeter = HelloWorker::new(Greeter { worker: name });
        workers.push(Worker::builder().connect(&endpoint).id(name).serve(greeter).start()?);
    }

    // Three clients. A call waits for a worker, so nobody needs to be waited for first.
    for name in ["Ann", "Ben", "Cat"] {
        let hello = HelloClient::new(Client::connect(&endpoint).await?);
        let reply = hello.greet(GreetRequest { name: name.into() }).await?;
        println!("{}", reply.greeting);
    }

    // A refusal comes back as a status with one of gRPC's codes.
    let hello = HelloClient::new(Client::connect(&endpoint).await?);
    match hello.greet(GreetRequest::default()).await {
        Ok(reply) => return Err(format!("an empty name was greeted: {}", reply.greeting).into()),
        Err(status) => println!("{status}"),
    }

    // Workers finish what they have begun before they leave.
    for worker in workers {
        worker.shutdown(Duration::from_secs(5)).await;
    }
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
