//! The user's generators: their calls, and the files that they give.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::errors::Error;
use crate::model::{File, Files};
use crate::{Generator, GeneratorError, Output};

/// The generators, each with its folder, in the order of their calls.
#[derive(Clone, Default)]
pub(crate) struct Generators(Vec<(PathBuf, Shared)>);

/// Clones of a builder share their generators.
type Shared = Arc<Mutex<dyn Generator + Send>>;

impl fmt::Debug for Generators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(folder, _)| folder)).finish()
    }
}

impl Generators {
    pub(crate) fn add(&mut self, folder: &Path, generator: impl Generator + Send + 'static) {
        self.0.push((folder.to_owned(), Arc::new(Mutex::new(generator))));
    }

    /// Calls all generators, and gives the files to write.
    pub(crate) fn run(&self, files: &Files) -> Result<Vec<Output>, Error> {
        let mut found = Found::default();
        for (folder, generator) in &self.0 {
            let mut generator = generator.lock().unwrap_or_else(PoisonError::into_inner);
            for file in files.iter().filter(|file| file.requested) {
                found.add(folder, Some(file), generator.generate(file, files))?;
            }
            found.add(folder, None, generator.finish(files))?;
        }
        Ok(found.outputs)
    }
}

/// The files so far, with the generators' folders in their paths.
#[derive(Default)]
struct Found {
    outputs: Vec<Output>,
    paths: HashSet<PathBuf>,
}

impl Found {
    fn add(
        &mut self,
        folder: &Path,
        file: Option<&File>,
        given: Result<Vec<Output>, GeneratorError>,
    ) -> Result<(), Error> {
        let given = given.and_then(|outputs| {
            outputs.into_iter().try_for_each(|output| {
                let path = folder.join(inside(output.path())?);
                if !self.paths.insert(path.clone()) {
                    return Err(format!("{} is generated twice", path.display()).into());
                }
                self.outputs.push(Output::new(path, output.content()));
                Ok(())
            })
        });
        given
            .map_err(|source| Error::Generator { file: file.map(|file| file.name.clone()), source })
    }
}

/// A path that does not leave its folder.
fn inside(path: &Path) -> Result<PathBuf, GeneratorError> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    let parts: Vec<_> = parts.collect();
    match parts.iter().all(|part| matches!(part, Component::Normal(_))) && !parts.is_empty() {
        true => Ok(parts.iter().collect()),
        false => {
            let path = path.display();
            Err(format!("\"{path}\" is no path of a file inside the generator's folder").into())
        }
    }
}

/// Writes the files and makes their folders. A file that is there already with that content is not touched.
pub(crate) fn write(outputs: &[Output]) -> Result<(), Error> {
    for output in outputs {
        let path = output.path();
        if fs::read(path).is_ok_and(|there| there == output.content()) {
            continue;
        }
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(path, output.content()))
            .map_err(|source| Error::Write { path: path.to_owned(), source })?;
    }
    Ok(())
}
