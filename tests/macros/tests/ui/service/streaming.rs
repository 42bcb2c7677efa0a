use mdp_runtime::{Status, Stream, Streaming, mdp_service};

#[mdp_service(package = "a.v1")]
trait Files {
    async fn as_replies(&self, parts: impl Stream<Item = Result<(), Status>>) -> Result<(), Status>;
    async fn as_items(&self, parts: impl Stream<Item = self::Part> + Send) -> Result<(), Status>;
    async fn of_what(&self, parts: impl Stream) -> Result<(), Status>;
    async fn with_status(&self, parts: Streaming<Result<(), Status>>) -> Result<(), Status>;
    async fn lent(&self, parts: &mut Streaming<()>) -> Result<(), Status>;
    async fn of_text(&self, parts: Streaming<String>) -> Result<(), Status>;
    async fn two(&self, first: Streaming<()>, second: Streaming<()>) -> Result<(), Status>;
    async fn and_one(&self, first: (), parts: Streaming<()>) -> Result<(), Status>;

    async fn as_requests(&self) -> Result<Streaming<super::Part>, Status>;
    async fn no_item(&self) -> Result<impl Stream, Status>;
    async fn no_status(&self) -> Result<impl Stream<Item = ()>, Status>;
    async fn own_status(&self) -> Result<impl Stream<Item = Result<(), String>>, Status>;
    async fn of_numbers(&self) -> Result<impl Stream<Item = Result<u32, Status>>, Status>;
    async fn bare(&self) -> impl Stream<Item = Result<(), Status>>;
    async fn more(&self) -> Result<impl Stream<Item = Result<(), Status>> + Send + 'static, Status>;
    async fn unpin(&self) -> Result<impl Unpin + Stream<Item = Result<(), Status>>, Status>;
    async fn pinned(&self) -> Result<std::pin::Pin<Box<dyn Stream<Item = ()> + Send>>, Status>;
    async fn boxed(&self) -> Result<Box<dyn Stream<Item = Result<(), Status>>>, Status>;

    async fn fine(&self, parts: Streaming<()>) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
}

fn main() {}
