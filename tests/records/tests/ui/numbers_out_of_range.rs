//! Numbers that no field can have.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(0)]
    zero: u32,
    #[mdp(-1)]
    negative: u32,
    #[mdp(19000)]
    first_own: u32,
    #[mdp(19999)]
    last_own: u32,
    #[mdp(536870912)]
    above: u32,
    #[mdp(99999999999999999999)]
    far_above: u32,
    #[mdp(536870911)]
    highest: u32,
    without: u32,
}

fn main() {}
