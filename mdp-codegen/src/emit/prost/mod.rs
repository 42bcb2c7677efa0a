//! The Rust of `.proto` files: `prost-build` generates the messages, and the templates the services.

mod bind;
mod clashes;
mod comments;
mod described;
mod embed;
mod generator;
mod lacking;
mod messages;
mod prepare;
mod reserved_names;
mod settings;
mod write;

use std::collections::{BTreeMap, HashMap};

use prost_build::{Config, Module, Service as ProstService};
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use self::bind::Binding;
use super::{Options, RustModule};
use crate::emit;
use crate::errors::{Error, Problem};
use crate::model::Files;
use crate::proto::{Loaded, Settings, leave_out};

/// The Rust that is ready to be written.
pub(crate) struct Ready {
    config: Config,
    /// The code of each module.
    code: HashMap<Module, String>,
    /// The files with descriptors beside it, and their content.
    beside: Vec<(String, Vec<u8>)>,
    /// The packages with code.
    packages: Vec<String>,
}

impl Ready {
    /// Makes all code. Mistakes are added to the problems; with any there is no code.
    ///
    /// # Errors
    ///
    /// `prost-build` refuses its settings.
    pub(crate) fn of(
        settings: &Settings,
        mut config: Config,
        options: &Options,
        (loaded, files): (&Loaded, &Files),
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Self>, Error> {
        settings.apply(&mut config);
        let mut set = loaded.set.clone();
        leave_out(&mut set, &loaded.imported);
        let before = problems.len();
        let messages = {
            let mut set = set.clone();
            comments::defuse(&mut set);
            prepare::prepare(&mut set);
            messages::generate(&mut config, &set, problems)?
        };
        let clashes = clashes::of(settings, &set, files, &messages);
        if !clashes.is_empty() {
            // What prost-build and the parser say follows from the clashes.
            problems.truncate(before);
            problems.extend(clashes);
        }
        problems.extend(lacking::of(settings, &set, &messages));
        let mut modules = bind(settings, &loaded.set, files, &messages.services, problems);
        for module in modules.values() {
            problems.extend(emit::check(module, options));
        }
        let embedded = match settings.embed_schemas && problems.is_empty() {
            true => embed::embed(&loaded.set, &messages, &modules, problems),
            false => BTreeMap::new(),
        };
        if !problems.is_empty() {
            return Ok(None);
        }
        for (module, embedded) in &embedded {
            let services = modules.get_mut(module).into_iter().flat_map(|of| &mut of.services);
            for service in services {
                let constant = quote::format_ident!("{}", embedded.constant);
                service.schema = emit::SchemaSource::Embedded(constant);
            }
        }
        let packages = write::packages(&set, &messages.code);
        let code = write::code(messages, &modules, &embedded, options, problems);
        if !problems.is_empty() {
            return Ok(None);
        }
        let beside = embedded.into_values().map(|of| (of.file, of.packed)).collect();
        Ok(Some(Self { config, code, beside, packages }))
    }
}

/// The module that `prost-build` makes of a file's package.
fn rust_module(file: &FileDescriptorProto) -> Module {
    Module::from_protobuf_package_name(file.package())
}

/// Collects the services by their Rust module.
fn bind(
    settings: &Settings,
    set: &FileDescriptorSet,
    files: &Files,
    services: &[ProstService],
    problems: &mut Vec<Problem>,
) -> BTreeMap<Module, RustModule> {
    let mut modules: BTreeMap<Module, RustModule> = BTreeMap::new();
    let mut binding = Binding::new(settings, files);
    for service in services {
        let module = Module::from_protobuf_package_name(&service.package);
        let module = modules.entry(module).or_default();
        module.services.extend(binding.service(service));
    }
    problems.append(&mut binding.problems);
    for (module, others) in reserved_names::of(set, settings, files) {
        if let Some(module) = modules.get_mut(&module) {
            module.reserved.extend(others);
        }
    }
    modules
}
