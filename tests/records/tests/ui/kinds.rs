//! Types of protobuf that do not fit the type of the field.

use std::collections::BTreeMap;

use mdp_runtime::MdpRecord;

type Count = u32;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1, sint32)]
    unsigned: u32,
    #[mdp(2, fixed64)]
    short: Option<u32>,
    #[mdp(3, string)]
    number: Vec<i64>,
    #[mdp(4, bytes)]
    text: String,
    #[mdp(5, sint32)]
    map: BTreeMap<i32, i32>,
    #[mdp(6, key = sint32)]
    list: Vec<i32>,
    #[mdp(7, key = sint64, value = varint)]
    keys: BTreeMap<i32, i32>,
    #[mdp(8, sint32, sfixed32)]
    two: i32,
    #[mdp(9, sint32 = true)]
    equals: i32,
}

#[derive(MdpRecord)]
struct Alias {
    #[mdp(1, sint32)]
    count: Count,
}

fn main() {}
