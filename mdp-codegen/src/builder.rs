//! The settings of a build script, and the steps from `.proto` files to generated code.

use std::path::{Path, PathBuf};

use prost::Message;
use prost_build::Config;
use prost_types::FileDescriptorSet;

use crate::check;
use crate::emit::prost::Ready;
use crate::errors::{Error, Problem};
use crate::generator::Generator;
use crate::proto::{Loaded, Settings, lower, outputs, read};

/// Starts a [`Builder`] with the defaults: messages, clients and worker traits, written to cargo's `OUT_DIR`.
///
/// ```no_run
/// # fn main() -> Result<(), mdp_codegen::Error> {
/// mdp_codegen::configure()
///     .build_client(false)
///     .compile_protos(&["proto/auth.proto"], &["proto"])
/// # }
/// ```
pub fn configure() -> Builder {
    Builder::default()
}

/// Generates messages, clients and worker traits with the defaults; for build scripts.
///
/// `protos` are the files to compile. `includes` are the folders with these files and their imports.
///
/// # Errors
///
/// The errors of [`Builder::compile_protos`].
///
/// ```no_run
/// # fn main() -> Result<(), mdp_codegen::Error> {
/// mdp_codegen::compile_protos(&["proto/auth.proto"], &["proto"])
/// # }
/// ```
pub fn compile_protos(
    protos: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> Result<(), Error> {
    configure().compile_protos(protos, includes)
}

/// Settings for generating code from `.proto` files; made by [`configure`](crate::configure).
///
/// Paths of messages, fields and services (`path` below) follow the rules of `prost-build`: `.` matches everything,
/// `.auth.v1` all names in that package, `auth.v1.Session` and `Session` each name that ends with them. Settings with a
/// path add up; they never replace each other.
///
/// ```no_run
/// // build.rs
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     mdp_codegen::configure()
///         .build_client(false)
///         .bytes(".blob.v1.Chunk.data")
///         .compile_protos(&["proto/blob.proto"], &["proto"])?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until one of its `compile` methods is called"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Whether Rust is generated: messages, clients and worker traits. Default: `true`.
    ///
    /// Without it the rules for names in Rust do not hold, and only the [generators](Self::generator) give output.
    pub fn build_rust(mut self, enable: bool) -> Self {
        self.settings.rust = enable;
        self
    }

    /// Adds a generator for another language; its files come into `folder`. Default: none.
    ///
    /// The folder is made if it does not exist. A file whose content has not changed is not written again. Several
    /// generators are called one after the other. The settings [`blocking`](Self::blocking), [`detach`](Self::detach)
    /// and [`disable_comments`](Self::disable_comments) hold for the model that they get. See [`Generator`] for an
    /// example.
    pub fn generator(
        mut self,
        folder: impl AsRef<Path>,
        generator: impl Generator + Send + 'static,
    ) -> Self {
        self.settings.generators.add(folder.as_ref(), generator);
        self
    }

    /// Sets whether clients are generated. Default: `true`.
    pub fn build_client(mut self, enable: bool) -> Self {
        self.settings.client = enable;
        self
    }

    /// Sets whether worker traits are generated. Default: `true`.
    pub fn build_worker(mut self, enable: bool) -> Self {
        self.settings.worker = enable;
        self
    }

    /// Sets the folder for the generated files; it must exist. Default: the `OUT_DIR` that cargo sets.
    pub fn out_dir(mut self, folder: impl AsRef<Path>) -> Self {
        self.settings.out_dir = Some(folder.as_ref().to_owned());
        self
    }

    /// Uses existing Rust types for messages and does not generate these. Default: none.
    ///
    /// `proto_path` begins with a dot; `rust_path` should begin with `::` or `crate::`.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), mdp_codegen::Error> {
    /// mdp_codegen::configure()
    ///     .extern_path(".common.v1", "::common::v1")
    ///     .compile_protos(&["proto/auth.proto"], &["proto"])
    /// # }
    /// ```
    pub fn extern_path(mut self, proto_path: impl AsRef<str>, rust_path: impl AsRef<str>) -> Self {
        add(&mut self.settings.extern_paths, proto_path, rust_path);
        self
    }

    /// Adds an attribute to messages, enums and oneofs. Default: none.
    pub fn type_attribute(mut self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        add(&mut self.settings.type_attributes, path, attribute);
        self
    }

    /// Adds an attribute to messages. Default: none.
    pub fn message_attribute(mut self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        add(&mut self.settings.message_attributes, path, attribute);
        self
    }

    /// Adds an attribute to enums and oneofs. Default: none.
    pub fn enum_attribute(mut self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        add(&mut self.settings.enum_attributes, path, attribute);
        self
    }

    /// Adds an attribute to fields. Default: none.
    pub fn field_attribute(mut self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        add(&mut self.settings.field_attributes, path, attribute);
        self
    }

    /// Adds an attribute to the client structs of services, such as `AuthClient`. Default: none.
    pub fn client_attribute(mut self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        add(&mut self.settings.client_attributes, path, attribute);
        self
    }

    /// Adds an attribute to the client modules of services, such as `auth_client`. Default: none.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), mdp_codegen::Error> {
    /// mdp_codegen::configure()
    ///     .client_mod_attribute("auth.v1", "#[cfg(feature = \"client\")]")
    ///     .compile_protos(&["proto/auth.proto"], &["proto"])
    /// # }
    /// ```
    pub fn client_mod_attribute(
        mut self,
        path: impl AsRef<str>,
        attribute: impl AsRef<str>,
    ) -> Self {
        add(&mut self.settings.client_mod_attributes, path, attribute);
        self
    }

    /// Adds an attribute to the worker structs of services, such as `AuthWorker`. Default: none.
    pub fn worker_attribute(mut self, path: impl AsRef<str>, attribute: impl AsRef<str>) -> Self {
        add(&mut self.settings.worker_attributes, path, attribute);
        self
    }

    /// Adds an attribute to the worker modules of services, such as `auth_worker`. Default: none.
    pub fn worker_mod_attribute(
        mut self,
        path: impl AsRef<str>,
        attribute: impl AsRef<str>,
    ) -> Self {
        add(&mut self.settings.worker_mod_attributes, path, attribute);
        self
    }

    /// Generates `Bytes`, which are cheap to clone, for `bytes` fields. Default: `Vec<u8>` everywhere.
    pub fn bytes(mut self, path: impl AsRef<str>) -> Self {
        self.settings.bytes.push(path.as_ref().to_owned());
        self
    }

    /// Generates a `BTreeMap`, which has an order, for `map` fields. Default: `HashMap` everywhere.
    pub fn btree_map(mut self, path: impl AsRef<str>) -> Self {
        self.settings.btree_map.push(path.as_ref().to_owned());
        self
    }

    /// Removes the comments of messages, fields, services and methods. Default: comments become documentation.
    ///
    /// A method's path is its service's path and its name: `auth.v1.Auth.Login`.
    pub fn disable_comments(mut self, path: impl AsRef<str>) -> Self {
        self.settings.disable_comments.push(path.as_ref().to_owned());
        self
    }

    /// Makes methods blocking: their handlers are plain `fn`s, which may block their thread. Default: none.
    ///
    /// A method's path is its service's path and its name. A service's path stands for all its methods. None of them
    /// may stream. The worker runs them on the threads of tokio's `spawn_blocking`. A runtime has 512 such threads by
    /// default. Further calls wait for a thread. A call that ends before its handler counts for the worker's capacity
    /// until the handler returns.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), mdp_codegen::Error> {
    /// mdp_codegen::configure()
    ///     .blocking("auth.v1.Auth.Hash")
    ///     .compile_protos(&["proto/auth.proto"], &["proto"])
    /// # }
    /// ```
    pub fn blocking(mut self, path: impl AsRef<str>) -> Self {
        self.settings.blocking.push(path.as_ref().to_owned());
        self
    }

    /// Lets handlers run to their end when their call is cancelled, its time is up or the session with the broker is
    /// lost. Default: none; such handlers are dropped.
    ///
    /// A method's path is its service's path and its name. A service's path stands for all its methods. The handler
    /// learns of the end of its call from `cx.is_cancelled()`. Its reply is dropped, and so is its stream of replies,
    /// with the next reply. The handler counts for the worker's capacity until its end.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), mdp_codegen::Error> {
    /// mdp_codegen::configure()
    ///     .detach("shop.v1.Shop.Pay")
    ///     .compile_protos(&["proto/shop.proto"], &["proto"])
    /// # }
    /// ```
    pub fn detach(mut self, path: impl AsRef<str>) -> Self {
        self.settings.detach.push(path.as_ref().to_owned());
        self
    }

    /// Also writes the descriptors of all files and their imports to a file, for reflection. Default: not written.
    pub fn file_descriptor_set_path(mut self, path: impl AsRef<Path>) -> Self {
        self.settings.file_descriptor_set_path = Some(path.as_ref().to_owned());
        self
    }

    /// Writes a file that includes all generated files, each in the modules of its package. Default: not written.
    ///
    /// `path` is relative to the folder of the generated files.
    pub fn include_file(mut self, path: impl AsRef<Path>) -> Self {
        self.settings.include_file = Some(path.as_ref().to_owned());
        self
    }

    /// Generates the messages of `google.protobuf` if they are imported. Default: `false`; they come from the runtime.
    pub fn compile_well_known_types(mut self, enable: bool) -> Self {
        self.settings.compile_well_known_types = enable;
        self
    }

    /// Keeps the name of an enum in the names of its values: `LevelHigh` for `LEVEL_HIGH` of `enum Level`. Default: `false`,
    /// which gives `High`.
    ///
    /// It helps an enum that has both `LEVEL_HIGH` and `HIGH`.
    pub fn retain_enum_prefix(mut self, enable: bool) -> Self {
        self.settings.retain_enum_prefix = enable;
        self
    }

    /// Sets whether the generated code has the descriptors of messages and services. Default: `true`.
    ///
    /// They are up to half of the generated code. Without them a worker cannot tell its schema: `mdp describe` and
    /// `mdp call` do not know its messages, the broker does not see that workers differ, and Rust records cannot use the
    /// messages. Calls are the same.
    pub fn embed_schemas(mut self, enable: bool) -> Self {
        self.settings.embed_schemas = enable;
        self
    }

    /// Sets the path of the runtime in the generated code. Default: `::mdp_runtime`.
    ///
    /// The path must begin with `::` or `crate::`, and have the runtime's module `codegen` below it.
    pub fn runtime_path(mut self, path: impl AsRef<str>) -> Self {
        self.settings.runtime_path = path.as_ref().trim().to_owned();
        self
    }

    /// Sets whether cargo runs the build script again when one of the source files changes, imports included. Default:
    /// `true`.
    pub fn emit_rerun_if_changed(mut self, enable: bool) -> Self {
        self.settings.emit_rerun_if_changed = enable;
        self
    }

    /// Generates messages, clients and worker traits; one file for each package.
    ///
    /// `protos` are the files to compile. `includes` are the folders with these files and their imports. Code for
    /// imported files is generated, too, except for `google.protobuf` and `mdp/options.proto`. These two need no
    /// folder.
    ///
    /// # Errors
    ///
    /// [`Error::Problems`]: the files or the settings have mistakes. It has all of them, and no file is written.
    /// [`Error::Generator`]: a generator failed, and no file is written. The other kinds: a file cannot be written.
    pub fn compile_protos(
        self,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        self.compile_with_config(Config::new(), protos, includes)
    }

    /// Like [`compile_protos`](Self::compile_protos), with settings of `prost-build` that this builder lacks.
    ///
    /// A setting of the builder takes precedence over the same one in `config`. Three settings are always the
    /// builder's: the paths of prost, which follow from [`runtime_path`](Self::runtime_path), and the service
    /// generator. `config` must not set `file_descriptor_set_path`, which `prost-build` only writes with `protoc`. The
    /// `disable_comments` of `config` covers only messages; the builder's covers services, too.
    ///
    /// ```no_run
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut config = mdp_codegen::prost_build::Config::new();
    ///     config.enable_type_names();
    ///     mdp_codegen::configure()
    ///         .compile_with_config(config, &["proto/auth.proto"], &["proto"])?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`compile_protos`](Self::compile_protos).
    pub fn compile_with_config(
        self,
        config: Config,
        protos: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        let (loaded, problems) = read::texts(&owned(protos), &owned(includes));
        if self.settings.emit_rerun_if_changed {
            rerun_if_changed(&loaded.opened);
        }
        self.compile(config, &loaded, problems)
    }

    /// Like [`compile_protos`](Self::compile_protos), for descriptors of files that were already read.
    ///
    /// The set must have all imports. Errors name lines only if the set has source positions, and cargo watches no files.
    /// Values of `option (mdp.method)`, custom options and editions are lost, because prost's descriptors do not have
    /// them; [`compile_encoded_fds`](Self::compile_encoded_fds) keeps them. For a [`Generator`], the files that no other
    /// one imports are those that were asked for.
    ///
    /// # Errors
    ///
    /// The errors of [`compile_protos`](Self::compile_protos). The set is checked as a whole: what no parser writes, such
    /// as a field without a type, is a problem with the name of its file.
    pub fn compile_fds(self, set: FileDescriptorSet) -> Result<(), Error> {
        self.compile_encoded_fds(set.encode_to_vec())
    }

    /// Like [`compile_fds`](Self::compile_fds), for the bytes of a `google.protobuf.FileDescriptorSet`, as `protoc` and
    /// `buf` write them.
    ///
    /// They keep `option (mdp.method)`, custom options, and the features of files in editions 2023 and 2024.
    ///
    /// ```no_run
    /// fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///     // protoc --include_imports --include_source_info --descriptor_set_out=auth.binpb auth.proto
    ///     mdp_codegen::configure().compile_encoded_fds(std::fs::read("auth.binpb")?)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`compile_fds`](Self::compile_fds); the bytes are not a set of descriptors.
    pub fn compile_encoded_fds(self, set: impl AsRef<[u8]>) -> Result<(), Error> {
        let (loaded, problems) = read::set(set.as_ref());
        self.compile(Config::new(), &loaded, problems)
    }

    fn compile(
        self,
        config: Config,
        loaded: &Loaded,
        mut problems: Vec<Problem>,
    ) -> Result<(), Error> {
        let settings = &self.settings;
        problems.extend(settings.problems());
        let options = match settings.options() {
            Some(options) if problems.is_empty() => options,
            _ => return Err(Error::of(problems)),
        };
        let files = lower::files(settings, loaded, &mut problems);
        for service in files.iter().flat_map(|file| &file.services) {
            problems.extend(check::service(service));
        }
        let rust = match settings.rust {
            true => Ready::of(settings, config, &options, (loaded, &files), &mut problems)?,
            false => None,
        };
        if !problems.is_empty() {
            return Err(Error::of(problems));
        }
        let outputs = settings.generators.run(&files)?;
        if let Some(rust) = rust {
            rust.write(settings.out_dir.as_deref())?;
        }
        outputs::write(&outputs)?;
        let Some(path) = &settings.file_descriptor_set_path else {
            return Ok(());
        };
        std::fs::write(path, files.descriptors())
            .map_err(|source| Error::Write { path: path.clone(), source })
    }
}

fn add(list: &mut Vec<(String, String)>, path: impl AsRef<str>, what: impl AsRef<str>) {
    list.push((path.as_ref().to_owned(), what.as_ref().to_owned()));
}

fn owned(paths: &[impl AsRef<Path>]) -> Vec<PathBuf> {
    paths.iter().map(|path| path.as_ref().to_owned()).collect()
}

/// Every version of cargo understands the form with one colon.
fn rerun_if_changed(opened: &[PathBuf]) {
    for path in opened {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}
