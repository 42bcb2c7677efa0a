use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Auth {
    async fn a(&self);
    async fn b(&self) -> ();
    async fn c(&self) -> Option<()>;
    async fn d(&self) -> Result<()>;
    async fn e(&self) -> Result<(), String>;
    async fn f(&self) -> std::io::Result<()>;
    async fn g(&self) -> Result<(), Box<dyn std::error::Error>>;
    async fn h(&self) -> Result<(), Status>;
}

fn main() {}
