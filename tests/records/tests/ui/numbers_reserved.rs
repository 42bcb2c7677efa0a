//! Numbers and names that must not come back.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
#[mdp(reserved(2, 5..=7, "nick"))]
struct Login {
    #[mdp(1)]
    user: String,
    #[mdp(2)]
    password: String,
    #[mdp(6)]
    device: String,
    #[mdp(4)]
    nick: String,
    #[mdp(8, rename = "nick")]
    other: String,
}

fn main() {}
