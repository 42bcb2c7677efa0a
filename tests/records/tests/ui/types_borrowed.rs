//! Borrowed data.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login<'a> {
    #[mdp(1)]
    user: &'a str,
    #[mdp(2)]
    key: &'a [u8],
    #[mdp(3)]
    numbers: &'a [u32],
    #[mdp(4)]
    count: &'static u32,
}

fn main() {}
