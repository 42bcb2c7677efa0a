//! Fields without numbers: each is told its own next free one.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    user: String,
    password: String,
    #[mdp(7)]
    device: String,
    #[mdp(sint32)]
    offset: i32,
}

fn main() {}
