//! The service, declared in Rust.

use mdp_runtime::{MdpRecord, Status, Stream, Streaming, mdp_service};

/// A piece of text.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Line {
    #[mdp(1)]
    pub(crate) text: String,
}

/// How much came.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    #[mdp(1)]
    pub(crate) lines: u64,
    #[mdp(2)]
    pub(crate) bytes: u64,
}

/// News, papers and a listener.
#[mdp_service(package = "streams.v1")]
pub(crate) trait Desk {
    /// The news from now on.
    async fn watch(&self) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;

    /// Takes a text in, line by line.
    async fn upload(&self, lines: Streaming<Line>) -> Result<Summary, Status>;

    /// Answers each line.
    async fn talk(
        &self,
        lines: Streaming<Line>,
    ) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;

    /// Says at once that the job is accepted, and when it is done.
    async fn print(&self, job: Line) -> Result<impl Stream<Item = Result<Line, Status>>, Status>;
}
