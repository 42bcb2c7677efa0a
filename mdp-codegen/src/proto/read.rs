//! Reads files and their imports: from folders, or from a set of descriptors.
//!
//! After a file with mistakes the next ones are read all the same, to find the mistakes of all. A file whose import has
//! mistakes is left out without a word of its own.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use prost::Message;
use prost_types::FileDescriptorProto;
use protox::file::{FileResolver, GoogleFileResolver, IncludeFileResolver};

use super::descriptors::Loaded;
use super::editions::{Edition, Encoded, Parts, features_of, lower};
use super::parser::{DEFAULT, Names, Parsed, Pool, parse, problem_at};
use super::sources::Sources;
use super::{options, verify};
use crate::errors::{Mistake, Problem};

/// The chain of imports of a file may be so long: each one is a call within another.
const MAX_IMPORTS: usize = 500;

/// Reads files from folders.
pub(crate) fn texts(protos: &[PathBuf], includes: &[PathBuf]) -> (Loaded, Vec<Problem>) {
    let mut reader = Reader::new(Source::Folders(includes));
    for proto in protos {
        reader.requested(proto, includes);
    }
    reader.finish()
}

/// Reads a set of descriptors in encoded form.
pub(crate) fn set(encoded: &[u8]) -> (Loaded, Vec<Problem>) {
    let mut files = HashMap::new();
    let mut names = Vec::new();
    let mut problems = Vec::new();
    match Parts::decode(encoded) {
        Ok(parts) => {
            for (number, part) in (1..).zip(parts.file) {
                match FileDescriptorProto::decode(part.as_slice()) {
                    Ok(file) if file.name().is_empty() => problems.push(no_name(number)),
                    Ok(file) => {
                        let name = file.name().to_owned();
                        if files.insert(name.clone(), (file, part)).is_some() {
                            let message = "the set has two files with this name".to_owned();
                            problems.push(problem_at(&name, None, message));
                        }
                        names.push(name);
                    }
                    Err(error) => problems.push(not_a_set(&format!("file {number}: {error}"))),
                }
            }
        }
        Err(error) => problems.push(not_a_set(&error.to_string())),
    }
    let imported: HashSet<_> =
        files.values().flat_map(|(file, _)| file.dependency.iter().cloned()).collect();
    let mut reader = Reader::new(Source::Set(files));
    reader.problems = problems;
    for name in names {
        let _ = reader.file(&name);
        if !imported.contains(&name) {
            reader.wanted.insert(name);
        }
    }
    reader.finish()
}

fn no_name(number: usize) -> Problem {
    let message = format!("file {number} of the set of descriptors has no name");
    Problem::of_setting(Mistake::Proto { message })
}

fn not_a_set(reason: &str) -> Problem {
    let message = format!(
        "the bytes are no google.protobuf.FileDescriptorSet ({reason}); write one with \
         `protoc --descriptor_set_out=FILE --include_imports`"
    );
    Problem::of_setting(Mistake::Proto { message })
}

enum Source<'a> {
    Folders(&'a [PathBuf]),
    /// The files, decoded and encoded.
    Set(HashMap<String, (FileDescriptorProto, Vec<u8>)>),
}

/// What is at a name.
enum Found {
    Text(PathBuf, String),
    BuiltIn(Box<Parsed>),
    Descriptor(Box<FileDescriptorProto>, Vec<u8>),
    Missing,
    Problems(Vec<Problem>),
}

/// How far a file has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its imports are being read.
    Open,
    Done,
    /// It, or one of its imports, has mistakes.
    Failed,
}

struct Reader<'a> {
    source: Source<'a>,
    pool: Pool,
    names: Names,
    states: HashMap<String, State>,
    /// The files whose imports are being read, the outermost one first.
    stack: Vec<String>,
    wanted: HashSet<String>,
    opened: Vec<PathBuf>,
    problems: Vec<Problem>,
}

/// The file is not there, or it failed.
enum Not {
    There,
    Good,
}

impl<'a> Reader<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            source,
            pool: Pool::default(),
            names: Names::default(),
            states: HashMap::new(),
            stack: Vec::new(),
            wanted: HashSet::new(),
            opened: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn finish(self) -> (Loaded, Vec<Problem>) {
        let (set, encoded, pool) = self.pool.finish();
        let names = set.file.iter().map(|file| file.name());
        let imported = names.filter(|name| !self.wanted.contains(*name));
        let imported = imported.map(str::to_owned).collect();
        // The type of a request and of its reply is looked up twice.
        let mut seen = HashSet::new();
        let mut problems = self.problems;
        problems.retain(|problem| seen.insert(problem.to_string()));
        (Loaded { imported, opened: self.opened, set, encoded, pool }, problems)
    }

    /// Reads a file that was asked for.
    fn requested(&mut self, path: &Path, includes: &[PathBuf]) {
        let inside = includes
            .iter()
            .find_map(|include| IncludeFileResolver::new(include.clone()).resolve_path(path));
        let is_inside = inside.is_some();
        let Some(name) = inside.or_else(|| name_of(path)) else {
            return self.problems.push(not_included(path, includes));
        };
        if is_inside && let Some(other) = shadow(path, &name, includes) {
            let (path, other) = (path.display(), other.display());
            let message = format!("path '{path}' is shadowed by '{other}' in the include paths");
            return self.problems.push(problem_at(&name, None, message));
        }
        self.wanted.insert(name.clone());
        if matches!(self.file(&name), Err(Not::There)) {
            self.problems.push(not_included(path, includes));
        }
    }

    /// Reads a file and, before it, its imports.
    fn file(&mut self, name: &str) -> Result<(), Not> {
        match self.states.get(name) {
            Some(State::Done) => return Ok(()),
            Some(State::Failed | State::Open) => return Err(Not::Good),
            None => {}
        }
        let (parsed, encoded) = match self.find(name) {
            Found::Missing => return Err(Not::There),
            Found::Problems(problems) => return self.failed(name, problems),
            Found::Text(path, text) => {
                self.opened.push(path);
                match parse(name, &text) {
                    Ok(parsed) => (parsed, None),
                    Err(problems) => return self.failed(name, problems),
                }
            }
            Found::BuiltIn(parsed) => (*parsed, None),
            Found::Descriptor(file, encoded) => {
                let (file, edition) = match with_edition(*file, &encoded) {
                    Ok(read) => read,
                    Err(problems) => return self.failed(name, problems),
                };
                (Parsed { file, text: String::new(), edition }, Some(encoded))
            }
        };
        self.states.insert(name.to_owned(), State::Open);
        self.stack.push(name.to_owned());
        let imports = self.imports(&parsed.file);
        self.stack.pop();
        let added = match imports {
            Ok(()) => self.add(parsed, encoded),
            Err(problems) => Err(problems),
        };
        match added {
            Ok(()) => {
                self.states.insert(name.to_owned(), State::Done);
                Ok(())
            }
            Err(problems) => self.failed(name, problems),
        }
    }

    fn failed(&mut self, name: &str, problems: Vec<Problem>) -> Result<(), Not> {
        self.problems.extend(problems);
        self.states.insert(name.to_owned(), State::Failed);
        Err(Not::Good)
    }

    fn find(&self, name: &str) -> Found {
        let includes = match &self.source {
            Source::Set(files) => {
                return files.get(name).map_or(Found::Missing, |(file, encoded)| {
                    Found::Descriptor(Box::new(file.clone()), encoded.clone())
                });
            }
            Source::Folders(includes) => includes,
        };
        for include in *includes {
            let path = include.join(name);
            match fs::read(&path) {
                Ok(bytes) => {
                    return String::from_utf8(bytes).map_or_else(
                        |_| {
                            let message = "the file is not valid UTF-8".to_owned();
                            Found::Problems(vec![problem_at(name, None, message)])
                        },
                        |text| Found::Text(path, text),
                    );
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let message = format!("error opening file '{}': {error}", path.display());
                    return Found::Problems(vec![problem_at(name, None, message)]);
                }
            }
        }
        if let Ok(file) = GoogleFileResolver::new().open_file(name) {
            let file = file.file_descriptor_proto().clone();
            let parsed = Parsed { file, text: String::new(), edition: None };
            return Found::BuiltIn(Box::new(parsed));
        }
        let Some(text) = options::built_in(name) else { return Found::Missing };
        match parse(name, &text) {
            Ok(parsed) => Found::BuiltIn(Box::new(parsed)),
            Err(problems) => Found::Problems(problems),
        }
    }

    /// Reads the imports of a file. With no problems in the error, those of an import were reported.
    fn imports(&mut self, file: &FileDescriptorProto) -> Result<(), Vec<Problem>> {
        let sources = Sources::of(file);
        let at = |number: i32, mistake| Problem {
            place: Some(sources.place(&[3, number])),
            ..Problem::of_setting(mistake)
        };
        let mut problems = Vec::new();
        let mut failed = false;
        let mut seen = HashSet::new();
        for (number, import) in (0..).zip(&file.dependency) {
            if !seen.insert(import) {
                let message = format!("import '{import}' was listed twice");
                problems.push(at(number, Mistake::Proto { message }));
            } else if let Some(from) = self.stack.iter().position(|open| open == import) {
                let cycle = self.stack.iter().skip(from).chain([import]);
                let cycle = cycle.map(String::as_str).collect::<Vec<_>>().join(" -> ");
                let message = format!("import cycle detected: {cycle}");
                problems.push(at(number, Mistake::Proto { message }));
            } else if self.stack.len() > MAX_IMPORTS {
                let message = format!("more than {MAX_IMPORTS} files import each other in a row");
                problems.push(at(number, Mistake::Proto { message }));
            } else {
                match self.file(import) {
                    Ok(()) => {}
                    Err(Not::Good) => failed = true,
                    Err(Not::There) => problems.push(at(number, self.missing(import))),
                }
            }
        }
        if failed || !problems.is_empty() { Err(problems) } else { Ok(()) }
    }

    fn missing(&self, import: &str) -> Mistake {
        match &self.source {
            Source::Folders(includes) => {
                Mistake::ImportNotFound { import: import.to_owned(), includes: in_words(includes) }
            }
            Source::Set(_) => Mistake::Proto {
                message: format!("the set of descriptors lacks its import \"{import}\""),
            },
        }
    }

    /// Checks a file whose imports are there.
    fn add(&mut self, parsed: Parsed, encoded: Option<Vec<u8>>) -> Result<(), Vec<Problem>> {
        let Parsed { mut file, text, edition } = parsed;
        let problems = |file: &FileDescriptorProto, wrong: Vec<(Vec<i32>, String)>| {
            let sources = Sources::of(file);
            let wrong = wrong.into_iter().map(|(path, message)| Problem {
                place: Some(sources.place(&path)),
                ..Problem::of_setting(Mistake::Proto { message })
            });
            wrong.collect::<Vec<_>>()
        };
        self.names.add(&file);
        let wrong = match (&encoded, edition) {
            (Some(_), _) => verify::file(&file, &self.names),
            (None, Some(_)) => verify::labels(&file),
            (None, None) => Vec::new(),
        };
        if !wrong.is_empty() {
            return Err(problems(&file, wrong));
        }
        self.names.resolve(&mut file);
        if edition.is_some() {
            let wrong = lower(&mut file, DEFAULT);
            if !wrong.is_empty() {
                return Err(problems(&file, wrong));
            }
        }
        let text = (!text.is_empty()).then_some(text.as_str());
        self.pool.add(file, edition.is_some(), encoded, text)
    }
}

/// Adds the features to a descriptor of an edition.
fn with_edition(
    mut file: FileDescriptorProto,
    encoded: &[u8],
) -> Result<(FileDescriptorProto, Option<Edition>), Vec<Problem>> {
    if file.syntax() != "editions" {
        return Ok((file, None));
    }
    let more = Encoded::decode(encoded).unwrap_or_default();
    let edition = match more.edition {
        0 => Err("the descriptor says that it is of an edition, but not of which one; give the bytes that protoc \
                  wrote to `compile_encoded_fds`, because prost's descriptors drop editions"
            .to_owned()),
        number => Edition::of_number(number)
            .ok_or_else(|| format!("the edition with the number {number} is not known; 2023 and 2024 are")),
    };
    let edition = edition.map_err(|message| vec![problem_at(file.name(), None, message)])?;
    features_of(&mut file, &more);
    Ok((file, Some(edition)))
}

/// The name of a path without folders above.
fn name_of(path: &Path) -> Option<String> {
    let parts = path.components().map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let name = parts.collect::<Option<Vec<_>>>()?.join("/");
    (!name.is_empty()).then_some(name)
}

/// The file in an earlier folder that has the same name.
fn shadow(path: &Path, name: &str, includes: &[PathBuf]) -> Option<PathBuf> {
    let mut paths = includes.iter().map(|include| include.join(name));
    let first = paths.find(|path| path.is_file())?;
    let normal = |path: &Path| {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        parts.collect::<PathBuf>()
    };
    (normal(&first) != normal(path)).then_some(first)
}

fn not_included(path: &Path, includes: &[PathBuf]) -> Problem {
    Problem::of_setting(Mistake::NotIncluded {
        path: path.display().to_string(),
        includes: in_words(includes),
        exists: path.is_file(),
    })
}

fn in_words(includes: &[PathBuf]) -> String {
    if includes.is_empty() {
        return "no folder, because the list of includes is empty".to_owned();
    }
    let folders: Vec<_> = includes.iter().map(|folder| folder.display().to_string()).collect();
    folders.join(", ")
}
