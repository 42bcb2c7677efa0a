//! The program `mdp`, which the broker is, and whether faults run in full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// What all runs of a program share.
pub(crate) struct Setup {
    /// This package's program.
    pub(crate) part: PathBuf,
    /// In full, or the short form of CI.
    pub(crate) full: bool,
    /// Calls a second of the standard load, if others than usual.
    pub(crate) rate: Option<f64>,
    mdp: OnceLock<PathBuf>,
}

impl Setup {
    pub(crate) fn new(part: PathBuf, full: bool) -> Self {
        Setup { part, full, rate: None, mdp: OnceLock::new() }
    }

    /// One of two values.
    pub(crate) fn pick<T>(&self, full: T, ci: T) -> T {
        if self.full { full } else { ci }
    }

    /// How long after its deadline a call may have its outcome. On a machine that runs other tests on the same two cores,
    /// a process may wait that long for a core; in full the machine has nothing else to do.
    pub(crate) fn slack(&self) -> Duration {
        Duration::from_millis(self.pick(250, 1_500))
    }

    pub(crate) fn mdp(&self) -> &Path {
        self.mdp.get_or_init(|| mdp(&self.part))
    }
}

/// The `mdp` beside this package's program. Cargo builds no other package's program for a test, so it is built here if it
/// is missing or older than one of its sources.
fn mdp(part: &Path) -> PathBuf {
    static BUILD: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = BUILD.lock().unwrap();
    let folder = part.parent().unwrap();
    let mdp = folder.join("mdp");
    if is_fresh(&mdp) {
        return mdp;
    }
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "mdp-cli", "--profile", profile]);
    command.arg("--target-dir").arg(folder.parent().unwrap());
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    // What is run has libzmq in it.
    command.env_remove("MDP_ZEROMQ_SKIP");
    let built = command.status().unwrap();
    assert!(built.success(), "{command:?} ended with {built}");
    mdp
}

/// Whether a program is newer than all of its sources, by what cargo wrote beside it.
fn is_fresh(program: &Path) -> bool {
    let changed = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let Some(built) = changed(program) else { return false };
    let Ok(list) = std::fs::read_to_string(program.with_extension("d")) else { return false };
    let Some((_, sources)) = list.split_once(": ") else { return false };
    // A path with a space has a backslash before it; then this is no source that is there, and cargo decides.
    sources.split_whitespace().all(|path| changed(Path::new(path)).is_some_and(|at| at <= built))
}
