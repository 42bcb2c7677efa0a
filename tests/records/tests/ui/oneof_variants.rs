//! Variants that are no fields.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
enum Contact {
    #[mdp(1)]
    Nobody,
    #[mdp(2)]
    Pair(u32, String),
    #[mdp(3)]
    Named { name: String },
    #[mdp(4)]
    Maybe(Option<u32>),
    #[mdp(5)]
    Many(Vec<u32>),
    #[mdp(6)]
    Small(u8),
    Numberless(u32),
    #[mdp(1)]
    Again(u32),
    #[mdp(0)]
    Zero(u32),
    #[mdp(8, sint32)]
    Unsigned(u32),
    #[mdp(9, rename = "zero")]
    Renamed(u32),
}

fn main() {}
