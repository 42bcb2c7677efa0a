//! Keys that a map cannot have.

use std::collections::{BTreeMap, HashMap};

use mdp_runtime::MdpRecord;

#[derive(MdpRecord, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    #[mdp(1)]
    x: i32,
}

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    floats: HashMap<f64, u32>,
    #[mdp(2)]
    bytes: BTreeMap<Vec<u8>, u32>,
    #[mdp(3)]
    chars: BTreeMap<char, u32>,
}

#[derive(MdpRecord)]
struct Logout {
    #[mdp(1)]
    points: BTreeMap<Point, u32>,
}

fn main() {}
