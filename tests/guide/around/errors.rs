use std::time::Duration;

use mdp_runtime::{Code, HedgePolicy, RetryPolicy};

use crate::Ran;
use crate::auth::{AuthClient, LoginReply, World};

#[tokio::test]
async fn a_call_ends_with_a_reply_or_a_status() -> Ran {
    let world = World::start().await?;
    let auth = world.auth().await?;
    let asked = std::cell::Cell::new(0);
    let welcome = |reply: LoginReply| assert_eq!(reply.token, "t-1");
    let ask_again = || asked.set(asked.get() + 1);
    for req in [crate::auth::ann(), crate::auth::nobody()] {
        // block
    }
    assert_eq!(asked.get(), 1);
    Ok(())
}

#[tokio::test]
async fn retries() -> Ran {
    let world = World::start().await?;
    let client = world.client().await?;
    // block
    AuthClient::new(client).login(crate::auth::ann()).await?;
    Ok(())
}

#[tokio::test]
async fn hedging() -> Ran {
    let world = World::start().await?;
    let client = world.client().await?;
    // block
    AuthClient::new(client).login(crate::auth::ann()).await?;
    Ok(())
}
