//! Numbers of an enum's values.

use mdp_runtime::MdpRecord;

const GREEN: isize = 9;

#[derive(MdpRecord)]
#[mdp(reserved(4, "COLOR_OLD"))]
enum Color {
    Red = 0,
    Blue,
    Same = 0,
    #[mdp(3)]
    Two = 2,
    #[mdp(2147483648)]
    Large,
    Gone = 4,
    Old = 5,
    Green = GREEN,
}

fn main() {}
