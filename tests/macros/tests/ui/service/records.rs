use mdp_runtime::{Status, Stream, Streaming, mdp_service};

#[mdp_service]
trait Auth {
    async fn a(&self, pair: (u32, u32)) -> Result<(u32, u32), Status>;
    async fn b(&self, lent: &std::time::Instant, text: &str, bytes: &[u8]) -> Result<(), Status>;
    async fn c(&self, any: impl Into<u8>, boxed: dyn Into<u8>) -> Result<Box<dyn std::any::Any>, Status>;
    async fn d(&self, of_service: Self::Request) -> Result<<Self as Iterator>::Item, Status>;
    async fn e(&self, id: u64, of_service: Self::Request) -> Result<(), Status>;
    async fn f(&self, call: fn(), id: u64) -> Result<fn(), Status>;
    async fn g(&self, ids: Streaming<u64>) -> Result<impl Stream<Item = Result<String, Status>>, Status>;
    async fn h(&self, id: u64, ids: Streaming<()>) -> Result<(), Status>;
    #[mdp(value)]
    async fn i(&self, id: u64) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
    async fn j(&self, _: u64, (): ()) -> Result<(), Status>;
    async fn k(&self, #[mdp(2)] #[allow(unused)] id: u64) -> Result<(), Status>;
}

fn main() {}
