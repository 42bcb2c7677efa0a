//! Defaults that the compiler refuses.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Device {
    #[mdp(1)]
    name: String,
}

#[derive(MdpRecord)]
struct Login {
    #[mdp(2, default = 1.5)]
    count: i64,
    #[mdp(3, default = Device::default())]
    device: Device,
}

fn main() {}
