//! Types of Rust that are put together.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    pair: (u32, String),
    #[mdp(3)]
    points: [f64; 3],
    #[mdp(4)]
    call: fn(u32) -> u32,
    #[mdp(6)]
    object: Box<dyn std::fmt::Debug + Send + Sync>,
    #[mdp(7)]
    number: Box<u32>,
    #[mdp(9)]
    list: Box<[u32]>,
    #[mdp(10)]
    boxed: Box<Vec<u32>>,
}

fn main() {}
