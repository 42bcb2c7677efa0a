//! The TOML of the pages: what a manifest names is in the workspace, and a policy is one.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::panic)]

use mdp_runtime::Policy;
use test_guide::{pages, read};
use toml::{Table, Value};

/// The pages with such blocks.
const PAGES: [&str; 4] =
    ["docs/first-service.md", "docs/security.md", "docs/transport.md", "docs/opentelemetry.md"];

/// What the pages say of this file.
const CLAIM: &str = "tests/guide/tests/settings.rs";

#[test]
fn each_block_is_a_manifest_or_a_policy() {
    let mut seen = Vec::new();
    for page in pages().unwrap() {
        for block in page.blocks().iter().filter(|b| b.note("checked by") == Some(CLAIM)) {
            let at = format!("{}:{}", page.path, block.line);
            let table: Table = block.text.parse().unwrap_or_else(|e| panic!("{at}: {e}"));
            if table.contains_key("dependencies") || table.contains_key("patch") {
                assert_eq!(faults(&table), [""; 0], "{at}");
            } else {
                assert!(table.contains_key("principal"), "{at} is neither a manifest nor a policy");
                Policy::parse(&block.text).unwrap_or_else(|e| panic!("{at}: {e}"));
            }
            seen.push(page.path.clone());
        }
    }
    assert_eq!(seen, PAGES);
}

/// What a manifest names and the workspace does not have. Its paths lead to a checkout named `mdp`.
fn faults(manifest: &Table) -> Vec<String> {
    let workspace: Table = read("Cargo.toml").unwrap().parse().unwrap();
    let known = workspace.get("workspace").and_then(|w| w.get("dependencies")).unwrap();
    let tables = ["dependencies", "build-dependencies"];
    let of = |name: &str| manifest.get(name).and_then(Value::as_table);
    let patched = of("patch").and_then(|patch| patch.get("crates-io")).and_then(Value::as_table);
    let own = tables.iter().filter_map(|name| of(name)).chain(patched).flatten();
    own.filter_map(|(name, dependency)| fault(name, dependency, known.get(name))).collect()
}

fn fault(name: &str, dependency: &Value, known: Option<&Value>) -> Option<String> {
    let Some(path) = dependency.get("path") else {
        // The workspace may want a later one of the same line.
        let line = |value: &Value| -> Option<Vec<String>> {
            let version = value.get("version").unwrap_or(value).as_str()?;
            let significant = if version.starts_with("0.") { 2 } else { 1 };
            Some(version.split('.').take(significant).map(str::to_owned).collect())
        };
        let (own, known) = (line(dependency), known.and_then(line));
        let same = own.is_some() && own == known;
        return (!same).then(|| format!("{name} has another version in the workspace"));
    };
    let folder = path.as_str().and_then(|path| path.strip_prefix("../mdp/"));
    let Some(folder) = folder else { return Some(format!("{name}: {path:?} is in no checkout")) };
    let Ok(text) = read(&format!("{folder}/Cargo.toml")) else {
        return Some(format!("{name}: there is no {folder}"));
    };
    let manifest: Table = text.parse().unwrap();
    let its_name = manifest.get("package").and_then(|package| package.get("name"));
    if its_name.and_then(Value::as_str) != Some(name) {
        return Some(format!("{folder} is not {name}"));
    }
    let features = dependency.get("features").and_then(Value::as_array).into_iter().flatten();
    let features = features.filter_map(Value::as_str);
    let there = |feature: &str| manifest.get("features").is_some_and(|f| f.get(feature).is_some());
    let unknown: Vec<&str> = features.filter(|feature| !there(feature)).collect();
    (!unknown.is_empty()).then(|| format!("{name} has no feature {}", unknown.join(", ")))
}

#[test]
fn a_wrong_manifest_is_seen() {
    let faults_of = |line: &str| faults(&format!("[dependencies]\n{line}").parse().unwrap());
    assert_eq!(faults_of("mdp-runtime = { path = \"../mdp/mdp-runtime\" }"), [""; 0]);
    assert_eq!(faults_of("tokio = \"1\""), [""; 0]);
    for line in [
        "mdp-runtime = { path = \"../mdp/runtime\" }",
        "mdp-codegen = { path = \"../mdp/mdp-runtime\" }",
        "mdp-runtime = { path = \"../mdp/mdp-runtime\", features = [\"macroes\"] }",
        "tokio = \"2\"",
        "unheard-of = \"1\"",
    ] {
        assert_eq!(faults_of(line).len(), 1, "{line}");
    }
}
