//! Peers of two principals, and of none, against a broker whose policy changes. The policy is the oracle: no worker is given
//! a call that its maker may not make, or in the name of somebody else, and none that hides in another.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use mdp_fuzz::Stage;
use mdp_fuzz::events::{Event, play};

#[derive(Arbitrary, Debug)]
enum Step {
    Event(Event),
    /// A new policy, by its bits.
    Policy(u16),
    /// A new policy while the next event is on its way to the machine.
    Between(u16),
}

fuzz_target!(|steps: Vec<Step>| {
    let mut stage = Stage::guarded();
    for step in steps.into_iter().take(200) {
        if stage.closed {
            return;
        }
        match step {
            Step::Event(event) => play(&mut stage, event),
            Step::Policy(bits) => stage.set_policy(bits),
            Step::Between(bits) => stage.between = Some(bits),
        }
    }
    for peer in 0..8 {
        stage.lost(&[peer + 1]);
    }
    stage.wait(60_000);
    assert!(stage.closed || stage.broker.is_quiet(), "something is left of a call");
});
