//! Items that are no records.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Pair(#[mdp(1)] u32, #[mdp(2)] String);

#[derive(MdpRecord)]
union Either {
    #[mdp(1)]
    a: u32,
    #[mdp(2)]
    b: f32,
}

#[derive(MdpRecord)]
struct Page<T, const N: usize> {
    #[mdp(1)]
    items: Vec<T>,
}

#[derive(MdpRecord)]
enum Nothing {}

fn main() {}
