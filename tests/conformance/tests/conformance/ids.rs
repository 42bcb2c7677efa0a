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

/// Each fault names tests that there are.
#[test]
fn each_known_fault_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/known-faults.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| 4.")).collect();
    assert_eq!(rows.len(), 22);
    let (_, own) = page.split_once("# Faults of this project").unwrap();
    let own: Vec<&str> = own.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert_eq!(own.len(), 25);
    let mut sources = Vec::new();
    for folder in [
        "tests",
        "mdp-protocol",
        "mdp-transport",
        "mdp-broker",
        "mdp-runtime/tests",
        "mdp-cli/tests",
    ] {
        collect(&root.join(folder), &mut sources);
    }
    for row in rows.iter().filter(|row| !row.starts_with("| 4.24 ")).chain(&own) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests = last.split('`').skip(1).step_by(2);
        let mut found = 0;
        for test in tests {
            let (file, name) = test.split_once(' ').unwrap_or_else(|| panic!("{test}: no test"));
            let there = |(path, text): &(String, String)| {
                path.ends_with(&format!("/{file}")) && text.contains(&format!("fn {name}("))
            };
            assert!(sources.iter().any(there), "{test} is not there, of {row}");
            found += 1;
        }
        assert!(found > 0, "{row}");
    }
}

fn collect(folder: &Path, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path.to_string_lossy().into_owned(), text));
        }
    }
}
