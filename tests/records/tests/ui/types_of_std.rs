//! Types of the standard library that have a stand-in.

use std::borrow::Cow;
use std::collections::{BinaryHeap, HashSet, LinkedList, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    list: LinkedList<String>,
    #[mdp(2)]
    heap: BinaryHeap<u32>,
    #[mdp(3)]
    path: PathBuf,
    #[mdp(4)]
    shared: Arc<String>,
    #[mdp(5)]
    text: Cow<'static, [u8]>,
    #[mdp(6)]
    at: Instant,
    #[mdp(7)]
    counted: Rc<str>,
    #[mdp(8)]
    rows: VecDeque<HashSet<u32>>,
    #[mdp(9)]
    gaps: HashSet<Option<u32>>,
}

fn main() {}
