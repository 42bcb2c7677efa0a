use mdp_runtime::{Status, mdp_service};

#[mdp_service(package = "long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_v1")]
trait Auth {
    async fn login(&self) -> Result<(), Status>;
}

#[mdp_service(package = "a.v1")]
trait Other {
    async fn long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_long_ago(&self) -> Result<(), Status>;
}

fn main() {}
