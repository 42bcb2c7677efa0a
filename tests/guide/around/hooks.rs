use mdp_runtime::Broker;
use mdp_runtime::hooks::BrokerHooks;

struct Front;

impl BrokerHooks for Front {}

#[test]
fn a_broker_with_hooks() -> crate::Ran {
    // block
    assert_eq!(broker.endpoints().len(), 1);
    Ok(())
}
