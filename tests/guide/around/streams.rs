use mdp_runtime::{Client, MdpRecord, Status, Stream, Streaming, Worker, mdp_service, stream};

use crate::Ran;

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct WatchRequest {}

#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub struct Line {
    #[mdp(1)]
    text: String,
}

fn line(text: &str) -> Line {
    Line { text: text.into() }
}

#[mdp_service(package = "desk.v1")]
pub trait Desk {
    async fn watch(
        &self,
        req: WatchRequest,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;

    async fn upload(&self, chunks: Streaming<Line>) -> Result<Line, Status>;

    async fn talk(
        &self,
        lines: Streaming<Line>,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;
}

struct Short;

impl Desk for Short {
    async fn watch(
        &self,
        _: WatchRequest,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status> {
        Ok(stream::acknowledge(line("first"), async { Ok(line("last")) }))
    }

    async fn upload(&self, mut chunks: Streaming<Line>) -> Result<Line, Status> {
        let mut all = String::new();
        while let Some(chunk) = chunks.message().await? {
            all.push_str(&chunk.text);
        }
        Ok(Line { text: all })
    }

    async fn talk(
        &self,
        lines: Streaming<Line>,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status> {
        Ok(lines)
    }
}

#[tokio::test]
async fn streams_at_the_client() -> Ran {
    let (_broker, endpoint) = crate::auth::broker()?;
    let _worker = Worker::builder().connect(&endpoint).serve(DeskWorker::new(Short)).start()?;
    let desk = DeskClient::new(Client::connect(&endpoint).await?);
    let chunk = line("a text");
    // block
    assert_eq!(summary.text, "a text");
    lines.send(line("echo")).await?;
    assert_eq!(answers.message().await?, Some(line("echo")));
    Ok(())
}

mod handler {
    use super::{Line, line};
    use mdp_runtime::{Broadcaster, Status, Stream, mdp_service};

    #[mdp_service(package = "desk.v1")]
    pub trait Desk {
        async fn watch(&self) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;
    }

    // block

    #[tokio::test]
    async fn a_broadcaster_in_a_handler() -> crate::Ran {
        let news = Broadcaster::new(64);
        let desk = DeskClient::in_memory(DeskWorker::new(Office { news: news.clone() }));
        let mut watched = desk.watch().await?;
        news.send(line("it rains"));
        assert_eq!(watched.message().await?, Some(line("it rains")));
        Ok(())
    }
}
