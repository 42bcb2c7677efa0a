use mdp_runtime::{Status, Stream, mdp_service};

#[mdp_service]
trait Auth {
    async fn a(&self);
    async fn b(&self) -> ();
    async fn c(&self) -> Option<()>;
    async fn d(&self) -> Result;
    async fn e(&self) -> Result<impl Stream<Item = Result<(), String>>, Status>;
    async fn f(&self) -> Result<impl Stream<Item = std::io::Result<()>>, Status>;
    async fn g(&self) -> Alias<impl Stream<Item = Result<(), Status>>>;
    async fn h(&self) -> Result<(), Status>;
}

fn main() {}
