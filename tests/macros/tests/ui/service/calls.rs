use mdp_runtime::{MdpRecord, Status, mdp_service};

#[derive(MdpRecord)]
pub struct Login {}

#[mdp_service]
pub trait Auth {
    async fn login(&self, req: Login) -> Result<Login, Status>;
    async fn count(&self, one: u32, other: u32) -> Result<u32, Status>;
}

// What is wrong with the arguments.
async fn arguments(auth: &AuthClient) -> Result<u32, Status> {
    auth.count(1).await?;
    auth.count("one", 2).await
}

// An error that is no status.
async fn foreign(text: &str) -> Result<u32, Status> {
    Ok(text.parse::<u32>()?)
}

fn main() {}
