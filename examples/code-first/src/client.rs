//! What a client does: it logs in, is refused, and asks who it is.

use anyhow::{Result, bail, ensure};
use mdp_runtime::{Client, Code};

use super::service::{AuthClient, LoginRequest, WhoAmIRequest};

/// Makes the calls, and gives what there is to tell of them.
///
/// # Errors
///
/// A call ended otherwise than it should.
pub async fn run(client: Client) -> Result<Vec<String>> {
    let auth = AuthClient::new(client);
    let request = LoginRequest { user: "ann".into(), password: "correct horse".into() };
    let reply = auth.login(request).await?;
    let mut told = vec!["ann has logged in".to_owned()];

    let request = LoginRequest { user: "ann".into(), password: "a guess".into() };
    let Err(status) = auth.login(request).await else { bail!("a wrong password was taken") };
    ensure!(status.code() == Code::Unauthenticated, "refused with another code: {status}");
    told.push(format!("refused: {status}"));

    let account = auth.who_am_i(WhoAmIRequest { token: reply.token }).await?;
    told.push(format!("known as {}", account.full_name));
    Ok(told)
}
