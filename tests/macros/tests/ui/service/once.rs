//! A mistake in one method is shown once, and not again where the service is used.

use mdp_runtime::{Client, Status, mdp_service};

#[mdp_service(package = "a.v1")]
pub trait Auth {
    async fn login(&self) -> Result<(), Status>;
    async fn logout(&self, a: (), b: ()) -> Result<(), Status>;
    #[mdp(idempotence)]
    async fn who_am_i(&self) -> Result<(), Status>;
}

async fn client(client: Client) -> Result<(), Status> {
    let auth = AuthClient::new(client);
    auth.login().await?;
    auth.who_am_i().await
}

fn worker(auth: impl Auth) -> AuthWorker<impl Auth> {
    AuthWorker::new(auth)
}

fn main() {
    let _ = (client, auth_service::NAME);
}
