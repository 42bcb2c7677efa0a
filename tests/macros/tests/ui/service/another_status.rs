use mdp_runtime::mdp_service;

/// Of another library, say.
struct Status;

#[mdp_service]
trait Auth {
    async fn login(&self) -> Result<(), Status>;
}

fn main() {}
