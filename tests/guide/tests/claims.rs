//! Each block of the pages has who runs it, or says why nobody does; and the check fails where it is to fail.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use test_guide::blocks::{Block, blocks, indented};
use test_guide::{Page, claims, pages, read};

#[test]
fn each_block_of_the_pages_is_run_or_says_why_not() {
    let pages = pages().unwrap();
    assert_eq!(claims::faults(&pages, |path| read(path).ok()), [""; 0]);
    for path in ["README.md", "docs/introduction.md", "docs/calls.md", "docs/wire.md"] {
        assert!(pages.iter().any(|page| page.path == path), "{path} is not looked at");
    }
}

/// The faults of a page with this text, beside a script that runs `docs/run.md` and one command more.
fn faults(text: &str) -> Vec<String> {
    let page = Page { path: "docs/page.md".into(), text: text.into() };
    let run = Page { path: "docs/run.md".into(), text: text.into() };
    let script =
        |path: &str| (path == ".ci/some").then(|| "cut docs/run.md\nstep just so\n".into());
    let of_page = claims::faults(&[page], script);
    let of_run = claims::faults(&[run], script);
    of_page.into_iter().chain(of_run).collect()
}

#[test]
fn what_is_built_and_what_is_text_needs_no_note() {
    assert_eq!(faults("```rust\nlet a = 1;\n```\n\n```proto\n```\n\n```text\nso\n```\n"), [""; 0]);
}

#[test]
fn a_block_without_a_note_is_a_fault() {
    for language in ["sh", "console", "toml", "yaml", "python", "rust,ignore"] {
        let faults = faults(&format!("words\n\n```{language}\nmore\n```\n"));
        assert_eq!(faults.len(), 2, "{language}: {faults:?}");
        assert!(faults.iter().all(|fault| fault.contains(".md:3 is ")), "{faults:?}");
    }
    assert!(faults("```\nso\n```\n")[0].ends_with("what is no code is `text`"));
}

#[test]
fn a_note_with_a_reason_is_enough() {
    assert_eq!(faults("<!-- not run: it takes 90 minutes -->\n```sh\nmore\n```\n"), [""; 0]);
    assert_eq!(faults("<!-- not run:  -->\n```sh\nmore\n```\n").len(), 2);
    // A note belongs to the block directly below it.
    assert_eq!(faults("<!-- not run: it takes 90 minutes -->\n\n```sh\nmore\n```\n").len(), 2);
}

#[test]
fn who_runs_a_block_is_there_and_knows_it() {
    let by = |file: &str, first: &str| {
        faults(&format!("<!-- run by: {file} -->\n```sh\n{first}\n```\n"))
    };
    // By its page, or by its first command.
    assert_eq!(by(".ci/some", "more").len(), 1);
    assert_eq!(by(".ci/some", "just so   # a comment"), [""; 0]);
    assert_eq!(by(".ci/some", "so"), [""; 0]);
    assert_eq!(by(".ci/some", "o").len(), 1);
    assert!(by(".ci/other", "just so")[0].ends_with("is run by .ci/other, which is not there"));
    assert_eq!(faults("<!-- checked by: .ci/other -->\n```rust\n```\n").len(), 2);
}

#[test]
fn code_by_its_indent_is_a_fault() {
    assert_eq!(faults("words\n\n    mdp list\n    mdp top\n").len(), 2);
    assert_eq!(indented("words\n\n    mdp list\n\n    mdp top\n\nwords\n\n    more\n"), [3, 9]);
    assert_eq!(indented("- an item\n\n    and its text\n\n```sh\n\n    more\n```\n"), [0; 0]);
}

#[test]
fn a_block_has_its_language_its_text_its_line_and_its_notes() {
    let page =
        "a\n\n<!-- file: a.rs -->\n<!-- run by: b -->\n  ```rust\n  one\n    two\n\n  ```\n```\n";
    let [rust, empty] = blocks(page).try_into().unwrap();
    let notes = vec!["file: a.rs".to_owned(), "run by: b".to_owned()];
    let text = "one\n  two\n\n".to_owned();
    assert_eq!(rust, Block { language: "rust".into(), text, line: 5, notes });
    assert_eq!((rust.note("run by"), rust.note("not run")), (Some("b"), None));
    assert!(rust.is_claimed() && !empty.is_claimed());
    assert_eq!((empty.line, empty.notes.len()), (10, 0));
}
