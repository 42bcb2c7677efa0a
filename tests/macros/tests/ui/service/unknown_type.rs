use mdp_runtime::{Status, mdp_service};

#[mdp_service]
pub trait Auth {
    async fn login(&self, req: LoginRequest) -> Result<(), Status>;
}

fn main() {}
