//! Which package may depend on which. ARCHITECTURE.md draws the arrows.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// What a package must not depend on. A `*` at the end stands for anything.
pub struct Ban {
    /// The package.
    pub package: &'static str,
    /// What it must not name in its manifest.
    pub direct: &'static [&'static str],
    /// Of these, what it may name all the same.
    pub allowed: &'static [&'static str],
    /// What it must not need by way of others either, tests aside.
    pub transitive: &'static [&'static str],
    /// What it may name only if it is optional, and behind which nothing is looked for: a macro runs in
    /// the compiler, so what a macro needs is in no program.
    pub macros: &'static [&'static str],
}

/// The arrows that are forbidden.
pub const BANS: &[Ban] = &[
    Ban {
        package: "mdp-protocol",
        direct: &["mdp-*", "zmq", "zmq-sys", "tokio", "prost", "rand"],
        allowed: &[],
        transitive: &["mdp-*", "zmq", "zmq-sys", "tokio", "prost", "rand", "getrandom", "libc"],
        macros: &[],
    },
    Ban {
        package: "mdp-zmtp",
        // Its tests speak with libzmq.
        direct: &["mdp-*", "zmq-sys", "tokio", "prost", "rand", "getrandom"],
        allowed: &[],
        transitive: &["mdp-*", "zmq", "zmq-sys", "tokio", "prost", "rand"],
        macros: &[],
    },
    Ban {
        package: "mdp-transport",
        direct: &["mdp-*", "prost", "toml"],
        allowed: &["mdp-protocol", "mdp-zmtp"],
        transitive: &["mdp-runtime", "mdp-codegen", "mdp-macros", "prost", "tempfile"],
        macros: &[],
    },
    Ban {
        package: "mdp-call",
        direct: &["mdp-*", "zmq", "zmq-sys", "toml", "serde_json"],
        allowed: &["mdp-protocol", "mdp-transport"],
        transitive: &["mdp-broker", "mdp-patterns", "mdp-runtime", "mdp-codegen", "mdp-macros"],
        macros: &[],
    },
    Ban {
        package: "mdp-broker",
        direct: &["mdp-*", "zmq", "zmq-sys", "prost"],
        allowed: &["mdp-protocol", "mdp-transport", "mdp-call"],
        transitive: &["mdp-patterns", "mdp-runtime", "mdp-codegen", "mdp-macros"],
        macros: &[],
    },
    Ban {
        package: "mdp-patterns",
        direct: &["mdp-*", "zmq", "zmq-sys", "prost", "toml", "serde_json"],
        allowed: &["mdp-transport", "mdp-call"],
        transitive: &["mdp-broker", "mdp-runtime", "mdp-codegen", "mdp-macros"],
        macros: &[],
    },
    Ban {
        package: "mdp-runtime",
        direct: &["mdp-codegen"],
        allowed: &[],
        transitive: &["mdp-codegen", "prost-build", "protox"],
        macros: &["mdp-macros"],
    },
    Ban {
        package: "mdp-codegen",
        direct: &["mdp-protocol", "mdp-runtime", "mdp-macros", "zmq", "zmq-sys", "tokio"],
        allowed: &[],
        transitive: &["mdp-protocol", "mdp-runtime", "zmq", "zmq-sys", "tokio"],
        macros: &[],
    },
    Ban {
        package: "mdp-macros",
        direct: &["mdp-protocol", "mdp-runtime", "zmq", "tokio", "prost-build", "protox"],
        allowed: &[],
        transitive: &["mdp-protocol", "mdp-runtime", "zmq", "tokio"],
        macros: &[],
    },
    Ban {
        package: "mdp-schema",
        direct: &["mdp-*", "zmq", "zmq-sys", "tokio", "prost-build", "protox"],
        allowed: &[],
        transitive: &["mdp-*", "zmq", "zmq-sys", "tokio", "prost-build", "protox"],
        macros: &[],
    },
    Ban {
        package: "mdp-cli",
        direct: &["mdp-codegen", "mdp-macros"],
        allowed: &[],
        transitive: &[],
        macros: &[],
    },
];

/// What nothing depends on: these stand on top.
const TOPS: &[&str] =
    &["mdp-cli", "example-*", "test-*", "bench-*", "bench", "mdp-bench", "fuzz", "mdp-fuzz"];

/// The floors below the runtime. The examples of their documentation are written as users write them, so these depend on
/// the runtime; nothing that is shipped does.
const FLOORS: &[&str] = &["mdp-transport", "mdp-call", "mdp-broker", "mdp-patterns"];
const EXAMPLES: &str = "mdp-runtime";

/// One line of a manifest's dependencies.
#[derive(Debug)]
struct Dependency {
    package: String,
    /// Whether the package's default features are on.
    defaults: bool,
    features: Vec<String>,
    optional: bool,
    /// `dependencies`, `dev-dependencies` or `build-dependencies`.
    section: &'static str,
}

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The arrows that point the wrong way, in words. The first manifest is the workspace's; `lock` is
/// the lock file.
pub fn faults(manifests: &[Table], lock: &Table) -> Vec<String> {
    let Some((workspace, members)) = manifests.split_first() else {
        return vec!["there is no manifest".into()];
    };
    let shared = table(workspace, &["workspace", "dependencies"]);
    let mut lock = Lock::of(lock);
    members.iter().for_each(|member| lock.forget_tests_of(member, shared));
    let mut faults = Vec::new();
    for member in members {
        let Some(name) = member.get("package").and_then(|package| package.get("name")) else {
            faults.push("a member has no name".into());
            continue;
        };
        let name = name.as_str().unwrap_or_default();
        let dependencies = dependencies(member, shared);
        for dependency in &dependencies {
            faults.extend(direct_fault(name, dependency));
        }
        faults.extend(transitive_faults(name, &dependencies, &lock));
    }
    faults
}

impl Ban {
    fn bans_directly(&self, package: &str) -> bool {
        let is_in = |list: &[&str]| list.iter().any(|pattern| fits(pattern, package));
        is_in(self.direct) && !is_in(self.allowed)
    }
}

fn direct_fault(name: &str, dependency: &Dependency) -> Option<String> {
    let Dependency { package, defaults, features, optional, section } = dependency;
    let of_examples = FLOORS.contains(&name) && *section == SECTIONS[1] && package == EXAMPLES;
    let mut bans = BANS.iter().filter(|ban| ban.package == name);
    let banned = !of_examples && bans.any(|ban| ban.bans_directly(package));
    if banned || TOPS.iter().any(|pattern| fits(pattern, package)) {
        return Some(format!("{name} must not depend on {package} ([{section}])"));
    }
    let mut macros = BANS.iter().filter(|ban| ban.package == name).flat_map(|ban| ban.macros);
    if macros.any(|pattern| fits(pattern, package)) && !*optional {
        return Some(format!(
            "{name} may depend on {package} only if it is optional ([{section}])"
        ));
    }
    if name == "mdp-macros" && package == "mdp-codegen" {
        let with_proto = *defaults || features.iter().any(|feature| feature == "proto");
        if with_proto {
            return Some(format!(
                "{name} may depend on {package} only with default-features = false, and without \
                 the feature `proto` ([{section}])"
            ));
        }
    }
    None
}

fn transitive_faults(name: &str, dependencies: &[Dependency], lock: &Lock) -> Vec<String> {
    let mut faults = Vec::new();
    for ban in BANS.iter().filter(|ban| ban.package == name) {
        let direct = dependencies.iter().filter(|dependency| dependency.section != SECTIONS[1]);
        for dependency in direct {
            for (needed, by) in lock.closure(&dependency.package, ban.macros) {
                // What the manifest itself names wrongly is told once.
                let told = needed == dependency.package && ban.bans_directly(&needed);
                if !told && ban.transitive.iter().any(|pattern| fits(pattern, &needed)) {
                    faults.push(format!("{name} must not need {needed}, and does through {by}"));
                }
            }
        }
    }
    faults
}

fn fits(pattern: &str, package: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => package.starts_with(start),
        None => pattern == package,
    }
}

/// All dependencies of a manifest, those of its targets too.
fn dependencies(manifest: &Table, shared: Option<&Table>) -> Vec<Dependency> {
    let targets = table(manifest, &["target"]).into_iter().flat_map(Table::values);
    let places = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    let mut found = Vec::new();
    for place in places {
        for section in SECTIONS {
            for (key, value) in place.get(section).and_then(Value::as_table).into_iter().flatten() {
                found.push(dependency(key, value, shared, section));
            }
        }
    }
    found
}

fn dependency(
    key: &str,
    value: &Value,
    shared: Option<&Table>,
    section: &'static str,
) -> Dependency {
    let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
    let base = if inherits { shared.and_then(|shared| shared.get(key)) } else { None };
    let text = |name| {
        let own = value.get(name).and_then(Value::as_str);
        own.or_else(|| base.and_then(|base| base.get(name)).and_then(Value::as_str))
    };
    let flag = |of: &Value| of.get("default-features").and_then(Value::as_bool);
    // Cargo: a member that inherits a dependency can switch its default features on, never off.
    let defaults = match base {
        Some(base) => flag(base).unwrap_or(true) || flag(value) == Some(true),
        None => flag(value).unwrap_or(true),
    };
    let features = [Some(value), base].into_iter().flatten();
    let features = features.filter_map(|of| of.get("features")?.as_array()).flatten();
    Dependency {
        package: text("package").unwrap_or(key).into(),
        defaults,
        optional: value.get("optional").and_then(Value::as_bool) == Some(true),
        features: features.filter_map(Value::as_str).map(String::from).collect(),
        section,
    }
}

fn table<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(table, |table, key| table.get(*key)?.as_table())
}

/// What each package of the lock file needs, by name. Versions are put together, so the closure may
/// be larger than cargo's, never smaller.
struct Lock {
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Lock {
    fn of(lock: &Table) -> Self {
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let packages = lock.get("package").and_then(Value::as_array);
        for package in packages.into_iter().flatten() {
            let Some(name) = package.get("name").and_then(Value::as_str) else { continue };
            let entry = needs.entry(name.into()).or_default();
            let own = package.get("dependencies").and_then(Value::as_array);
            for need in own.into_iter().flatten().filter_map(Value::as_str) {
                // `name`, or `name version` where there are several.
                entry.extend(need.split(' ').next().map(String::from));
            }
        }
        Lock { needs }
    }

    /// The lock file does not tell what only the tests of a member need; its manifest does.
    fn forget_tests_of(&mut self, member: &Table, shared: Option<&Table>) {
        let name = member.get("package").and_then(|package| package.get("name")?.as_str());
        let Some(needs) = name.and_then(|name| self.needs.get_mut(name)) else { return };
        let dependencies = dependencies(member, shared);
        let (tests, others): (Vec<_>, Vec<_>) =
            dependencies.iter().partition(|dependency| dependency.section == SECTIONS[1]);
        let is_in = |list: &[&Dependency], need: &str| list.iter().any(|of| of.package == need);
        needs.retain(|need| !is_in(&tests, need) || is_in(&others, need));
    }

    /// The package and all that it needs, each with a package that needs it; without what only the
    /// packages of `ends` need.
    fn closure(&self, package: &str, ends: &[&str]) -> BTreeMap<String, String> {
        let mut found = BTreeMap::from([(package.to_string(), package.to_string())]);
        let mut open = vec![package.to_string()];
        while let Some(package) = open.pop() {
            if ends.iter().any(|pattern| fits(pattern, &package)) {
                continue;
            }
            for need in self.needs.get(&package).into_iter().flatten() {
                if !found.contains_key(need) {
                    found.insert(need.clone(), package.clone());
                    open.push(need.clone());
                }
            }
        }
        found
    }
}
