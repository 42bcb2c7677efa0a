use mdp_runtime::security::{CurveClient, CurveServer, KeyPair, PublicKey};
use mdp_runtime::{Broker, Client, Worker};

use crate::Ran;
use crate::auth::{Accounts, AuthClient, AuthWorker};

#[tokio::test]
async fn encryption_is_switched_on() -> Ran {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("allowed"))?;
    KeyPair::create(folder.path(), "ann")?;
    std::fs::copy(at("ann.pub"), at("allowed/ann.pub"))?;
    let service = AuthWorker::new(Accounts::fake());
    // with "/etc/mdp/broker.key" as at("broker.key")
    // with "/etc/mdp/allowed" as at("allowed")
    // with "tcp://*:5555" as "tcp://127.0.0.1:*"
    // with "broker.pub" as at("broker.pub")
    // with "ann.key" as at("ann.key")
    // with "tcp://broker:5555" as &broker.endpoints()[0]
    // block
    AuthClient::new(client).login(crate::auth::ann()).await?;
    Ok(())
}
