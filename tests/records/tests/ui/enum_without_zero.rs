//! An enum that cannot say that nothing was sent.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
enum Color {
    Red = 1,
    Blue = 2,
}

fn main() {}
