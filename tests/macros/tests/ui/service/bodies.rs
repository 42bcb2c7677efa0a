use mdp_runtime::{MdpRecord, Status, mdp_service};

#[derive(MdpRecord)]
struct Login {}

#[mdp_service]
trait Auth {
    // A body and the word for none.
    #[mdp(optional)]
    async fn login(&self) -> Result<(), Status> {
        Ok(())
    }

    // An error within a body is shown in the body.
    async fn logout(&self, login: Login) -> Result<Login, Status> {
        let number: u32 = "text";
        Ok(login)
    }
}

fn main() {}
