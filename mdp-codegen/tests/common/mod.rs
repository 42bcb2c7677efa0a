//! Compiles `.proto` text in a folder of its own and gives the generated files.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};

use mdp_codegen::{Builder, Error};
use tempfile::TempDir;

/// A folder with `.proto` files and one for what is generated.
pub struct Project {
    dir: TempDir,
}

impl Project {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let project = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(project.out()).unwrap();
        for (name, text) in files {
            let path = project.protos().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        project
    }

    pub fn protos(&self) -> PathBuf {
        self.dir.path().join("proto")
    }

    pub fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// With the output here and nothing said to cargo, which runs this test.
    pub fn builder(&self) -> Builder {
        mdp_codegen::configure().out_dir(self.out()).emit_rerun_if_changed(false)
    }

    pub fn compile(&self, builder: Builder, protos: &[&str]) -> Result<(), Error> {
        builder.compile_protos(protos, &[self.protos()])
    }

    /// The text of a generated file.
    pub fn read(&self, file: &str) -> String {
        let path = self.out().join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A generated file as Rust.
    pub fn parse(&self, file: &str) -> syn::File {
        syn::parse_file(&self.read(file)).unwrap()
    }

    /// The names of all generated files but those with descriptors, which stand beside the code of each package.
    pub fn code(&self) -> Vec<String> {
        let mut names = self.files();
        names.retain(|name| !name.ends_with(".descriptors"));
        names
    }

    /// The names of all generated files.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.out()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// Compares with a file in this crate's `tests`, or writes it if `UPDATE_GOLDENS=1` is set.
pub fn golden(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path);
    if std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| value == "1") {
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if let Some((number, (expected, actual))) = difference(&expected, actual) {
        panic!(
            "{}:{number} differs; UPDATE_GOLDENS=1 writes it anew\n  expected: {expected}\n  actual:   {actual}",
            path.display()
        );
    }
}

fn difference(expected: &str, actual: &str) -> Option<(usize, (String, String))> {
    if expected == actual {
        return None;
    }
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (mut expected, mut actual) = (lines(expected), lines(actual));
    let longest = expected.len().max(actual.len());
    expected.resize(longest, "(nothing)".to_owned());
    actual.resize(longest, "(nothing)".to_owned());
    (1..).zip(expected.into_iter().zip(actual)).find(|(_, (expected, actual))| expected != actual)
}
