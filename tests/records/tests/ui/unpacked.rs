//! Only lists of numbers are packed.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1, unpacked)]
    one: u32,
    #[mdp(2, unpacked)]
    texts: Vec<String>,
    #[mdp(3, unpacked = true)]
    numbers: Vec<u32>,
}

fn main() {}
