//! Which words may stand in which sources.

use crate::strip::{code, is_name};
use crate::workspace::Source;

/// A word, and where it may stand.
pub struct Rule {
    /// The word: names with `::` between them.
    pub word: &'static str,
    /// The beginning of the paths of the sources that are looked at.
    pub within: &'static [&'static str],
    /// The beginning of the paths where it may stand all the same.
    pub except: &'static [&'static str],
    /// Why.
    pub why: &'static str,
}

const CORE: &[&str] = &["mdp-protocol/src/", "mdp-zmtp/src/"];
const NO_CLOCK: &str = "the core is told the time; it reads no clock";
const NO_CHANCE: &str = "the core is given its seeds; what it does can be repeated";

const RUNTIME: &[&str] = &[
    "mdp-transport/src/",
    "mdp-call/src/",
    "mdp-broker/src/",
    "mdp-patterns/src/",
    "mdp-runtime/src/",
];
const LIBZMQ: &[&str] = &["mdp-transport/src/libzmq/"];
const ONE_SEAM: &str = "libzmq stays on the far side of the seam to the sockets";

const OURS: &[&str] = &[
    "mdp-transport/src/",
    "mdp-call/src/",
    "mdp-broker/src/",
    "mdp-patterns/src/",
    "mdp-runtime/src/",
    "mdp-cli/src/",
];
const ENDS: &[&str] = &["mdp-transport/src/ends.rs"];
const ONE_WAY: &str = "panics are caught and threads started by `ends`, which tells of each end";

const GENERATOR: &[&str] = &["mdp-codegen/src/"];
const RUST_IS_WRITTEN: &[&str] = &["mdp-codegen/src/emit/"];
const ANY_LANGUAGE: &str = "syntax of Rust is named only where Rust is written";
const PLAIN: &[&str] = &["mdp-codegen/src/model", "mdp-codegen/src/check"];

/// The words that have their place.
pub const RULES: &[Rule] = &[
    Rule { word: "std::time", within: CORE, except: &[], why: NO_CLOCK },
    Rule {
        word: "core::time",
        within: CORE,
        except: &[],
        why: "the core has its own Time and Span",
    },
    Rule { word: "Instant", within: CORE, except: &[], why: NO_CLOCK },
    Rule { word: "SystemTime", within: CORE, except: &[], why: NO_CLOCK },
    Rule { word: "std::net", within: CORE, except: &[], why: "the core has no socket" },
    Rule { word: "zmq", within: CORE, except: &[], why: "the core has no socket" },
    Rule { word: "tokio", within: CORE, except: &[], why: "the core has no tasks" },
    Rule { word: "rand", within: CORE, except: &[], why: NO_CHANCE },
    Rule { word: "thread_rng", within: CORE, except: &[], why: NO_CHANCE },
    Rule { word: "RandomState", within: CORE, except: &[], why: NO_CHANCE },
    Rule {
        word: "prost",
        within: RUNTIME,
        except: &["mdp-call/src/codec", "mdp-runtime/src/codegen"],
        why: "prost stays behind one seam, so that it can be replaced",
    },
    Rule { word: "zmq", within: RUNTIME, except: LIBZMQ, why: ONE_SEAM },
    Rule { word: "zmq_sys", within: RUNTIME, except: LIBZMQ, why: ONE_SEAM },
    Rule { word: "catch_unwind", within: OURS, except: ENDS, why: ONE_WAY },
    Rule { word: "resume_unwind", within: OURS, except: ENDS, why: ONE_WAY },
    Rule { word: "thread::Builder", within: OURS, except: ENDS, why: ONE_WAY },
    Rule { word: "syn", within: GENERATOR, except: RUST_IS_WRITTEN, why: ANY_LANGUAGE },
    Rule { word: "quote", within: GENERATOR, except: RUST_IS_WRITTEN, why: ANY_LANGUAGE },
    Rule { word: "proc_macro2", within: GENERATOR, except: RUST_IS_WRITTEN, why: ANY_LANGUAGE },
    Rule {
        word: "emit",
        within: PLAIN,
        except: &[],
        why: "the model and its rules are for any language; `emit` has what is Rust",
    },
    Rule {
        word: "unsafe",
        within: &[""],
        // What stands under the second is shown to be refused.
        except: &["mdp-transport/src/libzmq/frame.rs", "tests/macros/tests/ui/"],
        why: "there is one small module with unsafe code",
    },
];

/// What the root of each crate without I/O says.
const NO_STD: &str = "#![no_std]";
const ROOTS: &[&str] = &["mdp-protocol/src/lib.rs", "mdp-zmtp/src/lib.rs"];

/// The words that stand where they must not.
pub fn faults(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    for source in sources {
        let code = code(&source.text);
        for rule in RULES.iter().filter(|rule| rule.looks_at(&source.path)) {
            for (number, line) in code.lines().enumerate() {
                if has_word(line, rule.word) {
                    let (path, number) = (&source.path, number + 1);
                    faults.push(format!("{path}:{number}: `{}`: {}", rule.word, rule.why));
                }
            }
        }
        let is_root = ROOTS.contains(&source.path.as_str());
        if is_root && !code.lines().any(|line| line.trim() == NO_STD) {
            faults.push(format!("{}: {NO_STD} is missing", source.path));
        }
    }
    faults
}

impl Rule {
    fn looks_at(&self, path: &str) -> bool {
        let begins = |starts: &[&str]| starts.iter().any(|start| path.starts_with(start));
        begins(self.within) && !begins(self.except)
    }
}

/// Whether `word` stands in `line` as a whole.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}
