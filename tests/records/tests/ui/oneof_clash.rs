//! A oneof whose variants clash with what is around it.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
enum Contact {
    #[mdp(2)]
    Mail(String),
    #[mdp(3)]
    Phone(u64),
    #[mdp(6)]
    Fax(u64),
}

#[derive(MdpRecord)]
enum Address {
    #[mdp(3)]
    Street(String),
}

#[derive(MdpRecord)]
#[mdp(reserved(5..=7, "fax"))]
struct Login {
    #[mdp(2)]
    user: String,
    #[mdp(4)]
    mail: String,
    #[mdp(oneof)]
    contact: Option<Contact>,
    #[mdp(oneof)]
    address: Option<Address>,
}

#[derive(MdpRecord)]
enum Way {
    #[mdp(8)]
    Way(String),
    #[mdp(9)]
    Other(String),
}

#[derive(MdpRecord)]
enum Side {
    #[mdp(10)]
    Left(String),
}

/// The name of a oneof is one among those of the fields.
#[derive(MdpRecord)]
struct Travel {
    #[mdp(oneof)]
    way: Option<Way>,
    #[mdp(oneof, rename = "other")]
    side: Option<Side>,
}

fn main() {}
