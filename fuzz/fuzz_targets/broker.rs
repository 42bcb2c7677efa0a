//! Sequences of events of several peers of all dialects against the broker's machine, with low limits. Its audit
//! runs after each of them; at the end, when all peers are gone, nothing is left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mdp_fuzz::Stage;
use mdp_fuzz::events::{Event, play};

fuzz_target!(|events: Vec<Event>| {
    let mut stage = Stage::default();
    for event in events.into_iter().take(200) {
        if stage.closed {
            return;
        }
        play(&mut stage, event);
    }
    for peer in 0..8 {
        stage.lost(&[peer + 1]);
    }
    stage.wait(60_000);
    assert!(stage.closed || stage.broker.is_quiet(), "something is left of a call");
});
