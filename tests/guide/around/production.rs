use mdp_runtime::security::{CurveClient, CurveServer, KeyPair, PublicKey};
use mdp_runtime::{Broker, Client};

use crate::Ran;

#[tokio::test]
async fn a_peer_with_a_key_connects() -> Ran {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    KeyPair::create(folder.path(), "ann")?;
    let server = CurveServer::read_or_create(at("broker.key"))?;
    let server = server.allow([PublicKey::read(at("ann.pub"))?]);
    let broker = Broker::builder().bind("tcp://127.0.0.1:*").curve(server).start()?;
    // with "broker.pub" as at("broker.pub")
    // with "ann.key" as at("ann.key")
    // with "tcp://broker:5555" as &broker.endpoints()[0]
    // block
    assert_eq!(broker.stats().await.sessions, 1);
    Ok(())
}

#[test]
fn a_broker_in_a_program() -> Ran {
    // block
    assert!(endpoint.starts_with("tcp://127.0.0.1:"), "{endpoint}");
    Ok(())
}
