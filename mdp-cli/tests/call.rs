//! `mdp call` against services that are running.

// A test names its fault by failing; records need no docs in one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod shop;

use shop::{Scene, scene};

impl Scene {
    /// Exit code, standard output and standard error.
    async fn call(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let ended = self.mdp("call", args).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (ended.status.code(), text(ended.stdout), text(ended.stderr))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_four_kinds_of_calls_are_made_in_json() {
    let scene = scene().await;
    let (one, two) =
        (r#"{"name": "one"}"#, r#"{"name": "one"} {"name": "two", "size": {"wide": 1}}"#);
    for (method, data, told) in [
        ("Make", one, &["one"][..]),
        ("Follow", one, &["one", "one", "one"]),
        ("Fill", two, &["one+two"]),
        ("Chat", two, &["re: one", "re: two"]),
        ("Fill", "", &[""]),
    ] {
        let path = format!("shop.v1.Shop/{method}");
        let (code, out, err) = scene.call(&[&path, "-d", data]).await;
        let lines = told.iter().map(|name| match name.is_empty() {
            true => "{}\n".to_owned(),
            false => format!("{{\"name\":\"{name}\"}}\n"),
        });
        assert_eq!((code, out, err), (Some(0), lines.collect(), String::new()), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_from_files_and_metadata_goes_both_ways() {
    let scene = scene().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.json");
    std::fs::write(&file, r#"{"name": "from a file"}"#).unwrap();
    let data = format!("@{}", file.display());
    let args = ["shop.v1.Shop/Make", "-d", &data, "-H", "tenant: acme", "-v"];
    let (code, out, err) = scene.call(&args).await;
    assert_eq!((code, out.as_str()), (Some(0), "{\"name\":\"from a file\"}\n"), "{err}");
    assert_eq!(err, "by: the shop\n");
    assert_eq!(scene.counted.named.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_told_in_words_and_by_the_exit_code() {
    let scene = scene().await;
    let args = ["shop.v1.Shop/Make", "-d", r#"{"name": "refused"}"#];
    let (code, out, err) = scene.call(&args).await;
    assert_eq!((code, out.as_str()), (Some(64 + 5), ""), "{err}");
    for words in ["NOT_FOUND", "shop.v1.Shop/Make", "no such job", "of a job that is gone"] {
        assert!(err.contains(words), "{words}: {err}");
    }
    let args = ["shop.v1.Shop/Make", "--worker", "nobody"];
    let (code, _, err) = scene.call(&args).await;
    assert_eq!(code, Some(64 + 14), "{err}");
    assert!(err.contains("no handler was started") && err.contains("NO_WORKER"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_before_there_is_a_call() {
    let scene = scene().await;
    for (args, code, words) in [
        (&["shop.v1.Shop/Nothing"][..], 1, "it has Make, Follow, Fill, Chat"),
        (&["nobody.v1.Nobody/Call", "--timeout", "1"], 1, "nobody.v1.Nobody"),
        (&["shop.v1.Shop/Make", "-d", "{\"name\": 1}"], 2, "not a shop.v1.Job"),
        (&["shop.v1.Shop/Fill", "-d", "{} {\"x\": 1}"], 2, "request 2"),
        (&["shop.v1.Shop/Make", "-H", "tenant"], 2, "write KEY:VALUE"),
        (&["shop.v1.Shop/Make", "--endpoint", "nonsense"], 2, "nonsense"),
    ] {
        let (found, out, err) = scene.call(args).await;
        assert_eq!((found, out.as_str()), (Some(code), ""), "{args:?}: {err}");
        assert!(err.contains(words), "{args:?} without {words:?}: {err}");
    }
}
