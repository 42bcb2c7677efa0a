//! The machines of classic MDP, rule by rule, as transcripts of what they say.

// A test may end at the first wrong assumption.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod client;
mod worker;

use mdp_protocol::{ConnectionState, SessionConfig, Span};

/// One endpoint, or as many as are said, with the defaults: 1 s three times, pauses of 50 to 100 ms at first.
fn session(endpoints: usize) -> SessionConfig {
    SessionConfig { endpoints, ..SessionConfig::default() }
}

fn state_text(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Connecting { endpoint } => format!("connecting to {endpoint}"),
        ConnectionState::Connected { endpoint, id } => {
            assert!(id.is_empty());
            format!("connected to {endpoint}")
        }
        ConnectionState::Disconnected(cause) => format!("disconnected: {cause}"),
        ConnectionState::Closed => "closed".into(),
    }
}

fn ms(ms: u64) -> Span {
    Span::from_ms(ms)
}
