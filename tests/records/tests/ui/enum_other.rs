//! The variant for all other numbers.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
enum Color {
    #[mdp(0)]
    Red,
    #[mdp(other)]
    Nothing,
    #[mdp(other)]
    Text(String),
    #[mdp(other, 5)]
    Numbered(i32),
}

fn main() {}
