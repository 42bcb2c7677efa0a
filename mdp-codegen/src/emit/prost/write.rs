//! From the code of messages and services to files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_build::Module;
use prost_types::FileDescriptorSet;

use super::generator::{Writer, empty_files};
use super::messages::Messages;
use super::{Ready, rust_module};
use crate::emit::described::Embedded;
use crate::emit::{self, Options, RustModule};
use crate::errors::Error;

/// The packages whose modules have code, one for each module.
pub(super) fn packages(
    set: &FileDescriptorSet,
    code: &BTreeMap<Module, syn::File>,
) -> Vec<String> {
    let packages = set.file.iter().map(|file| (rust_module(file), file.package()));
    let packages: BTreeMap<_, _> = packages.filter(|(module, _)| code.contains_key(module)).collect();
    packages.into_values().map(str::to_owned).collect()
}

/// The code of each module: messages, services, and descriptors.
pub(super) fn code(
    messages: Messages,
    modules: &BTreeMap<Module, RustModule>,
    embedded: &BTreeMap<Module, Embedded>,
    options: &Options,
) -> HashMap<Module, String> {
    let code = messages.code.into_iter().map(|(module, mut file)| {
        let services = modules.get(&module).into_iter().flat_map(|module| &module.services);
        let mut tokens = proc_macro2::TokenStream::new();
        for service in services {
            tokens.extend(emit::service(service, options));
        }
        tokens.extend(embedded.get(&module).map(|of| emit::described::all(of, options)));
        // The templates are valid Rust, and what comes from the user was parsed before.
        match syn::parse2::<syn::File>(tokens.clone()) {
            Ok(more) => {
                file.items.extend(more.items);
                (module, prettyplease::unparse(&file))
            }
            Err(_) => (module, format!("{}{tokens}", prettyplease::unparse(&file))),
        }
    });
    code.collect()
}

impl Ready {
    /// Writes all files.
    pub(crate) fn write(mut self, out_dir: Option<&Path>) -> Result<(), Error> {
        let set = empty_files(self.packages.iter().map(String::as_str));
        let writer = Writer { code: self.code };
        self.config.service_generator(Box::new(writer)).format(false);
        self.config.compile_fds(set).map_err(Error::Generate)?;
        write_names(&self.packages, out_dir)
    }
}

/// Writes a file for each package whose name is not that of its file, such as `shop.type.v1` in `shop.r#type.v1.rs`: so
/// `include_proto!` takes the package as the `.proto` file has it.
fn write_names(packages: &[String], out_dir: Option<&Path>) -> Result<(), Error> {
    let Some(folder) = out_dir.map(PathBuf::from).or_else(|| env::var_os("OUT_DIR").map(PathBuf::from))
    else {
        return Ok(());
    };
    for package in packages.iter().filter(|package| !package.is_empty()) {
        let file = Module::from_protobuf_package_name(package).to_file_name_or("_");
        let (path, there) = (folder.join(format!("{package}.rs")), folder.join(&file));
        let is_there = |path: &Path| fs::canonicalize(path).ok();
        // Where the system does not tell cases apart, `Shop.rs` is `shop.rs`.
        let same = is_there(&path).is_some_and(|at| Some(at) == is_there(&there));
        if same || !there.is_file() {
            continue;
        }
        let text = format!("include!({file:?});\n");
        if fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            continue;
        }
        fs::write(&path, text).map_err(|source| Error::Write { path, source })?;
    }
    Ok(())
}
