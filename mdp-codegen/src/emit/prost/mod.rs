//! The Rust of `.proto` files: `prost-build` generates the messages, and the templates the services.

mod bind;
mod comments;
mod described;
mod generator;
mod reserved_names;
mod settings;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use prost_build::{Config, Module, Service as ProstService};
use prost_types::FileDescriptorSet;

use self::bind::Binding;
use self::generator::{Collector, Writer};
use super::{Options, RustModule};
use crate::emit;
use crate::errors::{Error, Mistake, Problem};
use crate::model::Files;
use crate::proto::{Loaded, Settings, leave_out};

/// The Rust that is ready to be written.
pub(crate) struct Ready {
    config: Config,
    set: FileDescriptorSet,
    writer: Writer,
}

impl Ready {
    /// Makes the code of all services. Mistakes are added to the problems; with any there is no code.
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
        comments::defuse(&mut set);
        let (services, messages) = collect(&mut config, &set, problems)?;
        let modules = bind(settings, &loaded.set, files, &services, problems);
        for module in modules.values() {
            problems.extend(emit::check(module, options));
        }
        if !problems.is_empty() {
            return Ok(None);
        }
        let described = describe(&loaded.set, &messages, options);
        described::with_services(&mut set, |module| described.contains_key(module));
        let writer = Writer { code: code(&modules, options), described };
        Ok(Some(Self { config, set, writer }))
    }

    /// Writes all files.
    pub(crate) fn write(mut self) -> Result<(), Error> {
        self.config.service_generator(Box::new(self.writer)).format(true);
        self.config.compile_fds(self.set).map_err(Error::Generate)
    }
}

/// Lets `prost-build` resolve the services' types, and checks that the generated code of the messages is valid Rust.
/// Otherwise `prost-build` would panic later, when it formats its output.
fn collect(
    config: &mut Config,
    set: &FileDescriptorSet,
    problems: &mut Vec<Problem>,
) -> Result<(Vec<ProstService>, BTreeMap<Module, syn::File>), Error> {
    let collector = Collector::default();
    let services = Rc::clone(&collector.services);
    config.service_generator(Box::new(collector)).format(false);
    let requests = set.file.iter().map(|file| (described::rust_module(file), file.clone()));
    let code = config.generate(requests.collect()).map_err(Error::Generate)?;
    let code: BTreeMap<_, _> = code.into_iter().collect();
    let mut messages = BTreeMap::new();
    for (module, text) in code {
        match syn::parse_file(&text) {
            Ok(file) => drop(messages.insert(module, file)),
            Err(reason) => problems.push(invalid_rust(&module, &reason)),
        }
    }
    Ok((services.take(), messages))
}

/// The code that lets Rust services and records use the messages of each module.
fn describe(
    set: &FileDescriptorSet,
    messages: &BTreeMap<Module, syn::File>,
    options: &Options,
) -> HashMap<Module, String> {
    let described = messages.iter().filter_map(|(module, file)| {
        let types = described::of(set, module, file);
        let names = types.iter().map(|of| of.name.as_str());
        // If descriptors contradict each other, an error appears for the service. Messages without a service do not
        // need a schema.
        let schema = mdp_schema::types(set, names).ok().filter(|_| !types.is_empty())?;
        let code = emit::described::all(&types, &schema.to_bytes(), options);
        Some((module.clone(), code.to_string()))
    });
    described.collect()
}

fn invalid_rust(module: &Module, reason: &syn::Error) -> Problem {
    Problem::of_setting(Mistake::InvalidRust {
        package: module.to_string().replace("::", "."),
        reason: reason.to_string(),
        advice: "look at its attributes, its extern_paths, and at names without letters such as `_`",
    })
}

/// Collects the services by their Rust module; two packages may share a module.
fn bind(
    settings: &Settings,
    set: &FileDescriptorSet,
    files: &Files,
    services: &[ProstService],
    problems: &mut Vec<Problem>,
) -> BTreeMap<Module, RustModule> {
    let mut modules: BTreeMap<Module, RustModule> = BTreeMap::new();
    let mut binding = Binding::new(settings, set, files);
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

/// Generates the code of each service.
fn code(
    modules: &BTreeMap<Module, RustModule>,
    options: &Options,
) -> HashMap<(String, String), String> {
    let services = modules.values().flat_map(|module| &module.services);
    services
        .map(|service| {
            let code = emit::service(service, options).to_string();
            let plain = service.plain();
            ((plain.package.clone(), plain.name.clone()), code)
        })
        .collect()
}
