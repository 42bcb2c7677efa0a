//! The builder's settings, in the order of their calls. `emit/prost/settings` reads those that only Rust has.

use std::path::PathBuf;

use super::matcher::matches;
use super::outputs::Generators;

/// A path in the `.proto` files, and the setting for it.
pub(crate) type AtPath = (String, String);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Whether Rust is generated.
    pub(crate) rust: bool,
    pub(crate) client: bool,
    pub(crate) worker: bool,
    pub(crate) out_dir: Option<PathBuf>,
    pub(crate) extern_paths: Vec<AtPath>,
    pub(crate) type_attributes: Vec<AtPath>,
    pub(crate) message_attributes: Vec<AtPath>,
    pub(crate) enum_attributes: Vec<AtPath>,
    pub(crate) field_attributes: Vec<AtPath>,
    pub(crate) client_attributes: Vec<AtPath>,
    pub(crate) client_mod_attributes: Vec<AtPath>,
    pub(crate) worker_attributes: Vec<AtPath>,
    pub(crate) worker_mod_attributes: Vec<AtPath>,
    pub(crate) bytes: Vec<String>,
    pub(crate) btree_map: Vec<String>,
    pub(crate) disable_comments: Vec<String>,
    pub(crate) blocking: Vec<String>,
    pub(crate) detach: Vec<String>,
    pub(crate) file_descriptor_set_path: Option<PathBuf>,
    pub(crate) include_file: Option<PathBuf>,
    pub(crate) compile_well_known_types: bool,
    pub(crate) retain_enum_prefix: bool,
    pub(crate) embed_schemas: bool,
    pub(crate) runtime_path: String,
    pub(crate) emit_rerun_if_changed: bool,
    pub(crate) generators: Generators,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rust: true,
            client: true,
            worker: true,
            out_dir: None,
            extern_paths: Vec::new(),
            type_attributes: Vec::new(),
            message_attributes: Vec::new(),
            enum_attributes: Vec::new(),
            field_attributes: Vec::new(),
            client_attributes: Vec::new(),
            client_mod_attributes: Vec::new(),
            worker_attributes: Vec::new(),
            worker_mod_attributes: Vec::new(),
            bytes: Vec::new(),
            btree_map: Vec::new(),
            disable_comments: Vec::new(),
            blocking: Vec::new(),
            detach: Vec::new(),
            file_descriptor_set_path: None,
            include_file: None,
            compile_well_known_types: false,
            retain_enum_prefix: false,
            embed_schemas: true,
            runtime_path: "::mdp_runtime".to_owned(),
            emit_rerun_if_changed: true,
            generators: Generators::default(),
        }
    }
}

impl Settings {
    /// Whether a message comes from an `extern_path`, so that it is not generated.
    pub(crate) fn is_extern(&self, message: &str) -> bool {
        self.extern_paths.iter().any(|(path, _)| matches(path, message))
    }

    pub(crate) fn without_comments(&self, name: &str) -> bool {
        any(&self.disable_comments, name)
    }

    pub(crate) fn is_blocking(&self, method: &str) -> bool {
        any(&self.blocking, method)
    }

    pub(crate) fn is_detached(&self, method: &str) -> bool {
        any(&self.detach, method)
    }
}

fn any(paths: &[String], name: &str) -> bool {
    paths.iter().any(|path| matches(path, name))
}
