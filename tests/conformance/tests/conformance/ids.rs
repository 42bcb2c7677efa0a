//! No id without a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn each_id_has_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("../../docs/conformance.md")).unwrap();
    let ids: BTreeSet<String> = page.lines().filter_map(id).map(str::to_lowercase).collect();
    assert_eq!(ids.len(), 49, "{ids:?}");
    let mut tested = BTreeSet::new();
    for file in fs::read_dir(here.join("tests/conformance")).unwrap() {
        let source = fs::read_to_string(file.unwrap().path()).unwrap();
        let mut is_test = false;
        for line in source.lines() {
            if let Some((_, name)) = line.split_once("fn ").filter(|_| is_test) {
                tested.extend(name.split_once('_').map(|(id, _)| id.to_owned()));
            }
            is_test = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        }
    }
    let untested: Vec<&String> = ids.difference(&tested).collect();
    assert!(untested.is_empty(), "no test of {untested:?}");
}

/// The id of a row, `B10` for instance.
fn id(line: &str) -> Option<&str> {
    let id = line.strip_prefix("| ")?.split(' ').next()?;
    let number = id.strip_prefix(['F', 'B', 'K', 'W', 'M'])?;
    number.parse::<u32>().ok().map(|_| id)
}
