//! The commands of the pages, run with the programs that are built beside this test: in a folder of their own, with free
//! ports and without a tool that takes a terminal.

// A test names its fault by failing.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../../support/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use process::{Ended, Process, until};
use tempfile::TempDir;
use test_guide::blocks::Block;
use test_guide::{Page, commands, pages, read, root};

/// What the pages say of this file.
const CLAIM: &str = "tests/guide/tests/shell.rs";

/// The folder of the programs that cargo has built with this test.
fn programs() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// A program of the workspace. `cargo test` builds all; where this test is built alone, it is built here.
fn program(package: &str, name: &str) -> Command {
    static BUILD: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let program = programs().join(name);
    let _one = BUILD.lock().unwrap();
    if !program.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--package", package, "--bin", name]).current_dir(root());
        build.arg("--target-dir").arg(programs().parent().unwrap());
        assert!(build.env_remove("MDP_ZEROMQ_SKIP").status().unwrap().success(), "{build:?}");
    }
    Command::new(program)
}

fn mdp() -> Command {
    let mut command = program("mdp-cli", "mdp");
    command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "0");
    command
}

fn page(path: &str) -> Page {
    Page { path: path.into(), text: read(path).unwrap() }
}

/// The block of a page that begins with these words, and that the page says is run here.
fn block(path: &str, begins: &str) -> Block {
    let blocks = page(path).blocks();
    let found =
        blocks.iter().find(|b| b.text.starts_with(begins) && b.note("run by") == Some(CLAIM));
    found.unwrap_or_else(|| panic!("{path} has no block `{begins}` that is run here")).clone()
}

/// A text with each of the first put in place of the second; each must be there.
fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no {from} in {text}");
        text.replace(from, to)
    })
}

/// A script in a folder, which is the user's home, too. A broker at its end takes the place of the shell.
fn script(folder: &Path, text: &str, changes: &[(&str, &str)]) -> Command {
    drop(mdp()); // it is built
    let mut path = programs().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let text = changed(text, changes).replace("mdp broker", "exec mdp broker");
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", &text]).current_dir(folder).env("PATH", path).env("HOME", folder);
    command.env_remove("RUST_LOG").env_remove("XDG_CONFIG_HOME");
    command
}

/// The endpoint that a broker says it is bound to.
fn bound(broker: &mut Process) -> String {
    broker.line("bound ").strip_prefix("bound ").unwrap().to_owned()
}

fn succeeded(command: &mut Command) -> Ended {
    let ended = Process::start(command).end();
    assert!(ended.status.success(), "{command:?}: {ended:?}");
    ended
}

#[test]
fn each_command_of_the_pages_is_known() {
    let mut asked = BTreeSet::new();
    let mut faults = Vec::new();
    for page in pages().unwrap() {
        let shown = page.blocks().iter().flat_map(commands::commands).collect::<Vec<_>>();
        let named =
            ["mdp", "cargo"].iter().flat_map(|program| commands::spans(&page.text, program));
        for command in shown.into_iter().chain(named).filter(|c| asked.insert(c.words.clone())) {
            if let Some(fault) = fault(&command) {
                faults.push(format!("{}: {:?}: {fault}", page.path, command.words));
            }
        }
    }
    assert_eq!(faults, [""; 0]);
    assert!(asked.len() > 20, "{asked:?}");
}

/// What is wrong with a command, by its words.
fn fault(command: &commands::Command) -> Option<String> {
    let program = command.program();
    let file = if program == "python3" { command.words.get(1)?.as_str() } else { program };
    match program {
        // It stands for each of them.
        "mdp" if command.words.get(1)? == "COMMAND" => None,
        "mdp" => {
            // With this at its end it looks at all options, and does nothing.
            let mut help = mdp();
            help.args(command.words.get(1..).unwrap_or_default()).arg("--help");
            let ended = Process::start(&mut help).end();
            // Prose names options without their values.
            let known = ended.status.success() || ended.stderr.contains("a value is required for");
            (!known).then_some(ended.stderr)
        }
        "cargo" => commands::missing(command, &root()),
        _ if program == "python3" || program.starts_with(".ci/") => {
            (!root().join(file).exists()).then(|| format!("there is no {file}"))
        }
        _ => None,
    }
}

#[test]
fn keys_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let block = block("docs/security.md", "mkdir -p /etc/mdp");
    let ended = succeeded(&mut script(folder.path(), &block.text, &[("/etc/mdp", "etc")]));
    assert!(ended.stdout.lines().last().unwrap().starts_with("public-key "), "{ended:?}");
    for file in ["etc/broker.pub", "etc/broker.key", ".mdp/ann.pub", ".mdp/ann.key"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn a_broker_has_the_settings_of_the_security_page() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("allowed")).unwrap();
    let block = block("docs/security.md", "bind = ");
    let changes = [("/etc/mdp/", ""), ("tcp://*:5555", "tcp://127.0.0.1:*")];
    fs::write(folder.path().join("mdp.toml"), changed(&block.text, &changes)).unwrap();
    let run = script(folder.path(), "mdp broker --config mdp.toml", &[]);
    let mut broker = Process::start(&mut { run });
    broker.line("public-key ");
    bound(&mut broker);
    assert!(folder.path().join("broker.pub").exists());
}

/// The walk of docs/production.md, and what then connects: by options, and by a profile of docs/operations.md.
#[test]
fn from_nothing_to_a_locked_broker() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let walk = block("docs/production.md", "mkdir allowed");
    let free = [("tcp://*:5555", "tcp://127.0.0.1:*")];
    let mut broker = Process::start(&mut script(here, &walk.text, &free));
    let endpoint = bound(&mut broker);

    let list = commands::spans(&page("docs/production.md").text, "mdp");
    let list = list.iter().find(|command| command.words.iter().any(|word| word == "--server-key"));
    let list = list.unwrap().words.iter().skip(1);
    let list = list.map(|word| if word == "tcp://broker:5555" { &endpoint } else { word });
    succeeded(mdp().args(list).current_dir(here));
    // It is locked.
    let strange = Process::start(mdp().args(["list", "--endpoint", &endpoint])).end();
    assert!(!strange.status.success(), "{strange:?}");

    profile(here, &endpoint);
    let started = block("docs/production.md", "mdp broker");
    let own = [("/etc/mdp/", ""), ("127.0.0.1:9464", "127.0.0.1:0")];
    let mut second = Process::start(&mut script(here, &started.text, &own));
    second.line("metrics http://127.0.0.1:");
}

fn profile(here: &Path, endpoint: &str) {
    let profiles = block("docs/operations.md", "[staging]");
    let text = changed(&profiles.text, &[("tcp://broker.staging:5555", endpoint)]);
    fs::create_dir(here.join("mdp")).unwrap();
    fs::write(here.join("mdp/profiles.toml"), text).unwrap();
    fs::copy(here.join("broker.pub"), here.join("mdp/staging.pub")).unwrap();
    fs::copy(here.join("ann.key"), here.join("mdp/me.key")).unwrap();
    succeeded(mdp().args(["list", "--profile", "staging"]).env("XDG_CONFIG_HOME", here));
}

#[test]
fn a_broker_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let free = ("tcp://127.0.0.1:5555", "'tcp://127.0.0.1:*'");
    let first = block("docs/first-service.md", "mdp broker");
    bound(&mut Process::start(&mut script(folder.path(), &first.text, &[free])));
    let metrics = block("docs/metrics.md", "mdp broker");
    let free = [free, ("127.0.0.1:9464", "127.0.0.1:0")];
    Process::start(&mut script(folder.path(), &metrics.text, &free)).line("metrics http://");
}

/// A broker, and two workers of examples/auth that it knows.
struct Auth {
    endpoint: String,
    _processes: [Process; 3],
    _folder: TempDir,
}

impl Auth {
    fn start() -> Auth {
        let folder = tempfile::tempdir().unwrap();
        let bind = ["broker", "--bind", "tcp://127.0.0.1:*", "--allow-drain"];
        let mut broker = Process::start(mdp().args(bind));
        let endpoint = bound(&mut broker);
        let [one, two] = ["w-1", "w-2"].map(|id| {
            let mut worker = program("example-auth", "example-auth");
            Process::start(worker.args(["worker", "--endpoint", &endpoint, "--id", id]))
        });
        let auth = Auth { endpoint, _processes: [broker, one, two], _folder: folder };
        let list: Vec<String> = ["mdp", "list", "--workers"].map(str::to_owned).into();
        until("two workers", || {
            let ended = auth.run(&list, &[]);
            ["w-1", "w-2"].iter().all(|id| ended.stdout.contains(id))
        });
        auth
    }

    fn run(&self, words: &[String], more: &[&str]) -> Ended {
        let own = words.get(1..).unwrap_or_default();
        Process::start(mdp().args(own).args(more).env("MDP_ENDPOINT", &self.endpoint)).end()
    }
}

#[test]
fn day_by_day_and_from_the_command_line() {
    let auth = Auth::start();
    for command in commands::commands(&block("docs/testing.md", "mdp call")) {
        let is_bench = command.words.iter().any(|word| word == "bench");
        let is_random = command.words.iter().any(|word| word == "--random");
        let short = ["--duration", "0.6", "--warm-up", "0.1"];
        let ended = auth.run(&command.words, if is_bench { &short } else { &[] });
        // Made-up passwords are wrong.
        assert_eq!(
            ended.status.code(),
            Some(i32::from(is_random)),
            "{:?}: {ended:?}",
            command.words
        );
    }
    for command in commands::commands(&block("docs/production.md", "$ mdp list")) {
        // It takes a terminal: mdp-cli/tests/top.rs.
        if command.words.iter().any(|word| word == "top") {
            continue;
        }
        let ended = auth.run(&command.words, &[]);
        assert!(ended.status.success(), "{:?}: {ended:?}", command.words);
    }
}
