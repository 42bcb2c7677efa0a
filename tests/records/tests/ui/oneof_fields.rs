//! Fields that are no oneofs.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
enum Contact {
    #[mdp(2)]
    Mail(String),
}

#[derive(MdpRecord)]
struct Login {
    #[mdp(oneof)]
    always: Contact,
    #[mdp(oneof)]
    many: Vec<Contact>,
    #[mdp(1, oneof)]
    numbered: Option<Contact>,
    #[mdp(oneof = 3)]
    equals: Option<Contact>,
}

fn main() {}
