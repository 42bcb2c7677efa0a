//! Defaults where there can be none, or of another type.

use std::collections::BTreeMap;

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1, default = 1)]
    some: Option<u32>,
    #[mdp(2, default = [])]
    many: Vec<u32>,
    #[mdp(3, default = 0)]
    map: BTreeMap<u32, u32>,
    #[mdp(4, default)]
    nothing: u32,
    #[mdp(5, default = 1, default = 2)]
    twice: u32,
    #[mdp(6, default = "thirty")]
    seconds: u32,
}

fn main() {}
