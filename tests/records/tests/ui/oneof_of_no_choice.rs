//! A oneof of something else, and an enum with data that may be absent.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
enum Contact {
    #[mdp(2)]
    Mail(String),
}

#[derive(MdpRecord)]
struct Login {
    #[mdp(oneof)]
    text: Option<String>,
}

#[derive(MdpRecord)]
struct Logout {
    #[mdp(1)]
    contact: Contact,
}

fn main() {}
