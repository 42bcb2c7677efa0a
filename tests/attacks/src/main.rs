//! The broker that the tests attack, as a process of its own, so that its memory and its log can be looked at, and
//! so that it can die.
//!
//! ```text
//! attacks-broker [ENDPOINT [CALLS [POLICY]]]
//! ```
//!
//! It prints `bound ENDPOINT`, and logs to its standard error at the level info. Of each service it lets so many calls
//! wait, and it follows a policy if a file is given; but for this it has the settings that a broker has by default.

use std::error::Error;
use std::io;
use std::time::Duration;

use mdp_runtime::{Broker, Limits};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let endpoint = std::env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:*".into());
    let mut limits = Limits::default();
    if let Some(calls) = std::env::args().nth(2) {
        limits.queued_calls_per_service = calls.parse()?;
    }
    let mut broker = Broker::builder().bind(endpoint).limits(limits);
    if let Some(policy) = std::env::args().nth(3) {
        broker = broker.policy_file(policy);
    }
    let mut broker = broker.start()?;
    println!("bound {}", broker.endpoints().join(" "));
    tokio::select! {
        () = mdp_runtime::shutdown_signal() => broker.shutdown(Duration::from_secs(1)).await,
        ended = broker.stopped() => ended?,
    }
    Ok(())
}
