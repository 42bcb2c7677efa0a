//! Two fields with one number, and a field with two.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    user: String,
    #[mdp(2)]
    password: String,
    #[mdp(1)]
    device: String,
    #[mdp(3, 4)]
    locale: String,
}

fn main() {}
