//! The derive makes the `Default` that reading needs.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord, Default)]
struct Login {
    #[mdp(1)]
    user: String,
}

fn main() {}
