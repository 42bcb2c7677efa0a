//! A broker, a worker and a client of classic Majordomo, in one program or in three.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{Broker, Message, RawClient, RawWorker, Replier};

const SERVICE: &str = "hello";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => all_in_one().await,
        ["broker", endpoint] => {
            let broker = Broker::builder().bind(*endpoint).start()?;
            mdp_runtime::shutdown_signal().await;
            broker.shutdown(Duration::from_secs(5)).await;
            Ok(())
        }
        ["worker", endpoint] => {
            Ok(RawWorker::builder(SERVICE).connect(*endpoint).run(greet).await?)
        }
        ["client", endpoint] => ask(endpoint).await,
        _ => Err("usage: example-raw [broker|worker|client ENDPOINT]".into()),
    }
}

async fn all_in_one() -> Result<(), Box<dyn Error>> {
    // On a free port, which nobody but this machine can reach.
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
    let endpoint = broker.endpoints().first().ok_or("the broker is bound nowhere")?.clone();
    let mut worker = RawWorker::builder(SERVICE).connect(&endpoint).start()?;

    // Requests as a loop. Who answers may be another task, and may take its time.
    let serving = tokio::spawn(async move {
        while let Some((names, replier)) = worker.recv().await {
            tokio::spawn(greet(names, replier));
        }
    });
    ask(&endpoint).await?;
    serving.abort();
    broker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// The worker: a greeting for each name; of several they come one by one, and at last how many there were.
async fn greet(names: Vec<Bytes>, replier: Replier) {
    if let Err(error) = try_to_greet(names.into(), replier).await {
        let _ = writeln!(std::io::stderr(), "nobody was greeted: {error}");
    }
}

async fn try_to_greet(
    mut names: Message,
    replier: Replier,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let count = names.len();
    while !names.is_empty() {
        let name = names.pop_string()?;
        let mut greeting = Message::new();
        greeting.append_str("hello").append_str(&name);
        if count == 1 {
            return Ok(replier.finish(greeting)?);
        }
        replier.partial(greeting).await?;
    }
    let mut last = Message::new();
    last.append_str("hello").append_str(format!("({count} people)"));
    Ok(replier.finish(last)?)
}

/// The client: requests go out one after another, for a reply of classic MDP does not say what it answers.
async fn ask(endpoint: &str) -> Result<(), Box<dyn Error>> {
    let client = RawClient::builder().connect(endpoint).open()?;
    let mut one = Message::new();
    one.append_str("worker");
    show(client.send(SERVICE, one).await?)?;

    let mut two = Message::new();
    two.append_str("world").append_str("moon");
    let mut pending = client.request(SERVICE, two);
    while let Some(reply) = pending.next().await {
        show(reply?.frames)?;
    }
    client.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

fn show(frames: Vec<Bytes>) -> Result<(), Box<dyn Error>> {
    let mut words = Message::from(frames);
    println!("{} {}", words.pop_string()?, words.pop_string()?);
    Ok(())
}
