//! Types of Rust that protobuf does not have.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    byte: u8,
    #[mdp(2)]
    signed_byte: i8,
    #[mdp(3)]
    short: u16,
    #[mdp(4)]
    signed_short: i16,
    #[mdp(5)]
    size: usize,
    #[mdp(6)]
    signed_size: isize,
    #[mdp(7)]
    long: u128,
    #[mdp(8)]
    letter: char,
    #[mdp(9)]
    some: Option<u8>,
    #[mdp(10)]
    many: Vec<u16>,
    #[mdp(11)]
    by_name: std::collections::HashMap<String, usize>,
}

fn main() {}
