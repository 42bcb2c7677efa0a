//! One holder in another.

use std::collections::{BTreeMap, HashMap};

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    rows: Vec<Vec<u32>>,
    #[mdp(2)]
    gaps: Vec<Option<u32>>,
    #[mdp(3)]
    maps: Vec<HashMap<String, u32>>,
    #[mdp(4)]
    twice: Option<Option<u32>>,
    #[mdp(5)]
    perhaps: Option<Vec<u32>>,
    #[mdp(6)]
    map: Option<BTreeMap<String, u32>>,
    #[mdp(7)]
    lists: BTreeMap<String, Vec<u32>>,
    #[mdp(8)]
    options: BTreeMap<String, Option<u32>>,
    #[mdp(9)]
    inner: BTreeMap<String, BTreeMap<String, u32>>,
    // These are fine.
    #[mdp(10)]
    blobs: Vec<Vec<u8>>,
    #[mdp(11)]
    blob: Option<Vec<u8>>,
    #[mdp(12)]
    by_name: BTreeMap<String, Vec<u8>>,
}

fn main() {}
