//! Names in the schema.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    user_id: String,
    #[mdp(2, rename = "userId")]
    other: String,
    #[mdp(3, rename = "a-b")]
    dashed: String,
    #[mdp(4)]
    größe: u32,
    #[mdp(5, rename = 5)]
    number: u32,
    #[mdp(6, rename)]
    nothing: u32,
}

#[derive(MdpRecord)]
enum Color {
    #[mdp(0)]
    Red,
    #[mdp(1, rename = "COLOR_RED")]
    Blue,
}

fn main() {}
