//! What `reserved` does not take.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
#[mdp(reserved = 5)]
struct Equals {}

#[derive(MdpRecord)]
#[mdp(reserved())]
struct Empty {}

#[derive(MdpRecord)]
#[mdp(reserved(7..9))]
struct Open {}

#[derive(MdpRecord)]
#[mdp(reserved(9..=7, 0, 3, 3..=4, "a-b", "old", "old"))]
struct Odd {}

#[derive(MdpRecord)]
#[mdp(reserved(old))]
struct Word {}

fn main() {}
