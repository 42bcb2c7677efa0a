use mdp_runtime::{Status, mdp_service};

#[mdp_service(package = "a.v1")]
trait Files {
    async fn put(&self, parts: impl Stream<Item = Result<(), Status>>) -> Result<(), Status>;
    async fn get(&self) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
    async fn both(
        &self,
        parts: impl Stream<Item = Result<(), Status>> + Send,
    ) -> Result<impl futures::Stream<Item = Result<(), Status>>, Status>;
    async fn items(&self, parts: impl Stream<Item = ()>) -> Result<impl Stream, Status>;
}

fn main() {}
