//! How commands are read, and what of cargo's is missed.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use test_guide::blocks::blocks;
use test_guide::commands::{Command, commands, missing, spans};
use test_guide::root;

fn words(line: &str) -> Vec<Vec<String>> {
    Command::of(line).into_iter().map(|command| command.words).collect()
}

#[test]
fn a_line_is_read_as_by_a_shell() {
    assert_eq!(words("A=1 SOME_B=2 mdp list --all   # a comment"), [["mdp", "list", "--all"]]);
    assert_eq!(
        words("a 'b c' \"d 'e\" x#y && f | g"),
        vec![vec!["a", "b c", "d 'e", "x#y"], vec!["f"], vec!["g"]]
    );
    assert_eq!(words("# a comment"), [[""; 0]; 0]);
}

#[test]
fn a_block_has_its_commands() {
    let of = |page: &str| -> Vec<String> {
        let block = &blocks(page)[0];
        commands(block).into_iter().map(|command| command.words.join(" ")).collect()
    };
    assert_eq!(
        of("```sh\na \\\n  b\ncat > c <<'END'\nnot this\nEND\nd\n```\n"),
        ["a b", "cat > c <<END", "d"]
    );
    assert_eq!(of("```text\n$ a b\nwhat it says\n```\n"), ["a b"]);
    assert_eq!(of("```rust\na b\n```\n"), [""; 0]);
}

#[test]
fn prose_has_commands_in_spans() {
    let page = "Say `mdp list\n--workers`, not `mdp`.\n\nA left over ` sign.\n\nOr `mdp top`, `other a`.\n```sh\n`mdp x`\n```\n";
    let found: Vec<String> = spans(page, "mdp").iter().map(|c| c.words.join(" ")).collect();
    assert_eq!(found, ["mdp list --workers", "mdp top"]);
}

#[test]
fn what_cargo_would_not_find_is_missed() {
    let missing = |line: &str| missing(&Command::of(line)[0], &root());
    for line in [
        "cargo test",
        "cargo test -p test-hygiene",
        "cargo test --profile quick -p mdp-protocol --test sim --features planted-bugs",
        "cargo run -p test-chaos -- --profile none",
        "cargo install --path mdp-cli",
    ] {
        assert_eq!(missing(line), None, "{line}");
    }
    for line in [
        "cargo test -p test-hygeine",
        "cargo test --profile fast",
        "cargo test -p mdp-protocol --test simulation",
        "cargo test -p mdp-protocol --features bugs",
        "cargo install --path cli",
    ] {
        assert!(missing(line).is_some(), "{line}");
    }
}
