//! How long a source file may be. A long one is to be split by subject.

use crate::workspace::Source;

/// The most lines of a source file.
pub const MAX: usize = 700;

/// Files that were longer when the limit was set. The number may only fall; at [`MAX`] the line goes.
pub const LONGER: &[(&str, usize)] = &[];

/// The files that are too long, and the exceptions that are none any more.
pub fn faults(sources: &[Source], longer: &[(&str, usize)]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources.iter().filter(|source| !is_golden(&source.path)) {
        let lines = source.text.lines().count();
        let exception = longer.iter().find(|(path, _)| *path == source.path);
        let max = exception.map_or(MAX, |(_, max)| *max);
        if lines > max {
            faults.push(format!("{} has {lines} lines; {max} are allowed", source.path));
        }
    }
    for (path, max) in longer {
        let source = sources.iter().find(|source| source.path == *path);
        let lines = source.map_or(0, |source| source.text.lines().count());
        if lines < *max {
            faults.push(format!("{path} has {lines} lines: lower its exception of {max}"));
        }
    }
    faults
}

/// Expected output of a generator is as long as it is.
fn is_golden(path: &str) -> bool {
    path.contains("/golden/") || path.contains("/goldens/")
}
