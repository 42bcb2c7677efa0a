//! What a client does: it logs in, is refused, and asks who it is.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mdp_runtime::{Client, Code};

use crate::pb::auth_client::AuthClient;
use crate::pb::{LoginRequest, Token, WhoAmIRequest};

/// The client as a process of its own.
pub(crate) async fn run(endpoint: &str) -> Result<()> {
    // One connection for all calls; it connects again by itself.
    let auth = AuthClient::new(Client::connect(endpoint).await?);
    let token = log_in(&auth).await?;
    be_refused(&auth).await?;
    // `.send()` tells more than the reply: who answered, and at which attempt.
    let response = auth.who_am_i(WhoAmIRequest { token: Some(token) }).send().await?;
    let worker = response.worker().escape_ascii();
    println!(
        "{worker} knows me at attempt {}: {}",
        response.attempts(),
        response.message().full_name
    );
    Ok(())
}

/// A login that works.
pub(crate) async fn log_in(auth: &AuthClient) -> Result<Token> {
    let request = LoginRequest { user: "ann".into(), password: "correct horse".into() };
    let reply = auth.login(request).timeout(Duration::from_secs(5)).await?;
    let token = reply.token.context("a login gives a token")?;
    println!("ann has logged in");
    Ok(token)
}

/// A login that does not: the worker's refusal comes back as it was meant.
pub(crate) async fn be_refused(auth: &AuthClient) -> Result<()> {
    let request = LoginRequest { user: "ann".into(), password: "a guess".into() };
    let Err(status) = auth.login(request).await else { bail!("a wrong password was taken") };
    println!("refused: {status}");
    ensure!(status.code() == Code::Unauthenticated, "refused with another code");
    Ok(())
}
