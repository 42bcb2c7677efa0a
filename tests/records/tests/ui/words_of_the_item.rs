//! What is said of the item as a whole.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
#[mdp(package = "auth-v1", name = "1Login", crate = "mdp")]
struct Login {}

#[derive(MdpRecord)]
#[mdp(package = auth, name, package = "a")]
struct Logout {}

#[derive(MdpRecord)]
#[mdp(package = "auth.v1", reserved(1))]
enum Contact {
    #[mdp(1)]
    Mail(String),
}

fn main() {}
