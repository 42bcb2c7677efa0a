//! From the code of messages and services to files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_build::{Config, Module};
use prost_types::FileDescriptorSet;

use super::generator::{Writer, empty_files};
use super::messages::{self, Messages};
use super::{Ready, rust_module};
use crate::emit::described::Embedded;
use crate::emit::{self, Options, RustModule};
use crate::errors::{Error, Problem};

/// The packages whose modules have code, one for each module.
pub(super) fn packages(set: &FileDescriptorSet, code: &BTreeMap<Module, syn::File>) -> Vec<String> {
    let packages = set.file.iter().map(|file| (rust_module(file), file.package()));
    let packages: BTreeMap<_, _> =
        packages.filter(|(module, _)| code.contains_key(module)).collect();
    packages.into_values().map(str::to_owned).collect()
}

/// The code of each module: messages, services, and descriptors.
pub(super) fn code(
    messages: Messages,
    modules: &BTreeMap<Module, RustModule>,
    embedded: &BTreeMap<Module, Embedded>,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> HashMap<Module, String> {
    let code = messages.code.into_iter().map(|(module, mut file)| {
        let services = modules.get(&module).into_iter().flat_map(|module| &module.services);
        let mut tokens = proc_macro2::TokenStream::new();
        for service in services {
            tokens.extend(emit::service(service, options));
        }
        tokens.extend(embedded.get(&module).map(|of| emit::described::all(of, options)));
        // The templates are valid Rust, and what comes from the user was parsed before.
        match syn::parse2::<syn::File>(tokens) {
            Ok(more) => {
                file.items.extend(more.items);
                (module, prettyplease::unparse(&file))
            }
            Err(reason) => {
                problems.push(messages::invalid_rust(&module, &reason));
                (module, String::new())
            }
        }
    });
    code.collect()
}

impl Ready {
    /// Writes all files.
    pub(crate) fn write(mut self, out_dir: Option<&Path>) -> Result<(), Error> {
        let folder = out_dir
            .map(PathBuf::from)
            .or_else(|| out_dir_of(&self.config))
            .or_else(|| env::var_os("OUT_DIR").map(PathBuf::from));
        let set = empty_files(self.packages.iter().map(String::as_str));
        let writer = Writer { code: self.code };
        self.config.service_generator(Box::new(writer)).format(false);
        self.config.compile_fds(set).map_err(Error::Generate)?;
        // Without a folder `compile_fds` has failed.
        let Some(folder) = folder else { return Ok(()) };
        for (name, content) in self.beside {
            write_if_changed(folder.join(name), &content)?;
        }
        write_names(&self.packages, &folder)
    }
}

/// The folder that the user has set in the settings of `prost-build`, which show it only so.
fn out_dir_of(config: &Config) -> Option<PathBuf> {
    let text = format!("{config:?}");
    let (_, rest) = text.split_once("out_dir: Some(\"")?;
    let mut escaped = false;
    let end = rest.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let literal: syn::LitStr = syn::parse_str(&format!("\"{}\"", rest.get(..end)?)).ok()?;
    Some(PathBuf::from(literal.value()))
}

fn write_if_changed(path: PathBuf, content: &[u8]) -> Result<(), Error> {
    if fs::read(&path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    fs::write(&path, content).map_err(|source| Error::Write { path, source })
}

/// Writes a file for each package whose name is not that of its file, such as `shop.type.v1` in `shop.r#type.v1.rs`: so
/// `include_proto!` takes the package as the `.proto` file has it.
fn write_names(packages: &[String], folder: &Path) -> Result<(), Error> {
    for package in packages.iter().filter(|package| !package.is_empty()) {
        let file = Module::from_protobuf_package_name(package).to_file_name_or("_");
        let (path, there) = (folder.join(format!("{package}.rs")), folder.join(&file));
        let real = |path: &Path| fs::canonicalize(path).ok();
        // Where the system does not tell cases apart, `Shop.rs` is `shop.rs`.
        let is_same = real(&path).is_some_and(|at| Some(at) == real(&there));
        if !is_same {
            write_if_changed(path, format!("include!({file:?});\n").as_bytes())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use prost_build::Config;

    use super::out_dir_of;

    #[test]
    fn the_folder_in_the_settings_of_prost_build_is_found() {
        let mut config = Config::new();
        assert_eq!(out_dir_of(&config), None);
        for folder in ["out", "a\\b\"c ü"] {
            config.out_dir(folder);
            assert_eq!(out_dir_of(&config), Some(PathBuf::from(folder)));
        }
    }
}
