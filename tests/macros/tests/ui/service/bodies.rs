use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Auth {
    async fn login(&self) -> Result<(), Status> {
        Err(Status::unimplemented("not yet"))
    }
}

fn main() {}
