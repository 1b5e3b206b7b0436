//! Every seed, and every input that once did harm, through its target: what was mended stays mended.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn stems(folder: &Path) -> Vec<String> {
    entries(folder).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_target_has_its_binary_and_its_seeds() {
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(stems(&folder("fuzz_targets")), names);
    assert_eq!(stems(&folder("corpus")), names);
    for known in stems(&folder("regressions")) {
        assert!(names.contains(&known.as_str()), "fuzz/regressions/{known} belongs to no target");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "shown where the target panics")]
fn seeds_and_regressions_do_no_harm() {
    for (name, target) in TARGETS {
        let seeds = entries(&folder("corpus").join(name));
        assert!(!seeds.is_empty(), "fuzz/corpus/{name} holds no seeds: `just fuzz-seeds` makes them");
        for file in seeds.into_iter().chain(entries(&folder("regressions").join(name))) {
            eprintln!("{}", file.display());
            target(&fs::read(&file).unwrap());
        }
    }
}
