//! A broker, a worker and a client of plain Majordomo, in one program or in three.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use mdp_runtime::{Broker, RawClient, RawWorker, Replier, ReplyError};

const SERVICE: &str = "hello";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => all_in_one().await,
        ["broker", endpoint] => {
            let broker = Broker::builder().bind(*endpoint).start()?;
            mdp_runtime::stop_asked().await;
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
    if let Err(error) = try_to_greet(names, replier).await {
        eprintln!("nobody was greeted: {error}");
    }
}

async fn try_to_greet(names: Vec<Bytes>, replier: Replier) -> Result<(), ReplyError> {
    let greeting = |name: &Bytes| vec![Bytes::from_static(b"hello"), name.clone()];
    if let [name] = names.as_slice() {
        return replier.finish(greeting(name));
    }
    for name in &names {
        replier.partial(greeting(name)).await?;
    }
    let count = format!("({} frames)", names.len());
    replier.finish(vec![Bytes::from_static(b"hello"), Bytes::from(count)])
}

/// The client: requests go out one after another, for a reply of plain MDP does not say what it answers.
async fn ask(endpoint: &str) -> Result<(), Box<dyn Error>> {
    let client = RawClient::builder().connect(endpoint).open()?;
    show(&client.send(SERVICE, vec![Bytes::from("worker")]).await?);

    let mut pending = client.request(SERVICE, vec![Bytes::from("world"), Bytes::new()]);
    while let Some(reply) = pending.next().await {
        let reply = reply?;
        if reply.frames.last().is_some_and(|frame| !frame.is_empty()) {
            show(&reply.frames);
        }
    }
    client.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

fn show(frames: &[Bytes]) {
    let words: Vec<_> = frames.iter().map(|frame| String::from_utf8_lossy(frame)).collect();
    println!("{}", words.join(" "));
}
