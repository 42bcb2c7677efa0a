use mdp_runtime::{Status, Stream, mdp_service};

#[mdp_service]
trait Auth {
    #[mdp(idempotent = true)]
    async fn a(&self) -> Result<(), Status>;
    #[mdp(idempotent, no_side_effects)]
    async fn b(&self) -> Result<(), Status>;
    #[mdp(name = "Login")]
    async fn c(&self) -> Result<(), Status>;
    #[mdp(rename = "log in")]
    async fn d(&self) -> Result<(), Status>;
    #[mdp]
    async fn e(&self) -> Result<(), Status>;
    #[mdp(timeout_ms = 1.5)]
    async fn f(&self) -> Result<(), Status>;
    #[mdp(detach = "yes")]
    async fn i(&self) -> Result<(), Status>;
    #[mdp(rename = "G")]
    #[mdp(timeout_ms = 5s)]
    async fn h(&self) -> Result<(), Status>;
    #[mdp(retry_attempts = 0)]
    async fn j(&self) -> Result<(), Status>;
    #[mdp(retry_attempts = "twice")]
    async fn k(&self) -> Result<(), Status>;
    #[mdp(retry_attempts = 3_000)]
    async fn l(&self) -> Result<(), Status>;
    #[mdp(retry_attempts = 3u8)]
    async fn m(&self) -> Result<(), Status>;
    #[mdp(retry_attempts = 3)]
    async fn n(&self) -> Result<impl Stream<Item = Result<(), Status>>, Status>;
}

#[mdp_service]
#[mdp(package = "a.v1")]
trait Elsewhere {}

fn main() {}
