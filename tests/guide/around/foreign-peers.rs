use bytes::Bytes;
use mdp_runtime::{Client, Dialect, RawClient, RawWorker, Replier, Worker};

use crate::Ran;
use crate::auth::{Accounts, AuthClient, AuthWorker};

#[tokio::test]
async fn plain_majordomo_from_rust() -> Ran {
    let (_broker, endpoint) = crate::auth::broker()?;
    let endpoint = endpoint.as_str();
    let echo =
        |frames: Vec<Bytes>, replier: Replier| async move { replier.finish(frames).unwrap() };
    let serving = RawWorker::builder("echo").connect(endpoint).run(echo);
    let accounts = Accounts::fake();
    let calls = async {
        // block
        assert_eq!(reply, ["hello"]);
        AuthClient::new(client).login(crate::auth::ann()).await?;
        Ok(())
    };
    tokio::select! {
        ended = serving => Ok(ended?),
        ended = crate::soon(calls) => ended,
    }
}
