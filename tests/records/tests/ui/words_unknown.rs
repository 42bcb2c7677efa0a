//! Words that there are not.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
#[mdp(version = "1", 5)]
struct Login {
    #[mdp(1, optional)]
    user: String,
    #[mdp(2, other)]
    password: String,
    #[mdp("3")]
    device: String,
    #[mdp(tag = 4)]
    locale: String,
}

#[derive(MdpRecord)]
enum Color {
    #[mdp(0, sint32)]
    Red,
    #[mdp(1, skip)]
    Blue,
}

#[derive(MdpRecord)]
enum Contact {
    #[mdp(1, default = "a")]
    Mail(String),
}

fn main() {}
