//! The scenarios that there are: those compiled into the program, or those of a folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use rust_embed::RustEmbed;

use super::{
    error::{quote, show_path},
    parse::{ReadError, SourceFile, read_file},
};
use crate::nearest::nearest;

/// The repository's own scenarios and their snapshots.
#[derive(RustEmbed)]
#[folder = "scenarios"]
#[include = "*.toml"]
#[include = "*.snap"]
struct Embedded;

/// Scenario files by id, not yet parsed.
#[derive(Clone, Debug)]
pub struct Corpus {
    entries: BTreeMap<String, Entry>,
    /// By id and kind of server.
    snapshots: BTreeMap<(String, String), String>,
}

/// One scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `topic/case`, from the path of the file.
    pub id: String,
    /// The file.
    pub source: SourceFile,
}

/// Why a corpus, or a scenario of it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A folder or an entry of it.
    #[error("cannot read {}", show_path(path))]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file of the corpus.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A snapshot that is not UTF-8.
    #[error("the snapshot {} is not UTF-8", show_path(.0))]
    Snapshot(PathBuf),
    /// The path makes no id.
    #[error("{}: a scenario is <topic>/<case>.toml, a snapshot <topic>/<case>.<kind>.snap, each part of a-z, 0-9 and -", show_path(.0))]
    Path(PathBuf),
    /// A link to somewhere else.
    #[error("{} is a symbolic link out of {}", show_path(path), show_path(root))]
    Escape {
        /// The link.
        path: PathBuf,
        /// The folder of the corpus.
        root: PathBuf,
    },
    /// No scenario at all.
    #[error("there is no scenario in {}: expected files such as certificate/expired.toml", show_path(.0))]
    Empty(PathBuf),
    /// No scenario of this id.
    #[error("there is no scenario {}{hint}", quote(id))]
    Unknown {
        /// The id that was asked for.
        id: String,
        /// What was probably meant.
        hint: String,
    },
    /// A filter that selects nothing.
    #[error("no scenario matches {}{hint}", quote(pattern))]
    NoMatch {
        /// The filter.
        pattern: String,
        /// What was probably meant.
        hint: String,
    },
}

impl Corpus {
    /// The scenarios of the repository, compiled in.
    pub fn embedded() -> Result<Self, CorpusError> {
        let root = Path::new("scenarios");
        let mut corpus = Self { entries: BTreeMap::new(), snapshots: BTreeMap::new() };
        for path in Embedded::iter() {
            let Some(file) = Embedded::get(&path) else { continue };
            let name = root.join(path.as_ref());
            corpus
                .add(Path::new(path.as_ref()), SourceFile { name: name.display().to_string(), bytes: file.data.into_owned() })?;
        }
        corpus.or_empty(root)
    }

    /// The scenarios of a folder. Files that are neither `.toml` nor `.snap`, and hidden ones, are left alone.
    pub fn from_dir(root: &Path) -> Result<Self, CorpusError> {
        let real_root = fs::canonicalize(root).map_err(|source| CorpusError::Io { path: root.to_owned(), source })?;
        let mut corpus = Self { entries: BTreeMap::new(), snapshots: BTreeMap::new() };
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let failed = |source| CorpusError::Io { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                // An id that is not UTF-8 is refused as an id; here it only must not be mistaken for a hidden file.
                if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                    continue;
                }
                let real = fs::canonicalize(&path).map_err(|source| CorpusError::Io { path: path.clone(), source })?;
                if !real.starts_with(&real_root) {
                    return Err(CorpusError::Escape { path, root: root.to_owned() });
                }
                let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
                if real.is_dir() {
                    // One level too deep, so that a misplaced scenario is refused and not overlooked;
                    // no deeper, because links can make a loop.
                    if relative.components().count() < 3 {
                        folders.push(path);
                    }
                } else if path.extension().is_some_and(|extension| extension == "toml" || extension == "snap") {
                    corpus.add(&relative, read_file(&path)?)?;
                }
            }
        }
        corpus.or_empty(root)
    }

    fn add(&mut self, relative: &Path, source: SourceFile) -> Result<(), CorpusError> {
        let bad_path = || CorpusError::Path(PathBuf::from(&source.name));
        let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
        let Some(&[topic, file]) = parts.as_deref() else { return Err(bad_path()) };
        match file.split('.').collect::<Vec<_>>()[..] {
            [case, "toml"] if [topic, case].into_iter().all(is_segment) => {
                let id = format!("{topic}/{case}");
                self.entries.insert(id.clone(), Entry { id, source });
            }
            [case, kind, "snap"] if [topic, case, kind].into_iter().all(is_segment) => {
                let text = String::from_utf8(source.bytes).map_err(|_| CorpusError::Snapshot(PathBuf::from(source.name)))?;
                self.snapshots.insert((format!("{topic}/{case}"), kind.to_owned()), text);
            }
            _ => return Err(bad_path()),
        }
        Ok(())
    }

    fn or_empty(self, root: &Path) -> Result<Self, CorpusError> {
        if self.entries.is_empty() { Err(CorpusError::Empty(root.to_owned())) } else { Ok(self) }
    }

    /// All scenarios, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The scenario of an id.
    pub fn get(&self, id: &str) -> Result<&Entry, CorpusError> {
        self.entries.get(id).ok_or_else(|| CorpusError::Unknown { id: id.to_owned(), hint: self.hint(id) })
    }

    /// The scenarios whose id contains the pattern, sorted by id; with `*` in it, which stands
    /// for any text, those whose whole id matches it. At least one.
    pub fn filter(&self, pattern: &str) -> Result<Vec<&Entry>, CorpusError> {
        let is_match = |id: &str| if pattern.contains('*') { matches_glob(pattern, id) } else { id.contains(pattern) };
        let found: Vec<&Entry> = self.iter().filter(|entry| is_match(&entry.id)).collect();
        if found.is_empty() {
            return Err(CorpusError::NoMatch { pattern: pattern.to_owned(), hint: self.hint(pattern) });
        }
        Ok(found)
    }

    /// The committed report of a scenario for one kind of server, if there is one.
    pub fn snapshot(&self, id: &str, kind: &str) -> Option<&str> {
        self.snapshots.get(&(id.to_owned(), kind.to_owned())).map(String::as_str)
    }

    fn hint(&self, text: &str) -> String {
        let ids = || self.entries.keys().map(String::as_str);
        let cases = || ids().filter(|id| id.split_once('/').is_some_and(|(topic, case)| topic == text || case == text));
        match cases().next().or_else(|| nearest(text, ids())) {
            Some(id) => format!(", did you mean `{id}`?"),
            None => format!("; there are {}, the first is `{}`", self.entries.len(), ids().next().unwrap_or_default()),
        }
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Takes the leftmost match of each part: with `*` alone that decides without going back.
fn matches_glob(pattern: &str, id: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(last) = parts.next_back() else { return first == id };
    let Some(mut rest) = id.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    parts.all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    fn ids<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a str> {
        entries.into_iter().map(|entry| entry.id.as_str()).collect()
    }

    fn small() -> Corpus {
        let files =
            ["starttls/off.toml", "certificate/expired.toml", "certificate/weak.toml", "certificate/expired.postfix.snap"];
        Corpus::from_dir(folder(&files).path()).unwrap()
    }

    #[test]
    fn the_repository_is_embedded() {
        let corpus = Corpus::embedded().unwrap();
        let entry = corpus.get("baseline/good").unwrap();
        assert_eq!(entry.source.name, "scenarios/baseline/good.toml");
        let on_disk = Path::new(env!("CARGO_MANIFEST_DIR")).join(&entry.source.name);
        assert_eq!(entry.source.bytes, fs::read(on_disk).unwrap());
    }

    #[test]
    fn a_folder_gives_what_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        assert_eq!(ids(Corpus::from_dir(&root).unwrap().iter()), ids(Corpus::embedded().unwrap().iter()));
    }

    #[test]
    fn other_files_are_left_alone() {
        let corpus =
            Corpus::from_dir(folder(&["README.md", ".hidden/x.toml", "a/.x.toml.swp", "a/b.snap.new", "a/b.toml"]).path());
        assert_eq!(ids(corpus.unwrap().iter()), ["a/b"]);
    }

    #[test]
    fn snapshots_belong_to_a_scenario_and_a_kind() {
        assert_eq!(small().snapshot("certificate/expired", "postfix"), Some("certificate/expired.postfix.snap"));
        assert_eq!(small().snapshot("certificate/expired", "exchange-2019"), None);
    }

    #[rstest]
    #[case("expired", &["certificate/expired"])]
    #[case("certificate/", &["certificate/expired", "certificate/weak"])]
    #[case("certificate/*", &["certificate/expired", "certificate/weak"])]
    #[case("*/off", &["starttls/off"])]
    #[case("*t*s/*f", &["starttls/off"])]
    #[case("*", &["certificate/expired", "certificate/weak", "starttls/off"])]
    fn a_filter_is_a_part_or_a_glob(#[case] pattern: &str, #[case] expected: &[&str]) {
        assert_eq!(ids(small().filter(pattern).unwrap()), expected);
    }

    #[rstest]
    #[case("off*", "no scenario matches `off*`; there are 3, the first is `certificate/expired`")]
    #[case("certificate/expird", "no scenario matches `certificate/expird`, did you mean `certificate/expired`?")]
    fn a_filter_that_selects_nothing_is_an_error(#[case] pattern: &str, #[case] message: &str) {
        assert_eq!(small().filter(pattern).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("starttls/of", "there is no scenario `starttls/of`, did you mean `starttls/off`?")]
    #[case("weak", "there is no scenario `weak`, did you mean `certificate/weak`?")]
    fn an_unknown_id_names_the_nearest(#[case] id: &str, #[case] message: &str) {
        assert_eq!(small().get(id).unwrap_err().to_string(), message);
    }

    #[rstest]
    #[case("x.toml")]
    #[case("a/b/c.toml")]
    #[case("a/B.toml")]
    #[case("a/b.c.toml")]
    #[case("a/b.snap")]
    #[case("a b/c.toml")]
    fn a_path_that_makes_no_id_is_refused(#[case] path: &str) {
        let folder = folder(&["good/good.toml", path]);
        let error = Corpus::from_dir(folder.path()).unwrap_err().to_string();
        assert!(error.contains(path) && error.contains("a scenario is <topic>/<case>.toml"), "{error}");
    }

    #[test]
    fn a_folder_without_scenarios_is_an_error() {
        let folder = folder(&["a/readme.md"]);
        assert!(matches!(Corpus::from_dir(folder.path()), Err(CorpusError::Empty(path)) if path == folder.path()));
        assert!(matches!(Corpus::from_dir(&folder.path().join("none")), Err(CorpusError::Io { .. })));
    }

    #[cfg(unix)]
    #[rstest]
    #[case::file("a/out.toml", "c.toml")]
    #[case::folder("out", "")]
    fn links_out_of_the_folder_are_refused(#[case] link: &str, #[case] target: &str) {
        let (inside, outside) = (folder(&["a/b.toml"]), folder(&["c.toml"]));
        std::os::unix::fs::symlink(outside.path().join(target), inside.path().join(link)).unwrap();
        let error = Corpus::from_dir(inside.path()).unwrap_err();
        assert!(matches!(&error, CorpusError::Escape { path, .. } if path.ends_with(link)), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_break_or_loop_end() {
        let broken = folder(&["a/b.toml"]);
        std::os::unix::fs::symlink("nowhere.toml", broken.path().join("a/c.toml")).unwrap();
        let error = Corpus::from_dir(broken.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.ends_with("a/c.toml"), "{error}");

        let looped = folder(&["a/b.toml"]);
        std::os::unix::fs::symlink("..", looped.path().join("a/up")).unwrap();
        assert_eq!(ids(Corpus::from_dir(looped.path()).unwrap().iter()), ["a/b"]);
    }
}
