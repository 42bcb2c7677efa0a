use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Auth {
    async fn a() -> Result<(), Status>;
    async fn b(self) -> Result<(), Status>;
    async fn c(&mut self) -> Result<(), Status>;
    async fn d(self: std::sync::Arc<Self>) -> Result<(), Status>;
}

fn main() {}
