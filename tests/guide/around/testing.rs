use mdp_runtime::{Channel, Client, Code, Reply, Request, Status, testing};

use crate::Ran;
use crate::auth::{Accounts, AuthClient, AuthWorker, LoginReply, LoginRequest};

#[tokio::test]
async fn a_service_in_memory() -> Ran {
    let req = crate::auth::nobody();
    // block
    Ok(())
}

#[tokio::test]
async fn a_test_double() -> Ran {
    // block
    assert_eq!(auth.login(crate::auth::ann()).await?.token, "t-1");
    let status = auth.login(crate::auth::nobody()).await.unwrap_err();
    assert_eq!(status.message(), "who are you?");
    Ok(())
}

#[tokio::test]
async fn a_broker_of_one_test() -> Ran {
    // block
    assert_eq!(auth.login(crate::auth::ann()).await?.token, "t-1");
    Ok(())
}
