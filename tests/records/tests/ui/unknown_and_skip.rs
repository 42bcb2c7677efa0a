//! Fields that are not on the wire.

use mdp_runtime::{MdpRecord, UnknownFields};

#[derive(MdpRecord)]
struct Login {
    #[mdp(unknown)]
    rest: UnknownFields,
    #[mdp(unknown)]
    more: UnknownFields,
    #[mdp(1, skip)]
    cached: u32,
    #[mdp(2, unknown, rename = "x")]
    numbered: UnknownFields,
}

#[derive(MdpRecord)]
struct Logout {
    #[mdp(unknown)]
    bytes: Vec<u8>,
}

fn main() {}
