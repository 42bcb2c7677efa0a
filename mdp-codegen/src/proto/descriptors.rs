//! Reads `.proto` files with protox.

use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan, SourceCode};
use prost_types::FileDescriptorSet;
use protox::Compiler;
use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};
use protox::prost_reflect::DescriptorPool;

use super::options;
use crate::errors::{Mistake, Problem};
use crate::model::Place;

/// The files that were read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The files and all their imports, imports first.
    pub(crate) set: FileDescriptorSet,
    /// The same set in encoded form, which includes the extension options.
    pub(crate) encoded: Vec<u8>,
    /// The paths of all files that were opened.
    pub(crate) opened: Vec<PathBuf>,
    /// The names of the files that are only imported.
    pub(crate) imported: Vec<String>,
    /// The same as `set`, with the declarations of custom options. `None`: the files came as descriptors.
    pub(crate) pool: Option<DescriptorPool>,
}

/// Reads the files and their imports. After a file with mistakes this continues, to find the mistakes of the other
/// files.
pub(crate) fn load(protos: &[PathBuf], includes: &[PathBuf]) -> (Loaded, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut compiler = Compiler::with_file_resolver(resolver(includes));
    compiler.include_imports(true).include_source_info(true);
    for proto in protos {
        if let Err(error) = compiler.open_file(proto) {
            problems.extend(of_protox(&error, Some(proto), includes));
        }
    }
    (loaded(&compiler), without_repetitions(problems))
}

/// Looks in the folders first, then in the built-in files.
fn resolver(includes: &[PathBuf]) -> ChainFileResolver {
    let mut resolver = ChainFileResolver::new();
    for include in includes {
        resolver.add(IncludeFileResolver::new(include.clone()));
    }
    resolver.add(GoogleFileResolver::new());
    resolver.add(options::BuiltIn);
    resolver
}

fn loaded(compiler: &Compiler) -> Loaded {
    let imported = compiler.files().filter(|file| file.is_import());
    Loaded {
        set: compiler.file_descriptor_set(),
        encoded: compiler.encode_file_descriptor_set(),
        pool: Some(compiler.descriptor_pool()),
        imported: imported.map(|file| file.name().to_owned()).collect(),
        // A built-in file has no path.
        opened: compiler.files().filter_map(|file| file.path().map(Path::to_path_buf)).collect(),
    }
}

/// If two files import the same broken file, its mistakes are reported twice. This removes the second report.
fn without_repetitions(problems: Vec<Problem>) -> Vec<Problem> {
    let mut seen = std::collections::HashSet::new();
    let mut kept = problems;
    kept.retain(|problem| seen.insert(problem.to_string()));
    kept
}

fn of_protox(error: &protox::Error, proto: Option<&PathBuf>, includes: &[PathBuf]) -> Vec<Problem> {
    if let Some(missing) = missing_file(error, proto, includes) {
        return vec![missing];
    }
    let related = error.related().into_iter().flatten();
    let first: &dyn Diagnostic = error;
    std::iter::once(first)
        .chain(related)
        .map(|diagnostic| Problem {
            place: place(diagnostic, error),
            ..Problem::of_setting(Mistake::Proto { message: message(diagnostic) })
        })
        .collect()
}

/// The mistake of a file that is in no include folder, whether it is compiled or imported.
fn missing_file(
    error: &protox::Error,
    proto: Option<&PathBuf>,
    includes: &[PathBuf],
) -> Option<Problem> {
    if !error.is_file_not_found() {
        return None;
    }
    let includes = in_words(includes);
    let place = place(error, error);
    let mistake = match place {
        None => {
            let (path, exists) = (proto?.display().to_string(), proto?.is_file());
            Mistake::NotIncluded { path, includes, exists }
        }
        Some(_) => Mistake::ImportNotFound { import: quoted(&error.to_string())?, includes },
    };
    Some(Problem { place, ..Problem::of_setting(mistake) })
}

/// The quoted name in a message: protox has the name of a missing import only there.
fn quoted(message: &str) -> Option<String> {
    let (_, rest) = message.split_once('\'')?;
    Some(rest.split_once('\'')?.0.to_owned())
}

fn in_words(includes: &[PathBuf]) -> String {
    if includes.is_empty() {
        return "no folder, because the list of includes is empty".to_owned();
    }
    let folders: Vec<_> = includes.iter().map(|folder| folder.display().to_string()).collect();
    folders.join(", ")
}

/// The file and line of the first label. A related diagnostic uses the source of the main one.
fn place(diagnostic: &dyn Diagnostic, main: &protox::Error) -> Option<Place> {
    let line = line(diagnostic, diagnostic.source_code())
        .or_else(|| line(diagnostic, Diagnostic::source_code(main)));
    let file = main.file()?;
    Some(Place { line, ..Place::new(file) })
}

fn line(diagnostic: &dyn Diagnostic, source: Option<&dyn SourceCode>) -> Option<usize> {
    line_of(&diagnostic.labels()?.next()?, source?)
}

fn line_of(label: &LabeledSpan, source: &dyn SourceCode) -> Option<usize> {
    Some(source.read_span(label.inner(), 0, 0).ok()?.line() + 1)
}

/// The text for the other places of a mistake: ``and again here (line 7)``.
fn other_places(diagnostic: &dyn Diagnostic) -> Vec<String> {
    let labels = diagnostic.labels().into_iter().flatten().skip(1);
    labels
        .filter_map(|label| {
            let line = line_of(&label, diagnostic.source_code()?)?;
            let text = label.label().unwrap_or("here").trim_start_matches('…');
            Some(format!("{text} (line {line})"))
        })
        .collect()
}

fn message(diagnostic: &dyn Diagnostic) -> String {
    let mut message = diagnostic.to_string();
    // The system's error for a file that cannot be read.
    let mut cause = std::error::Error::source(diagnostic);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    // What is wrong within an option's value: the name of a field, for instance.
    let mut within = diagnostic.diagnostic_source();
    while let Some(error) = within {
        let text = error.to_string();
        message.push_str(": ");
        message.push_str(&text);
        message.push_str(&super::options::hint(&text));
        within = error.diagnostic_source();
    }
    for place in other_places(diagnostic) {
        message.push_str(", ");
        message.push_str(&place);
    }
    if let Some(help) = diagnostic.help() {
        message.push_str("; ");
        message.push_str(&help.to_string());
    }
    message
}

/// The imports that are missing in a set. `prost-build` assumes that they exist.
pub(crate) fn incomplete(set: &FileDescriptorSet) -> Vec<Problem> {
    let known: std::collections::HashSet<_> = set.file.iter().map(|file| file.name()).collect();
    let imports =
        set.file.iter().flat_map(|file| file.dependency.iter().map(move |import| (file, import)));
    imports
        .filter(|(_, import)| !known.contains(import.as_str()))
        .map(|(file, import)| Problem {
            place: Some(Place::new(file.name())),
            ..Problem::of_setting(Mistake::Proto {
                message: format!("the set of descriptors lacks its import \"{import}\""),
            })
        })
        .collect()
}

/// Removes empty source positions, because `prost-build` panics on them.
pub(crate) fn without_empty_positions(set: &mut FileDescriptorSet) {
    for file in &mut set.file {
        file.source_code_info.take_if(|info| info.location.is_empty());
    }
}
