//! Reads files and their imports: from folders, or from a set of descriptors.
//!
//! After a file with mistakes the next ones are read all the same, to find the mistakes of all. A file whose import has
//! mistakes is left out, with no problem of its own.

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
    Done,
    /// Its imports are being read.
    Open,
    /// It, or one of its imports, has mistakes.
    Failed,
}

/// A file whose imports are being read.
struct Open {
    parsed: Parsed,
    encoded: Option<Vec<u8>>,
    /// The number of the next import.
    next: usize,
    /// It has failed, with these problems of its own.
    problems: Option<Vec<Problem>>,
}

struct Reader<'a> {
    source: Source<'a>,
    pool: Pool,
    names: Names,
    states: HashMap<String, State>,
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

    /// Reads a file and, before it, its imports. Files may import each other in a long row, so no call is within another.
    fn file(&mut self, name: &str) -> Result<(), Not> {
        let mut open = Vec::from_iter(self.start(name)?);
        loop {
            let Some(top) = open.last_mut() else { return Ok(()) };
            let number = top.next;
            top.next += 1;
            if let Some(import) = top.parsed.file.dependency.get(number).cloned() {
                let started = self.import(&import, number, &mut open);
                open.extend(started);
                continue;
            }
            let Some(done) = open.pop() else { return Ok(()) };
            let name = done.parsed.file.name().to_owned();
            let added = match done.problems {
                Some(problems) => Err(problems),
                None => self.add(done.parsed, done.encoded),
            };
            match added {
                Ok(()) => drop(self.states.insert(name, State::Done)),
                Err(problems) => {
                    self.failed(&name, problems);
                    match open.last_mut() {
                        Some(importer) => drop(importer.problems.get_or_insert_default()),
                        None => return Err(Not::Good),
                    }
                }
            }
        }
    }

    /// Opens a file, unless it is done.
    fn start(&mut self, name: &str) -> Result<Option<Open>, Not> {
        match self.states.get(name) {
            Some(State::Done) => return Ok(None),
            Some(State::Failed | State::Open) => return Err(Not::Good),
            None => {}
        }
        let opened = match self.find(name) {
            Found::Missing => return Err(Not::There),
            Found::Problems(problems) => Err(problems),
            Found::Text(path, text) => {
                self.opened.push(path);
                parse(name, &text).map(|parsed| (parsed, None))
            }
            Found::BuiltIn(parsed) => Ok((*parsed, None)),
            Found::Descriptor(file, encoded) => {
                with_edition(*file, &encoded).map(|(file, edition)| {
                    (Parsed { file, text: String::new(), edition }, Some(encoded))
                })
            }
        };
        match opened {
            Ok((parsed, encoded)) => {
                self.states.insert(name.to_owned(), State::Open);
                Ok(Some(Open { parsed, encoded, next: 0, problems: None }))
            }
            Err(problems) => {
                self.failed(name, problems);
                Err(Not::Good)
            }
        }
    }

    /// Opens an import of the last of the open files.
    fn import(&mut self, import: &str, number: usize, open: &mut [Open]) -> Option<Open> {
        let cycle = (self.states.get(import) == Some(&State::Open)).then(|| {
            let open = open.iter().map(|file| file.parsed.file.name());
            let cycle = open.skip_while(|name| *name != import).chain([import]);
            cycle.collect::<Vec<_>>().join(" -> ")
        });
        let importer = open.last_mut()?;
        let mut earlier = importer.parsed.file.dependency.iter().take(number);
        let mistake = if earlier.any(|other| other == import) {
            Mistake::Proto { message: format!("import '{import}' was listed twice") }
        } else if let Some(cycle) = cycle {
            Mistake::Proto { message: format!("import cycle detected: {cycle}") }
        } else {
            match self.start(import) {
                Ok(started) => return started,
                Err(Not::Good) => {
                    importer.problems.get_or_insert_default();
                    return None;
                }
                Err(Not::There) => self.missing(import),
            }
        };
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let place = Some(Sources::of(&importer.parsed.file).place(&[3, number]));
        let problem = Problem { place, ..Problem::of_setting(mistake) };
        importer.problems.get_or_insert_default().push(problem);
        None
    }

    fn failed(&mut self, name: &str, problems: Vec<Problem>) {
        self.problems.extend(problems);
        self.states.insert(name.to_owned(), State::Failed);
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
