//! Types that go as others, and cannot.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use mdp_runtime::MdpRecord;

mod no_module {}

mod half {
    pub type Wire = u64;

    pub fn to_wire(_: &std::path::PathBuf) -> u64 {
        0
    }
}

/// It has neither `Display` nor `FromStr`, and no conversion.
#[derive(Clone, Default)]
struct Opaque;

#[derive(MdpRecord)]
struct Words {
    #[mdp(1, as)]
    nothing: IpAddr,
    #[mdp(2, as = u8)]
    small: IpAddr,
    #[mdp(3, as = String, as = u32)]
    twice: IpAddr,
    #[mdp(4, as = String, with = half)]
    both: IpAddr,
    #[mdp(5, as = String, sint32)]
    kind: Option<IpAddr>,
    #[mdp(6, with = "half")]
    text: PathBuf,
    #[mdp(7, with)]
    none: PathBuf,
    #[mdp(8, as = String, value = string)]
    map: BTreeMap<String, IpAddr>,
}

#[derive(MdpRecord)]
struct Types {
    #[mdp(1, as = String)]
    no_text: Opaque,
    #[mdp(2, as = u32)]
    no_number: Opaque,
    #[mdp(3, as = String)]
    no_zero: IpAddr,
}

#[derive(MdpRecord)]
struct Modules {
    #[mdp(1, with = no_module)]
    empty: Option<PathBuf>,
    #[mdp(2, with = half)]
    half: Option<PathBuf>,
}

fn main() {}
