//! A struct around one value.

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Numbered(#[mdp(1)] u64);

#[derive(MdpRecord)]
#[mdp(package = "auth.v1", name = "Other", reserved(4))]
struct Named(String);

#[derive(MdpRecord)]
struct Small(u8);

#[derive(MdpRecord)]
struct Renamed(#[mdp(rename = "other")] u64);

#[derive(MdpRecord)]
struct Nested(Vec<Vec<u32>>);

#[derive(MdpRecord)]
struct Signed(#[mdp(sint32)] u32);

#[derive(MdpRecord)]
struct Empty();

fn main() {}
