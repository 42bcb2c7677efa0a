use mdp_runtime::{Broker, Context, Transport};

use crate::Ran;

#[tokio::test]
async fn a_context_has_a_transport() -> Ran {
    // block
    assert_eq!(context.transport(), Transport::Libzmq);
    assert_eq!(broker.endpoints().len(), 1);
    Ok(())
}
