//! `mdp keys`, and a broker with CURVE: its key files, its configuration, what it prints and what it refuses.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/raw.rs"]
mod raw;
mod support;
#[path = "../../tests/support/zmtp.rs"]
mod zmtp;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use mdp_runtime::security::{CurveClient, KeyPair, PublicKey};
use mdp_runtime::{Client, ConnectError, Context};
use process::{Ended, Process};
use support::{bound, config, mdp};

fn run(args: &[&str]) -> Ended {
    Process::start(mdp().args(args)).end()
}

fn fails(args: &[&str], code: i32, words: &[&str]) {
    let ended = run(args);
    assert_eq!(ended.status.code(), Some(code), "{args:?}: {ended:?}");
    assert_eq!(ended.stdout, "", "{args:?}: {ended:?}");
    for words in words {
        assert!(ended.stderr.contains(words), "{args:?} without {words:?}: {}", ended.stderr);
    }
}

/// What stands behind a word at the beginning of a line.
fn value<'a>(output: &'a str, name: &str) -> &'a str {
    output.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a25_new_writes_two_files_and_show_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(&["keys", "new", "ann", "--dir", text(folder.path())]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let (public, secret) = (folder.path().join("ann.pub"), folder.path().join("ann.key"));
    assert_eq!(value(&made.stdout, "public-file "), text(&public));
    assert_eq!(value(&made.stdout, "secret-file "), text(&secret));
    assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o7777, 0o600);
    let key = value(&made.stdout, "public-key ");
    assert_eq!(PublicKey::read(&public).unwrap().to_string(), key);
    for file in [&public, &secret] {
        let shown = run(&["keys", "show", text(file)]);
        assert_eq!(shown.stdout.trim_end(), format!("public-key {key}"), "{shown:?}");
        assert_eq!(shown.status.code(), Some(0));
    }
    // Nothing of the secret is ever printed.
    let secret_text = fs::read_to_string(&secret).unwrap();
    let secret_key = value(&secret_text, "secret-key = ").trim_matches('"');
    assert_eq!(secret_key.len(), 40);
    assert!(!made.stdout.contains(secret_key) && !made.stderr.contains(secret_key));
}

#[test]
fn keys_are_told_in_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let made = run(&["keys", "new", "ann", "--dir", text(folder.path()), "--output", "json"]);
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    for file in ["public_file", "secret_file"] {
        let shown = run(&["keys", "show", made[file].as_str().unwrap(), "--output", "json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["public_key"], made["public_key"]);
    }
}

#[test]
fn a25_new_overwrites_nothing_and_without_a_folder_takes_this_one() {
    let folder = tempfile::tempdir().unwrap();
    let here = |args: &[&str]| Process::start(mdp().current_dir(&folder).args(args)).end();
    assert_eq!(here(&["keys", "new", "ann"]).status.code(), Some(0));
    let before = fs::read_to_string(folder.path().join("ann.key")).unwrap();
    let again = here(&["keys", "new", "ann"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("never overwritten"), "{again:?}");
    assert_eq!(fs::read_to_string(folder.path().join("ann.key")).unwrap(), before);
    let dir = text(folder.path());
    fails(&["keys", "new", "../ann", "--dir", dir], 2, &["`../ann`"]);
    fails(&["keys", "new", "ann", "--dir", "/no/such/folder"], 1, &["/no/such/folder"]);
    fails(&["keys", "new"], 2, &["NAME"]);
    fails(&["keys"], 2, &["Usage"]);
}

#[test]
fn a25_a_secret_file_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    KeyPair::create(folder.path(), "ann").unwrap();
    let path = folder.path().join("ann.key");
    let broker = config(&format!(
        "bind = [\"tcp://127.0.0.1:*\"]\n[curve]\nsecret_key_file = \"{}\"\nallow_any = true\n",
        path.display()
    ));
    let broker = ["broker", "--config", broker.path().to_str().unwrap()].map(str::to_owned);
    let broker = broker.each_ref().map(String::as_str);
    let chmod = format!("chmod 600 {}", path.display());
    for mode in [0o644, 0o640, 0o622] {
        set_mode(&path, mode);
        let said = format!("{mode:04o}");
        fails(&["keys", "show", text(&path)], 1, &[&said, &chmod]);
        fails(&broker, 2, &[&said, &chmod, "[curve]"]);
    }
    set_mode(&path, 0o600);
    let (file, link) = (folder.path().join("real.key"), &path);
    fs::rename(link, &file).unwrap();
    symlink(&file, link).unwrap();
    fails(&["keys", "show", text(link)], 1, &["symbolic link"]);
    fails(&broker, 2, &["symbolic link"]);
    fails(&["keys", "show", text(folder.path())], 1, &["regular file"]);
    fails(&["keys", "show", "/no/such.pub"], 1, &["/no/such.pub", "No such file"]);
    fails(&["keys", "show", "/dev/null"], 1, &["/dev/null"]);
}

/// A broker with this `[curve]`, what it prints, and the file of its configuration.
fn broker(curve: &str) -> (Process, PublicKey, String) {
    let file = config(&format!("bind = [\"tcp://127.0.0.1:*\"]\n[curve]\n{curve}"));
    let mut process = Process::start(mdp().args(["broker", "--config"]).arg(file.path()));
    let key = process.line("public-key ");
    let key = key.strip_prefix("public-key ").unwrap().parse().unwrap();
    let endpoint = bound(&mut process);
    (process, key, endpoint)
}

async fn open(
    endpoint: &str,
    broker: PublicKey,
    own: Option<&KeyPair>,
) -> Result<(), ConnectError> {
    let curve = CurveClient::new(broker);
    let curve = match own {
        Some(own) => curve.key_pair(own.clone()),
        None => curve,
    };
    let builder = Client::builder().connect(endpoint).context(&Context::new()).curve(curve);
    builder.connect_timeout(Duration::from_secs(20)).open().await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_makes_its_key_and_takes_those_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broker.key");
    let allowed = folder.path().join("allowed");
    fs::create_dir(&allowed).unwrap();
    let ann = KeyPair::create(&allowed, "ann").unwrap();
    let ben = KeyPair::new().unwrap();
    let eve = KeyPair::new().unwrap();
    let curve = format!(
        "secret_key_file = \"{}\"\ngenerate = true\nallowed_keys = [\"{}\"]\nallowed_keys_dir = \"{}\"\n",
        file.display(),
        ben.public(),
        allowed.display()
    );
    let (process, key, endpoint) = broker(&curve);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(PublicKey::read(folder.path().join("broker.pub")).unwrap(), key);
    for own in [&ann, &ben] {
        open(&endpoint, key, Some(own)).await.unwrap();
    }
    for own in [Some(&eve), None] {
        let refused = open(&endpoint, key, own).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Handshake { .. }), "{refused:?}");
    }
    drop(process);
    // At the next start it has the same key, and needs not make it.
    let (_process, again, endpoint) =
        broker(&format!("secret_key_file = \"{}\"\nallow_any = true\n", file.display()));
    assert_eq!(again, key);
    open(&endpoint, key, None).await.unwrap();
}

#[test]
fn a_section_curve_that_is_wrong_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let pair = KeyPair::create(folder.path(), "broker").unwrap();
    let file = format!("secret_key_file = \"{}\"\n", folder.path().join("broker.key").display());
    let missing = folder.path().join("missing.key");
    for (text, words) in [
        (file.clone(), &["no peer could connect", "allow_any"][..]),
        (format!("{file}allow_any = true\nallowed_keys = [\"{}\"]", pair.public()), &["exclude"]),
        (format!("{file}allowed_keys = [\"short\"]"), &["`short`", "40 characters"]),
        (format!("{file}allowed_keys_dir = \"/no/such\""), &["/no/such"]),
        (format!("{file}allow_anybody = true"), &["allow_anybody", "allow_any"]),
        ("allow_any = true".to_owned(), &["secret_key_file"]),
        (
            format!("secret_key_file = \"{}\"\nallow_any = true", missing.display()),
            &["missing.key", "No such file"],
        ),
        (
            format!(
                "secret_key_file = \"{}\"\nallow_any = true",
                folder.path().join("broker.pub").display()
            ),
            &["broker.pub"],
        ),
    ] {
        let file = config(&format!("bind = [\"tcp://127.0.0.1:*\"]\n[curve]\n{text}\n"));
        fails(&["broker", "--config", file.path().to_str().unwrap()], 2, words);
    }
    assert!(!missing.exists(), "made only if asked for");
}

#[test]
fn without_curve_other_machines_are_served_only_if_that_is_said() {
    for open in ["tcp://0.0.0.0:*", "tcp://*:*"] {
        fails(&["broker", "--bind", open], 2, &[open, "CURVE", "--insecure"]);
    }
    let mut process =
        Process::start(mdp().args(["broker", "--insecure", "--bind", "tcp://0.0.0.0:*"]));
    assert!(bound(&mut process).starts_with("tcp://0.0.0.0:"));
    let said = |text: &str| config(&format!("bind = [\"tcp://0.0.0.0:*\"]\n{text}\n"));
    let file = said("insecure = true");
    let mut process = Process::start(mdp().args(["broker", "--config"]).arg(file.path()));
    bound(&mut process);
    let file = said("insecure = false");
    fails(&["broker", "--config", file.path().to_str().unwrap()], 2, &["--insecure"]);
}

/// The policy of the configuration is in force; SIGHUP reads it again, and a file that is wrong changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_in_force_and_read_again_at_sighup() {
    use mdp_runtime::{Code, RawClient, RawError, RawWorker};

    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| KeyPair::create(folder.path(), name).unwrap();
    let (server, ann) = (key("broker"), key("ann"));
    let policy = folder.path().join("policy.toml");
    let allow = |call: &str| {
        let text = format!(
            "[[principal]]\nname = 'ann'\nkeys = ['{}']\ncall = ['{call}']\nserve = ['echo']\n",
            ann.public()
        );
        fs::write(&policy, text).unwrap();
        // Whatever the umask says.
        fs::set_permissions(&policy, PermissionsExt::from_mode(0o644)).unwrap();
    };
    allow("echo");
    let file = config(&format!(
        "bind = ['tcp://127.0.0.1:*']\npolicy = '{}'\n[curve]\nsecret_key_file = '{}'\n",
        policy.display(),
        folder.path().join("broker.key").display(),
    ));
    let mut process = Process::start(mdp().args(["broker", "--config"]).arg(file.path()));
    let endpoint = bound(&mut process);
    let curve = || CurveClient::new(*server.public()).key_pair(ann.clone());
    let dialect = mdp_runtime::Dialect::Rpc;
    let worker = RawWorker::builder("echo").dialect(dialect).connect(&endpoint).curve(curve());
    let mut worker = worker.start().unwrap();
    tokio::spawn(async move {
        while let Some((frames, replier)) = worker.recv().await {
            replier.finish(frames).unwrap();
        }
    });
    let client = RawClient::builder().dialect(dialect).connect(&endpoint).curve(curve());
    let client =
        client.context(&Context::new()).open().unwrap().with_timeout(Duration::from_secs(20));
    assert_eq!(client.send("echo", vec!["hi".into()]).await.unwrap(), ["hi"]);
    fs::write(&policy, "[[principal]]\nnonsense").unwrap();
    process.signal("HUP");
    assert_eq!(client.send("echo", vec!["hi".into()]).await.unwrap(), ["hi"]);
    allow("other");
    process.signal("HUP");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        match client.send("echo", vec!["hi".into()]).await {
            Err(RawError::Status(status)) if status.code() == Code::PermissionDenied => break,
            other => assert!(std::time::Instant::now() < deadline, "{other:?}"),
        }
    }
}

#[test]
fn a_policy_that_is_wrong_is_told_at_the_start() {
    let file = config("bind = ['tcp://127.0.0.1:*']\npolicy = '/nowhere/policy.toml'\n");
    fails(
        &["broker", "--config", text(file.path())],
        2,
        &["/nowhere/policy.toml", "cannot be read"],
    );
}

/// One key in 85 does.
#[test]
fn a_key_may_begin_with_a_hyphen() {
    let keys = || KeyPair::new().unwrap().public().to_string();
    let key = std::iter::repeat_with(keys).find(|key| key.starts_with('-')).unwrap();
    let ended = run(&["list", "--endpoint", "tcp://127.0.0.1:1", "--server-key", &key]);
    assert!(!ended.stderr.contains("unexpected argument"), "{ended:?}");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
}
