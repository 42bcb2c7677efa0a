//! The rules for services, for both front ends.
//!
//! The checks never stop at the first mistake, so a user sees all mistakes at once.

use std::collections::HashMap;

use crate::emit::Options;
use crate::errors::{Mistake, Problem};
use crate::model::{Method, Module, Origin, Service, Shape};

/// The longest service name and method path, in bytes: a name's length is one byte on the wire.
pub const MAX_NAME_BYTES: usize = 255;

/// Checks the services of one generated module and returns every problem found. An empty list: the services are valid.
///
/// `options` says which modules are generated; only these may clash.
pub fn module(module: &Module, options: &Options) -> Vec<Problem> {
    let mut problems = module_names(module, options);
    for service in &module.services {
        problems.extend(service_name(service));
        problems.extend(method_names(service));
        for method in &service.methods {
            problems.extend(path(service, method));
            problems.extend(blocking(service, method));
            problems.extend(retry(service, method));
            problems.extend(timeout(service, method));
        }
    }
    problems
}

fn module_names(module: &Module, options: &Options) -> Vec<Problem> {
    let mut owners: HashMap<String, String> = HashMap::new();
    for taken in &module.taken {
        owners.insert(taken.module.clone(), with_place(&taken.by, &taken.origin));
    }
    let mut problems = Vec::new();
    for service in &module.services {
        // One problem for each service: its modules clash together, and one new name resolves all clashes.
        let clash = options
            .module_names(service)
            .into_iter()
            .find_map(|name| owners.get(&name).map(|by| (name, by.clone())));
        if let Some((module, by)) = clash {
            problems.push(Problem::of_service(service, Mistake::ModuleTaken { module, by }));
        }
        for name in options.module_names(service) {
            let by = format!("service `{}`", service.full_name());
            owners.insert(name, with_place(&by, &service.origin));
        }
    }
    problems
}

fn with_place(what: &str, origin: &Origin) -> String {
    match origin {
        Origin::Proto { .. } => format!("{what} ({origin})"),
        Origin::Rust(_) => what.to_owned(),
    }
}

fn service_name(service: &Service) -> Option<Problem> {
    let bytes = service.full_name().len();
    (bytes > MAX_NAME_BYTES)
        .then(|| Problem::of_service(service, Mistake::ServiceNameTooLong { bytes }))
}

fn path(service: &Service, method: &Method) -> Option<Problem> {
    let bytes = service.path(method).len();
    // A service name that is too long was reported once. Its methods would repeat the problem.
    let own_fault = service.full_name().len() <= MAX_NAME_BYTES;
    (own_fault && bytes > MAX_NAME_BYTES)
        .then(|| Problem::of_method(service, method, Mistake::PathTooLong { bytes }))
}

/// A blocking handler has one request and one reply. A stream would have to wait for its thread.
fn blocking(service: &Service, method: &Method) -> Option<Problem> {
    (method.blocking && method.shape != Shape::Unary)
        .then(|| Problem::of_method(service, method, Mistake::BlockingStream))
}

/// The maximum number of attempts. A larger number is probably a mistake.
const MOST_ATTEMPTS: u8 = 100;

fn retry(service: &Service, method: &Method) -> Option<Problem> {
    let attempts = method.retry_attempts?;
    let mistake = match method.shape {
        Shape::Unary if (1..=MOST_ATTEMPTS).contains(&attempts) => return None,
        Shape::Unary => Mistake::NoAttempt,
        _ => Mistake::RetryStream,
    };
    Some(Problem::of_method(service, method, mistake))
}

fn timeout(service: &Service, method: &Method) -> Option<Problem> {
    (method.timeout_ms == Some(0)).then(|| Problem::of_method(service, method, Mistake::NoTime))
}

fn method_names(service: &Service) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, method) in service.methods.iter().enumerate() {
        let earlier =
            || service.methods.iter().take(number).filter(|other| may_meet(other, method));
        let same_rust = earlier().find(|other| other.ident == method.ident).map(|other| {
            Mistake::SameRustName { rust: method.ident.to_string(), other: other.name.clone() }
        });
        let same_wire = || {
            let other = earlier().find(|other| other.name == method.name)?;
            Some(Mistake::SameWireName {
                name: method.name.clone(),
                other: other.ident.to_string(),
            })
        };
        // One mistake for each method: if the names in Rust are equal, the names on the wire mostly are, too.
        let mistake = same_rust.or_else(same_wire);
        problems.extend(mistake.map(|mistake| Problem::of_method(service, method, mistake)));
    }
    problems
}

/// Two methods with conditions may be alternatives. If they are not, the compiler reports it.
fn may_meet(one: &Method, other: &Method) -> bool {
    one.cfgs.is_empty() || other.cfgs.is_empty()
}
