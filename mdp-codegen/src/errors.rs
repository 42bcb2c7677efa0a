//! Mistakes in definitions, collected and shown together.

use std::fmt;

use crate::model::{MAX_NAME_BYTES, Place, Service};

/// One mistake, with its place.
///
/// It reads as `auth.proto:12: service auth.v1.Auth, method getUrl: its name in Rust would be `get_url`, ..`.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The place in a `.proto` file. `None`: it is in none, for example in a setting of the builder, or in a Rust trait,
    /// where a macro finds the place by [`number`](Self::number).
    pub place: Option<Place>,
    /// The service with the mistake, with its package.
    pub service: Option<String>,
    /// The method with the mistake, by its name on the wire.
    pub method: Option<String>,
    /// The number of that method: its place in [`Service::methods`].
    pub number: Option<usize>,
    /// The mistake.
    pub mistake: Mistake,
}

impl Problem {
    /// Makes the problem of a mistake in the declaration of a service.
    pub fn of_service(service: &Service, mistake: Mistake) -> Self {
        Self {
            place: service.place.clone(),
            service: Some(service.full_name()),
            method: None,
            number: None,
            mistake,
        }
    }

    /// A mistake in the declaration of the method with this number.
    pub fn of_method(service: &Service, number: usize, mistake: Mistake) -> Self {
        let method = service.methods.get(number);
        Self {
            place: method.and_then(|method| method.place.clone()),
            method: method.map(|method| method.name.clone()),
            number: Some(number),
            ..Self::of_service(service, mistake)
        }
    }

    /// Makes the problem of a mistake without a place in a source file.
    #[cfg(feature = "proto")]
    pub(crate) fn of_setting(mistake: Mistake) -> Self {
        Self { place: None, service: None, method: None, number: None, mistake }
    }

    /// The sort key: by file, then by line; settings come first.
    #[cfg(feature = "proto")]
    fn position(&self) -> (String, usize) {
        let place = self.place.clone().unwrap_or_default();
        (place.file, place.line.unwrap_or(0))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        match (&self.service, &self.method) {
            (Some(service), Some(method)) => write!(f, "service {service}, method {method}: ")?,
            (Some(service), None) => write!(f, "service {service}: ")?,
            (None, _) => {}
        }
        self.mistake.fmt(f)
    }
}

/// A mistake without its place.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mistake {
    /// Two methods of one service have the same name in Rust.
    #[error(
        "its name in Rust would be `{rust}`, which method {other} already has; rename one of them"
    )]
    SameRustName {
        /// The name in Rust.
        rust: String,
        /// The method that came first, by its name on the wire.
        other: String,
    },
    /// Two methods of one service have the same name on the wire.
    #[error(
        "its name on the wire is `{name}`, which method `{other}` already has; give one of them another \
         with `#[mdp(rename = \"..\")]`"
    )]
    SameWireName {
        /// The name on the wire.
        name: String,
        /// The method that came first, by its name in Rust.
        other: String,
    },
    /// A module to generate already exists.
    #[error("the generated module `{module}` clashes with {by}; rename one of them")]
    ModuleTaken {
        /// The name of the module.
        module: String,
        /// The item that already has this name.
        by: String,
    },
    /// The name, with its package, does not fit on the wire.
    #[error(
        "the name has {bytes} bytes with its package, and the wire allows {}; shorten it",
        MAX_NAME_BYTES
    )]
    ServiceNameTooLong {
        /// The length of the name.
        bytes: usize,
    },
    /// The path of a method does not fit on the wire.
    #[error(
        "the path \"service/method\" has {bytes} bytes, and the wire allows {}; shorten one of the names",
        MAX_NAME_BYTES
    )]
    PathTooLong {
        /// The length of the path.
        bytes: usize,
    },
    /// A method with a stream is `blocking`.
    #[error(
        "a blocking method has one request and one reply; for a stream, remove `blocking` and run the blocking \
         code with `spawn_blocking`"
    )]
    BlockingStream,
    /// A method's timeout is zero.
    #[error(
        "a call with a timeout of zero ends before it begins; give a `timeout_ms` of at least 1"
    )]
    NoTime,
    /// A method's timeout is zero.
    #[error(
        "a call with a stream cannot be retried, because its messages cannot be sent again; remove `retry_attempts`"
    )]
    RetryStream,
    /// The number of attempts is out of range.
    #[error("the number of attempts is out of range; give a `retry_attempts` of 1 to 100")]
    NoAttempt,
    /// An option of a method has a value that is newer than this crate.
    #[error("`on_cancel` has the unknown value {value}; give `CANCEL` or `DETACH`")]
    UnknownOnCancel {
        /// The value's number.
        value: i32,
    },
    /// The name cannot become a Rust name, for example `_`.
    #[error("`{name}` cannot become a Rust name; use a name with letters")]
    NoRustName {
        /// The name on the wire.
        name: String,
    },
    /// A `.proto` file cannot be read or understood.
    #[error("{message}")]
    Proto {
        /// The compiler's message, and its advice if it has any.
        message: String,
    },
    /// A `.proto` file is not in any include folder.
    #[error("{path} was not found; searched in: {includes}{}", advice_if(*.exists))]
    NotIncluded {
        /// The requested file.
        path: String,
        /// The folders that were searched, separated by commas.
        includes: String,
        /// Whether a file with that path exists outside of these folders.
        exists: bool,
    },
    /// An import is not in any include folder.
    #[error("the import \"{import}\" was not found; searched in: {includes}")]
    ImportNotFound {
        /// The requested file.
        import: String,
        /// The folders that were searched, separated by commas.
        includes: String,
    },
    /// A setting of the builder has a value that cannot be used.
    #[error("{setting}(\"{value}\"): {reason}")]
    Setting {
        /// The builder's method.
        setting: &'static str,
        /// The value.
        value: String,
        /// The reason why it cannot be used.
        reason: String,
    },
    /// Two declarations have the same name in Rust.
    #[error("{what} is `{rust}` in Rust, as is {other}; {advice}")]
    RustNameTaken {
        /// The declaration.
        what: String,
        /// The name in Rust.
        rust: String,
        /// The declaration that came first, with its place.
        other: String,
        /// What to do.
        advice: &'static str,
    },
    /// The code of two packages would come into one file.
    #[error(
        "the code of package `{package}` comes into the file {file}, as does that of package {other}; rename one of them"
    )]
    SameFile {
        /// The generated file.
        file: String,
        /// The package.
        package: String,
        /// The package that came first, with a file of it.
        other: String,
    },
    /// A type in a package of Google's is neither generated nor in the runtime.
    #[error(
        "`{name}` is not generated, because the types of `google.protobuf` come from the runtime, which does not have it; \
         set `compile_well_known_types(true)`, or move it to another package"
    )]
    NotInRuntime {
        /// The full name of the type.
        name: String,
    },
    /// A library that this crate uses has panicked at the file.
    #[error(
        "the file cannot be compiled, because of a fault in a library ({reason}); please report it with the file"
    )]
    Panicked {
        /// The message of the panic.
        reason: String,
    },
    /// The code for the messages of a package is not valid Rust.
    #[error("the code generated for package \"{package}\" is not valid Rust ({reason}); {advice}")]
    InvalidRust {
        /// The package.
        package: String,
        /// The parser's message.
        reason: String,
        /// A hint for the user.
        advice: &'static str,
    },
}

fn advice_if(exists: bool) -> &'static str {
    if exists { " (the file exists; add its folder)" } else { "" }
}

/// The reason why no code was generated.
///
/// `Debug` prints the text of `Display` and the cause: cargo shows it when the `main` of a build script returns the
/// error.
#[cfg(feature = "proto")]
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The `.proto` files or the settings have mistakes; no file was written.
    #[error("{}", in_lines(.0))]
    Problems(Vec<Problem>),
    /// `prost-build` refused its settings, or could not write its files.
    #[error("the generated code was not written")]
    Generate(#[source] std::io::Error),
    /// A generator of the user's failed; no file was written.
    #[error("no code was generated, because the generator failed {}", at(file.as_deref()))]
    Generator {
        /// The `.proto` file that it was called for. `None`: it failed after the last one.
        file: Option<String>,
        /// The generator's error.
        source: crate::GeneratorError,
    },
    /// A file other than the generated Rust could not be written.
    #[error("{} was not written", path.display())]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

#[cfg(feature = "proto")]
impl Error {
    /// Returns all problems, sorted by place. Empty for other kinds of errors.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Problems(problems) => problems,
            Self::Generate(_) | Self::Generator { .. } | Self::Write { .. } => &[],
        }
    }

    pub(crate) fn of(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(Problem::position);
        Self::Problems(problems)
    }
}

#[cfg(feature = "proto")]
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match std::error::Error::source(self) {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "proto")]
fn at(file: Option<&str>) -> String {
    file.map_or_else(|| "after the last file".to_owned(), |file| format!("at {file}"))
}

#[cfg(feature = "proto")]
fn in_lines(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        several => format!("{several} problems"),
    };
    let mut text = format!("no code was generated, because of {count}:");
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    text
}
