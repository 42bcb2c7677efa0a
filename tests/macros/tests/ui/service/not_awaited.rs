#![deny(unused_must_use)]

use mdp_runtime::{MdpRecord, Status, mdp_service};

#[derive(MdpRecord)]
pub struct Login {}

#[mdp_service]
pub trait Auth {
    async fn login(&self, req: Login) -> Result<Login, Status>;
    async fn count(&self, one: u32, other: u32) -> Result<u32, Status>;
}

async fn forgotten(auth: &AuthClient) {
    auth.login(Login {});
    auth.count(1, 2);
}

fn main() {}
