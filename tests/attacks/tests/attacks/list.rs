//! docs/attacks.md: no attack without a test, or a reason why there is none.

use std::fs;
use std::path::Path;

#[test]
fn each_attack_has_its_tests_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let list = page.split("\n## ").next().unwrap();
    let rows: Vec<&str> = list.lines().filter(|line| line.starts_with("| A")).collect();
    let mut sources = Vec::new();
    for folder in [
        "tests",
        "mdp-protocol",
        "mdp-transport",
        "mdp-call",
        "mdp-broker",
        "mdp-patterns",
        "mdp-runtime",
        "mdp-cli",
        "examples",
    ] {
        collect(&root.join(folder), &mut sources);
    }
    let id = |row: &&str| row[3..].split(' ').next().unwrap().parse::<u32>().unwrap();
    let ids: Vec<u32> = rows.iter().map(id).collect();
    let all: Vec<u32> = (1..=46).collect();
    assert_eq!(ids, all, "each once and in order");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, attack, stopped, tests, numbers] = cells[..] else {
            panic!("not five cells: {row}")
        };
        assert!([attack, stopped, numbers].iter().all(|cell| !cell.is_empty()), "{row}");
        if let Some(reason) = tests.strip_prefix("none: ") {
            assert!(reason.len() > 20, "{row}");
            continue;
        }
        let mut found = 0;
        for test in tests.split('`').skip(1).step_by(2) {
            let (file, name) = test.split_once(' ').unwrap_or_else(|| panic!("{test}: no test"));
            let is_there = |(path, text): &(String, String)| {
                path.ends_with(&format!("/{file}")) && has_test(text, name)
            };
            assert!(sources.iter().any(is_there), "{test} is not there, of {row}");
            found += 1;
        }
        assert!(found > 0, "{row}");
    }
}

/// Each test of this crate that shows an attack is in the list.
#[test]
fn each_test_is_in_the_list() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("../../docs/attacks.md")).unwrap();
    let mut sources = Vec::new();
    collect(&here.join("tests/attacks"), &mut sources);
    for (path, text) in sources {
        let file = path.rsplit('/').next().unwrap();
        for name in text.lines().filter_map(|line| line.strip_prefix("async fn a")) {
            let name = format!("a{}", name.split('(').next().unwrap());
            let is_test = name[1..].starts_with(|first: char| first.is_ascii_digit());
            let listed = page.contains(&format!("`{file} {name}`"));
            assert!(!is_test || listed, "{file} {name} is not in the list");
        }
    }
}

/// A function with the mark of a test right before it.
fn has_test(text: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if is_test && line.contains(&format!("fn {name}(")) {
            return true;
        }
        is_test = line.starts_with("#[test]")
            || line.starts_with("#[tokio::test")
            || (is_test && line.starts_with('#'));
    }
    false
}

fn collect(folder: &Path, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            sources.push((path.to_string_lossy().into_owned(), text));
        }
    }
}
