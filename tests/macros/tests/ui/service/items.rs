use mdp_runtime::{Status, mdp_service};

#[mdp_service]
trait Auth {
    const LIMIT: usize = 5;
    type Session;
    async fn login(&self) -> Result<(), Status>;
    println!("hello");
}

fn main() {}
