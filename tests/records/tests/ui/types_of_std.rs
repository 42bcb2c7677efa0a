//! Types of the standard library that have a stand-in.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use mdp_runtime::MdpRecord;

#[derive(MdpRecord)]
struct Login {
    #[mdp(1)]
    names: HashSet<String>,
    #[mdp(2)]
    queue: VecDeque<u32>,
    #[mdp(3)]
    path: PathBuf,
    #[mdp(4)]
    shared: Arc<String>,
    #[mdp(5)]
    text: Cow<'static, str>,
    #[mdp(6)]
    at: std::time::SystemTime,
    #[mdp(7)]
    after: std::time::Duration,
}

fn main() {}
