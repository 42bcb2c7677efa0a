use mdp_runtime::{Broker, Client, Worker};

use crate::Ran;
use crate::auth::{Accounts, AuthClient, AuthWorker};

#[tokio::test]
async fn a_client_and_a_worker_are_at_three_brokers() -> Ran {
    let bind = || Broker::builder().bind("tcp://127.0.0.1:*").start();
    let brokers = [bind()?, bind()?, bind()?];
    let [a, b, c] = brokers.each_ref().map(|broker| broker.endpoints()[0].clone());
    let accounts = Accounts::fake();
    // with "tcp://a:5555" as a.as_str()
    // with "tcp://b:5555" as b.as_str()
    // with "tcp://c:5555" as c.as_str()
    // block
    worker.connected().await.ok_or("the worker has ended")?;
    let reply = AuthClient::new(client).login(crate::auth::ann()).await?;
    assert_eq!(reply.token, "t-1");
    Ok(())
}
