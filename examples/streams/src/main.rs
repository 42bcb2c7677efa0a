//! Calls with streams, all parts in one process: `cargo run -p example-streams`.

mod service;

use std::error::Error;

use mdp_runtime::{Broadcaster, Broker, Client, Status, Stream, Streaming, Worker, stream};
use service::{Desk, DeskClient, DeskWorker, Line, Summary};

/// Events that may wait for each subscriber.
const MAX_NEWS: usize = 64;

struct Office {
    news: Broadcaster<Line>,
}

impl Desk for Office {
    async fn watch(&self) -> Result<impl Stream<Item = Result<Line, Status>>, Status> {
        Ok(self.news.subscribe())
    }

    async fn upload(&self, mut lines: Streaming<Line>) -> Result<Summary, Status> {
        let mut summary = Summary { lines: 0, bytes: 0 };
        while let Some(line) = lines.message().await? {
            summary.lines += 1;
            summary.bytes += line.text.len() as u64;
        }
        // Here it is certain that all lines came: a caller that goes away in between is an error above.
        self.news.send(Line { text: format!("a text of {} lines is in", summary.lines) });
        Ok(summary)
    }

    async fn talk(
        &self,
        mut lines: Streaming<Line>,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status> {
        let (answers, stream) = stream::channel(16);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.message().await {
                let text = format!("{}? Tell me more.", line.text);
                if answers.send(Line { text }).await.is_err() {
                    return; // nobody listens any more
                }
            }
        });
        Ok(stream)
    }

    async fn print(&self, job: Line) -> Result<impl Stream<Item = Result<Line, Status>>, Status> {
        let printed = async move { Ok(Line { text: format!("printed: {}", job.text) }) };
        Ok(stream::acknowledge(Line { text: "accepted".into() }, printed))
    }
}

fn line(text: &str) -> Line {
    Line { text: text.into() }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").start()?;
    let endpoint = broker.endpoints().first().ok_or("nothing is bound")?;
    let office = Office { news: Broadcaster::new(MAX_NEWS) };
    let _worker = Worker::builder().connect(endpoint).serve(DeskWorker::new(office)).start()?;
    let desk = DeskClient::new(Client::connect(endpoint).await?);

    // When this is there, the worker has subscribed us.
    let mut news = desk.watch().await?;

    let (mut lines, summary) = desk.upload().start();
    for text in ["It was a dark", "and stormy night"] {
        lines.send(line(text)).await?; // waits if the worker is slower
    }
    lines.finish();
    let summary = summary.await?;
    println!("uploaded {} lines, {} bytes", summary.lines, summary.bytes);
    if let Some(event) = news.message().await? {
        println!("news: {}", event.text);
    }
    drop(news); // the subscription ends

    let (mut lines, mut answers) = desk.talk().start();
    for text in ["It rains", "It still rains"] {
        lines.send(line(text)).await?;
        if let Some(answer) = answers.message().await? {
            println!("{text}. - {}", answer.text);
        }
    }
    lines.finish();
    while answers.message().await?.is_some() {}

    let mut job = desk.print(line("a report")).await?;
    while let Some(state) = job.message().await? {
        println!("job: {}", state.text);
    }
    Ok(())
}
