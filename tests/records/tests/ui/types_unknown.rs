//! A struct that is no record, and one that is no field.

use mdp_runtime::MdpRecord;

struct Device {
    _name: String,
}

type Small = u8;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    device: Device,
    #[mdp(2)]
    devices: Vec<Device>,
    #[mdp(3)]
    small: Small,
}

fn main() {}
