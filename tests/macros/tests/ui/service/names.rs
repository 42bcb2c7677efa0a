use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Auth {
    async fn login(&self) -> Result<(), Status>;
    async fn login(&self) -> Result<(), Status>;
    async fn log_in(&self) -> Result<(), Status>;
    #[mdp(rename = "LogIn")]
    async fn enter(&self) -> Result<(), Status>;
    async fn größe(&self) -> Result<(), Status>;
    async fn __(&self) -> Result<(), Status>;
}

#[mdp_service]
trait Größe {}

fn main() {}
