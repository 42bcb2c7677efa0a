//! Mistakes of several kinds are shown at once, and whatever uses the record is not told of them again.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    user: u8,
    #[mdp(1)]
    password: String,
    #[mdp(1, sint64)]
    device: u32,
}

#[derive(MdpRecord)]
enum Color {
    Red = 1,
}

#[derive(MdpRecord)]
struct Uses {
    #[mdp(1)]
    login: Option<Login>,
    #[mdp(2)]
    logins: Vec<Login>,
    #[mdp(3)]
    color: Color,
}

fn main() {
    let _ = Uses::default();
}
