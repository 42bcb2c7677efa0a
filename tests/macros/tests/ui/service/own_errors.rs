// Errors of the user's that are no statuses.
use mdp_runtime::{Status, Stream, mdp_service};

struct Wrong;

mod results {
    pub type Result<T> = std::result::Result<T, super::Wrong>;
}

#[mdp_service]
trait Auth {
    async fn a(&self) -> Result<(), Wrong>;
    async fn b(&self) -> results::Result<()>;
    #[mdp(optional)]
    async fn c(&self) -> Result<(), std::io::Error>;
    async fn d(&self) -> results::Result<impl Stream<Item = Result<(), Status>>>;
    async fn e(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
    async fn f(&self) -> std::io::Result<()>;
}

fn main() {}
