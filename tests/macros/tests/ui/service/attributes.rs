use mdp_runtime::{Status, mdp_service};

#[mdp_service]
#[derive(Clone)]
trait Auth {
    #[inline]
    async fn a(&self) -> Result<(), Status>;
    #[doc = include_str!("attributes.rs")]
    async fn b(&self) -> Result<(), Status>;
    #[doc(hidden)]
    async fn c(&self) -> Result<(), Status>;
    #[tokio::main]
    async fn d(&self) -> Result<(), Status>;
}

fn main() {}
