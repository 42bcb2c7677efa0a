//! A record that would hold itself without end.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Node {
    #[mdp(1)]
    next: Box<Node>,
    #[mdp(2)]
    other: Box<Self>,
}

fn main() {}
