//! The rules for names in Rust, which only generated Rust has to obey.

use std::collections::HashMap;

use super::{BoundMethod, Options, RustModule, RustService};
use crate::errors::{Mistake, Problem};
use crate::model::Place;

/// Checks the services of one generated module and returns every problem found. An empty list: their names are valid.
///
/// `options` says which modules are generated; only these may clash. [`check::service`](crate::check::service) has the
/// other rules.
pub fn check(module: &RustModule, options: &Options) -> Vec<Problem> {
    let mut problems = module_names(module, options);
    for service in &module.services {
        problems.extend(method_names(service));
    }
    problems
}

fn module_names(module: &RustModule, options: &Options) -> Vec<Problem> {
    let mut owners: HashMap<String, String> = HashMap::new();
    for reserved in &module.reserved {
        owners.insert(reserved.module.clone(), with_place(&reserved.by, reserved.place.as_ref()));
    }
    let mut problems = Vec::new();
    for service in &module.services {
        let plain = service.plain();
        // One problem for each service: its modules clash together, and one new name resolves all clashes.
        let clash = options
            .module_names(service)
            .into_iter()
            .find_map(|name| owners.get(&name).map(|by| (name, by.clone())));
        if let Some((module, by)) = clash {
            problems.push(Problem::of_service(plain, Mistake::ModuleTaken { module, by }));
        }
        for name in options.module_names(service) {
            let by = format!("service `{}`", plain.full_name());
            owners.insert(name, with_place(&by, plain.place.as_ref()));
        }
    }
    problems
}

fn with_place(what: &str, place: Option<&Place>) -> String {
    match place {
        Some(place) => format!("{what} ({place})"),
        None => what.to_owned(),
    }
}

fn method_names(service: &RustService) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, method) in service.methods().enumerate() {
        let earlier = || service.methods().take(number).filter(|other| may_meet(*other, method));
        let same_rust =
            earlier().find(|other| other.rust.ident == method.rust.ident).map(|other| {
                Mistake::SameRustName {
                    rust: method.rust.ident.to_string(),
                    other: other.plain.name.clone(),
                }
            });
        let same_wire = || {
            let other = earlier().find(|other| other.plain.name == method.plain.name)?;
            Some(Mistake::SameWireName {
                name: method.plain.name.clone(),
                other: other.rust.ident.to_string(),
            })
        };
        // One mistake for each method: if the names in Rust are equal, the names on the wire mostly are, too.
        let mistake = same_rust.or_else(same_wire);
        problems
            .extend(mistake.map(|mistake| Problem::of_method(service.plain(), number, mistake)));
    }
    problems
}

/// Two methods with conditions may be alternatives. If they are not, the compiler reports it.
fn may_meet(one: BoundMethod<'_>, other: BoundMethod<'_>) -> bool {
    one.rust.cfgs.is_empty() || other.rust.cfgs.is_empty()
}
