//! The one run of `prost-build`, which generates the messages and resolves the types of the services.

use std::collections::BTreeMap;

use prost_build::{Config, Module, Service as ProstService};
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use super::generator::Collector;
use super::{prepare, rust_module};
use crate::errors::{Error, Mistake, Problem};
use crate::proto::caught;

/// What `prost-build` gave.
pub(super) struct Messages {
    pub(super) services: Vec<ProstService>,
    /// The code of each module.
    pub(super) code: BTreeMap<Module, syn::File>,
}

/// Generates the messages. Code that is no valid Rust, and panics of `prost-build`, are added to the problems.
///
/// # Errors
///
/// `prost-build` refuses its settings.
pub(super) fn generate(
    config: &mut Config,
    set: &FileDescriptorSet,
    problems: &mut Vec<Problem>,
) -> Result<Messages, Error> {
    if let Some(name) = prepare::too_long(set) {
        problems.push(Problem::of_setting(Mistake::Proto {
            message: format!(
                "message `{name}` begins a row of more than 500 messages, each one a field of the one before; use `repeated` \
                 somewhere in it"
            ),
        }));
        return Ok(Messages { services: Vec::new(), code: BTreeMap::new() });
    }
    let (services, text) = match run(config, &set.file) {
        Ok(generated) => generated.map_err(Error::Generate)?,
        Err(reason) => {
            problems.extend(at_its_file(config, &set.file).unwrap_or(reason));
            return Ok(Messages { services: Vec::new(), code: BTreeMap::new() });
        }
    };
    let mut code = BTreeMap::new();
    for (module, text) in text {
        match syn::parse_file(&text) {
            Ok(file) => drop(code.insert(module, file)),
            Err(reason) => problems.push(invalid_rust(&module, &reason)),
        }
    }
    Ok(Messages { services, code })
}

type Generated = std::io::Result<(Vec<ProstService>, BTreeMap<Module, String>)>;

fn run(config: &mut Config, files: &[FileDescriptorProto]) -> Result<Generated, Vec<Problem>> {
    let collector = Collector::default();
    let services = collector.services.clone();
    config.service_generator(Box::new(collector)).format(false);
    let requests = files.iter().map(|file| (rust_module(file), file.clone())).collect();
    let name = files.last().map_or("", |file| file.name());
    let code = caught(name, || config.generate(requests))?;
    Ok(code.map(|code| (services.take(), code.into_iter().collect())))
}

/// Finds the file at which `prost-build` panics: the last one of the shortest beginning of the set at which it does.
/// Imports come first, so each beginning is complete.
fn at_its_file(config: &mut Config, files: &[FileDescriptorProto]) -> Option<Vec<Problem>> {
    let (mut good, mut bad) = (0, files.len());
    let mut found = None;
    while bad - good > 1 {
        let middle = usize::midpoint(good, bad);
        match run(config, files.get(..middle)?) {
            Ok(_) => good = middle,
            Err(problems) => {
                found = Some(problems);
                bad = middle;
            }
        }
    }
    found
}

pub(super) fn invalid_rust(module: &Module, reason: &syn::Error) -> Problem {
    Problem::of_setting(Mistake::InvalidRust {
        package: module.to_string().replace("::", "."),
        reason: reason.to_string(),
        advice: "look at its attributes, its extern_paths, and at names without letters such as `_`",
    })
}
