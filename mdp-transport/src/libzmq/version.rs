//! Describes libzmq, and checks its version.

use std::sync::Once;

const WANTED: (i32, i32, i32) = (4, 3, 5);

/// Logs a warning, once, if libzmq is older than the version that this crate is tested with.
pub(crate) fn warn_if_old() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Some(problem) = problem(zmq::version()) {
            tracing::warn!("{problem}");
        }
    });
}

/// Describes libzmq. Returns `Some`: the feature `zmq` is on.
#[allow(clippy::unnecessary_wraps)] // Without the feature there is none.
pub(crate) fn version() -> Option<String> {
    let (major, minor, patch) = zmq::version();
    let curve = if zmq::has("curve") == Some(true) { "with" } else { "without" };
    Some(format!("libzmq {major}.{minor}.{patch} {curve} CURVE"))
}

fn problem(found: (i32, i32, i32)) -> Option<String> {
    let (major, minor, patch) = found;
    (found < WANTED).then(|| {
        format!(
            "libzmq is {major}.{minor}.{patch}, and 4.3.5 or newer is wanted: older ones have faults that a peer can use; \
             see `[patch.crates-io]` in docs/transport.md"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn what_is_older_than_4_3_5_is_warned_of() {
        for old in [(4, 3, 4), (4, 2, 9), (3, 9, 9)] {
            assert!(problem(old).is_some_and(|text| text.contains("4.3.5")), "{old:?}");
        }
        for good in [(4, 3, 5), (4, 3, 6), (4, 4, 0), (5, 0, 0), zmq::version()] {
            assert_eq!(problem(good), None, "{good:?}");
        }
    }
}
