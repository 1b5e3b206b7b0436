//! What an executable needs to run where there is nothing else: its ELF loader and its shared
//! libraries, at their own paths. An image of these does not depend on a C library of its own.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use lddtree::DependencyAnalyzer;

/// Where the executable is in the image.
pub const EXECUTABLE: &str = "/mtalab";

/// Why an executable cannot be carried into an image.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// It is for another system.
    #[error("{0} is not a Linux executable, and the containers of the lab are Linux: run mtalab on Linux")]
    NotElf(PathBuf),
    /// One of its libraries is nowhere.
    #[error("the library {library} of {executable} is not found: `ldd {executable}` shows which are missing")]
    Library {
        /// The executable.
        executable: PathBuf,
        /// The name of the library.
        library: String,
    },
    /// Its ELF headers make no sense.
    #[error("{path} cannot be analysed: {source}")]
    Analysis {
        /// The executable.
        path: PathBuf,
        /// Why.
        source: lddtree::Error,
    },
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The files of such an image.
#[derive(Debug)]
pub(super) struct Closure {
    /// From the path in the image to the path here.
    files: BTreeMap<PathBuf, PathBuf>,
}

impl Closure {
    /// Follows the executable's headers; runs nothing.
    pub(super) fn of(executable: &Path) -> Result<Self, ClosureError> {
        let mut magic = [0; 4];
        open(executable)?.read_exact(&mut magic).map_err(|source| ClosureError::Read { path: executable.to_owned(), source })?;
        if magic != *b"\x7fELF" {
            return Err(ClosureError::NotElf(executable.to_owned()));
        }
        let tree = DependencyAnalyzer::default()
            .analyze(executable)
            .map_err(|source| ClosureError::Analysis { path: executable.to_owned(), source })?;
        let mut files = BTreeMap::from([(PathBuf::from(EXECUTABLE), executable.to_owned())]);
        for library in tree.libraries.values() {
            let Some(real) = library.realpath.clone() else {
                return Err(ClosureError::Library { executable: executable.to_owned(), library: library.name.clone() });
            };
            files.insert(library.path.clone(), real);
        }
        // The kernel looks for the loader at the path that the executable names, no other.
        if let Some(loader) = tree.interpreter.map(PathBuf::from) {
            files.insert(loader.clone(), loader);
        }
        Ok(Self { files })
    }

    /// The folders of the libraries, for LD_LIBRARY_PATH: the image has no loader cache.
    pub(super) fn library_path(&self) -> String {
        let mut folders: Vec<_> = self
            .files
            .keys()
            .filter(|path| *path != Path::new(EXECUTABLE))
            .filter_map(|path| path.parent().map(|folder| folder.to_string_lossy().into_owned()))
            .collect();
        folders.dedup();
        folders.join(":")
    }

    /// A hash over all paths and contents, in hexadecimal.
    pub(super) fn hash(&self) -> Result<String, ClosureError> {
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 1 << 20];
        for (target, source) in &self.files {
            context.update(target.as_os_str().as_encoded_bytes());
            context.update(b"\0");
            let mut file = open(source)?;
            loop {
                let read = file.read(&mut buffer).map_err(|error| ClosureError::Read { path: source.clone(), source: error })?;
                if read == 0 {
                    break;
                }
                context.update(&buffer[..read]);
            }
        }
        Ok(super::image::hex(context.finish().as_ref()))
    }

    /// A tar archive of the files.
    pub(super) fn archive<W: Write>(&self, to: W) -> Result<W, ClosureError> {
        let mut builder = tar::Builder::new(to);
        for (target, source) in &self.files {
            let failed = |error| ClosureError::Read { path: source.clone(), source: error };
            let file = open(source)?;
            let mut header = tar::Header::new_gnu();
            header.set_size(file.metadata().map_err(failed)?.len());
            header.set_mode(0o755);
            let inside = target.strip_prefix("/").unwrap_or(target);
            builder.append_data(&mut header, inside, file).map_err(failed)?;
        }
        builder.into_inner().map_err(|source| ClosureError::Read { path: PathBuf::from(EXECUTABLE), source })
    }
}

fn open(path: &Path) -> Result<File, ClosureError> {
    File::open(path).map_err(|source| ClosureError::Read { path: path.to_owned(), source })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_executable_comes_with_its_loader_and_libraries() {
        let closure = Closure::of(&std::env::current_exe().unwrap()).unwrap();
        let targets: Vec<_> = closure.files.keys().map(|path| path.to_string_lossy().into_owned()).collect();
        assert!(targets.contains(&EXECUTABLE.to_owned()));
        if cfg!(target_env = "gnu") {
            assert!(targets.iter().any(|path| path.contains("libc.so")), "{targets:?}");
            assert!(targets.iter().any(|path| path.contains("/ld-linux")), "{targets:?}");
            assert!(closure.library_path().starts_with('/'));
        }
    }

    #[test]
    fn the_hash_follows_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        let hash = |content: &str| {
            std::fs::write(&file, content).unwrap();
            Closure { files: BTreeMap::from([(PathBuf::from(EXECUTABLE), file.clone())]) }.hash().unwrap()
        };
        assert_eq!(hash("a"), hash("a"));
        assert_ne!(hash("a"), hash("b"));
    }

    #[test]
    fn a_script_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "#!/bin/sh\n").unwrap();
        assert!(matches!(Closure::of(&file), Err(ClosureError::NotElf(_))));
    }
}
