//! The builder's settings that only Rust has: attributes, paths in Rust, and what `prost-build` is told.

use prost_build::Config;
use syn::Attribute;
use syn::parse::Parser;

use crate::emit::{Attributes, Options};
use crate::errors::{Mistake, Problem};
use crate::proto::{AtPath, Settings, matches};

impl Settings {
    /// Passes all settings for messages to `prost-build`.
    ///
    /// A setting that was not made leaves the user's `config` unchanged.
    pub(crate) fn apply(&self, config: &mut Config) {
        config.prost_path(format!("{}::codegen::prost", self.runtime_path));
        config.prost_types_path(format!("{}::codegen::prost_types", self.runtime_path));
        for (path, rust_path) in &self.extern_paths {
            config.extern_path(path, rust_path);
        }
        self.apply_attributes(config);
        // Each of these three replaces the value in `config`.
        if !self.bytes.is_empty() {
            config.bytes(&self.bytes);
        }
        if !self.btree_map.is_empty() {
            config.btree_map(&self.btree_map);
        }
        if !self.disable_comments.is_empty() {
            config.disable_comments(&self.disable_comments);
        }
        if self.compile_well_known_types {
            config.compile_well_known_types();
        }
        if self.retain_enum_prefix {
            config.retain_enum_prefix();
        }
        if let Some(path) = &self.out_dir {
            config.out_dir(path);
        }
        if let Some(path) = &self.include_file {
            config.include_file(path);
        }
    }

    fn apply_attributes(&self, config: &mut Config) {
        for (path, attribute) in &self.type_attributes {
            config.type_attribute(path, attribute);
        }
        for (path, attribute) in &self.message_attributes {
            config.message_attribute(path, attribute);
        }
        for (path, attribute) in &self.enum_attributes {
            config.enum_attribute(path, attribute);
        }
        for (path, attribute) in &self.field_attributes {
            config.field_attribute(path, attribute);
        }
    }

    /// Returns the settings for the templates. `None`: the runtime path is one of the [`problems`](Self::problems).
    pub(crate) fn options(&self) -> Option<Options> {
        Some(Options {
            runtime: runtime(&self.runtime_path).ok()?,
            client: self.client,
            worker: self.worker,
            dynamic: false,
        })
    }

    /// Returns the attributes for a service. Invalid ones are among the [`problems`](Self::problems).
    pub(crate) fn attributes(&self, service: &str) -> Attributes {
        let of = |list: &[AtPath]| {
            let at_service = list.iter().filter(|(path, _)| matches(path, service));
            at_service.filter_map(|(_, text)| attributes(text).ok()).flatten().collect()
        };
        Attributes {
            client: of(&self.client_attributes),
            client_mod: of(&self.client_mod_attributes),
            worker: of(&self.worker_attributes),
            worker_mod: of(&self.worker_mod_attributes),
        }
    }

    /// Returns the mistakes of the settings themselves.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        [
            ("type_attribute", &self.type_attributes),
            ("message_attribute", &self.message_attributes),
            ("enum_attribute", &self.enum_attributes),
            ("field_attribute", &self.field_attributes),
            ("client_attribute", &self.client_attributes),
            ("client_mod_attribute", &self.client_mod_attributes),
            ("worker_attribute", &self.worker_attributes),
            ("worker_mod_attribute", &self.worker_mod_attributes),
        ]
        .into_iter()
        .flat_map(|(setting, list)| list.iter().map(move |(_, text)| (setting, text)))
        .filter_map(|(setting, text)| Some(bad_setting(setting, text, attributes(text).err()?)))
        .chain(self.bad_runtime_path())
        .chain(self.bad_out_dir())
        .collect()
    }

    fn bad_runtime_path(&self) -> Option<Problem> {
        let reason = runtime(&self.runtime_path).err()?;
        Some(bad_setting("runtime_path", &self.runtime_path, reason))
    }

    /// Checks the folder here, because the system's error would not name it.
    fn bad_out_dir(&self) -> Option<Problem> {
        let folder = self.out_dir.as_ref().filter(|folder| !folder.is_dir())?;
        let value = folder.display().to_string();
        Some(bad_setting("out_dir", &value, no("there is no such folder")))
    }
}

fn attributes(text: &str) -> syn::Result<Vec<Attribute>> {
    let attributes = Attribute::parse_outer.parse_str(text)?;
    if attributes.is_empty() {
        return Err(no("it is no attribute"));
    }
    Ok(attributes)
}

fn runtime(text: &str) -> syn::Result<syn::Path> {
    let path = syn::Path::parse_mod_style.parse_str(text)?;
    // The code is several modules deep, where a relative path would have another meaning in each module.
    let from_root = path.leading_colon.is_some()
        || path.segments.first().is_some_and(|first| first.ident == "crate");
    if from_root { Ok(path) } else { Err(no("it must begin with `::` or `crate::`")) }
}

fn no(reason: &str) -> syn::Error {
    syn::Error::new(proc_macro2::Span::call_site(), reason)
}

fn bad_setting(setting: &'static str, value: &str, reason: syn::Error) -> Problem {
    Problem::of_setting(Mistake::Setting {
        setting,
        value: value.to_owned(),
        reason: reason.to_string(),
    })
}
