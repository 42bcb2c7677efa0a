use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Auth {
    async fn a(&self, user: (), password: ()) -> Result<(), Status>;
    async fn b(&self, pair: (u32, u32)) -> Result<(), Status>;
    async fn c(&self, lent: &std::time::Instant) -> Result<(), Status>;
    async fn d(&self, name: String) -> Result<bool, Status>;
    async fn e(&self, many: Vec<()>) -> Result<Option<()>, Status>;
    async fn f(&self, any: impl Into<u8>) -> Result<Box<dyn std::any::Any>, Status>;
    async fn g(&self, of_service: Self::Request) -> Result<<Self as Iterator>::Item, Status>;
    async fn h(&self, bytes: [u8; 4]) -> Result<fn(), Status>;
}

fn main() {}
