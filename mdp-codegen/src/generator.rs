//! The way in for generators of other languages.

use std::path::{Path, PathBuf};

use crate::model::{File, Files};

/// Why a [`Generator`] failed. A text becomes one with `.into()`.
pub type GeneratorError = Box<dyn std::error::Error + Send + Sync>;

/// Generates code in another language from the plain model of the services.
///
/// [`Builder::generator`](crate::Builder::generator) takes one. As a plugin of `protoc`, it is called for each file that
/// was asked for, one file after those that it imports. Files that are only imported are in `all`. The services have
/// passed all checks by then. Nothing is written before all generators have succeeded.
///
/// ```
/// use mdp_codegen::model::{File, Files};
/// use mdp_codegen::{Generator, GeneratorError, Output};
///
/// /// Lists the methods of each service, one file for each `.proto` file.
/// struct Paths;
///
/// impl Generator for Paths {
///     fn generate(&mut self, file: &File, _: &Files) -> Result<Vec<Output>, GeneratorError> {
///         let mut text = String::new();
///         for service in &file.services {
///             for method in &service.methods {
///                 let path = service.path(method);
///                 text += &format!("{path}: {} -> {}\n", method.input, method.output);
///             }
///         }
///         Ok(vec![Output::beside(file, ".txt", text)])
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let (proto, gen_folder) = (folder.path().join("auth.proto"), folder.path().join("gen"));
/// # std::fs::write(&proto, "syntax = \"proto3\"; package auth.v1; message Req {} message Rep {} \
/// #     service Auth { rpc Login(Req) returns (Rep); }")?;
/// mdp_codegen::configure()
///     .build_rust(false)
///     .generator(&gen_folder, Paths)
/// #   .emit_rerun_if_changed(false)
///     .compile_protos(&["auth.proto"], &[folder.path()])?;
/// let text = std::fs::read_to_string(gen_folder.join("auth.txt"))?;
/// assert_eq!(text, "auth.v1.Auth/Login: auth.v1.Req -> auth.v1.Rep\n");
/// # Ok(())
/// # }
/// ```
pub trait Generator {
    /// Generates the files for one `.proto` file, which may have no services.
    ///
    /// # Errors
    ///
    /// Any error of the generator's own; it becomes [`Error::Generator`](crate::Error::Generator) with the file's name.
    fn generate(&mut self, file: &File, all: &Files) -> Result<Vec<Output>, GeneratorError>;

    /// Generates what belongs to no single file, such as an index. It is called after the last file. Default: nothing.
    ///
    /// # Errors
    ///
    /// Any error of the generator's own; it becomes [`Error::Generator`](crate::Error::Generator) without a file.
    fn finish(&mut self, all: &Files) -> Result<Vec<Output>, GeneratorError> {
        let _ = all;
        Ok(Vec::new())
    }
}

impl<G: Generator + ?Sized> Generator for Box<G> {
    fn generate(&mut self, file: &File, all: &Files) -> Result<Vec<Output>, GeneratorError> {
        (**self).generate(file, all)
    }

    fn finish(&mut self, all: &Files) -> Result<Vec<Output>, GeneratorError> {
        (**self).finish(all)
    }
}

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    path: PathBuf,
    content: Vec<u8>,
}

impl Output {
    /// A file at this path, which is relative to the generator's folder and stays inside it.
    pub fn new(path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: content.into() }
    }

    /// A file that is named as the `.proto` file is, with `ending` in place of `.proto`: for `auth/v1/auth.proto` and
    /// `_mdp.py` it is `auth/v1/auth_mdp.py`.
    pub fn beside(file: &File, ending: &str, content: impl Into<Vec<u8>>) -> Self {
        let stem = file.name.strip_suffix(".proto").unwrap_or(&file.name);
        Self::new(format!("{stem}{ending}"), content)
    }

    /// The path in the generator's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content.
    pub fn content(&self) -> &[u8] {
        &self.content
    }
}
