//! NATS: request and reply through `nats-server`, worker and client with the crate `async-nats`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use async_nats::{Client, Subscriber};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;

use super::runtime;
use crate::load::{self, Caller, Load};

/// The program of Debian's package of that name, and of others'.
pub(crate) const PROGRAM: &str = "nats-server";
const SUBJECT: &str = "echo";
/// Workers of one queue group share the requests.
const GROUP: &str = "workers";

/// Stands around the server, which would not notice that its parent is gone.
pub(crate) fn server() -> Result<()> {
    let mut server = Command::new(PROGRAM)
        .args(["--addr", "127.0.0.1", "--port", "-1"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("nats-server could not be started")?;
    let log = server.stderr.take().context("the server's log")?;
    let mut lines = BufReader::new(log).lines();
    let told = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, address) = line.split_once("Listening for client connections on ")?;
        Some(address.trim().to_string())
    });
    let Some(address) = told else {
        end(&mut server);
        anyhow::bail!("nats-server did not say where it listens")
    };
    println!("ready {address} {}", server.id());
    // Otherwise the server would wait for a reader of its log some day.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    // Nothing is ever written there; it closes when the parent goes.
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    end(&mut server);
    Ok(())
}

fn end(server: &mut Child) {
    // It may have ended by itself.
    let _ = server.kill();
    let _ = server.wait();
}

/// Workers that share the requests and send back what they get, until the parent ends them.
pub(crate) fn worker(address: &str, workers: usize) -> Result<()> {
    runtime()?.block_on(async {
        let mut all = JoinSet::new();
        for _ in 0..workers {
            let client = async_nats::connect(address).await?;
            let requests = client.queue_subscribe(SUBJECT, GROUP.to_string()).await?;
            // Only what the server has heard counts.
            client.flush().await?;
            all.spawn(answer(client, requests));
        }
        println!("ready");
        all.join_next().await.context("no worker")??
    })
}

async fn answer(client: Client, mut requests: Subscriber) -> Result<()> {
    while let Some(request) = requests.next().await {
        let reply = request.reply.context("a request wants a reply")?;
        client.publish(reply, request.payload).await?;
    }
    anyhow::bail!("the subscription ended")
}

/// Calls as the load says, and measures.
pub(crate) fn client(address: &str, load: Load) -> Result<()> {
    runtime()?.block_on(async {
        let connect = async || -> Result<_> { Ok(async_nats::connect(address).await?) };
        load::run(load.open(connect).await?, load).await
    })
}

impl Caller for Client {
    async fn call(&self, body: Bytes) -> Result<usize> {
        Ok(self.request(SUBJECT, body).await?.payload.len())
    }
}

/// The server's version, if there is one on the PATH.
pub(crate) fn version() -> Option<String> {
    let output = Command::new(PROGRAM).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().trim_start_matches("nats-server: v").to_string())
}
