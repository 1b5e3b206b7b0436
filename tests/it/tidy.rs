//! The rules of the house that the compiler does not know.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Who may import whom, as ARCHITECTURE.md says; what is not listed may import nothing of ours.
const ALLOWED: &[(&str, &[&str])] = &[
    ("name", &[]),
    ("wire", &[]),
    ("nearest", &[]),
    ("smtp", &["name", "wire"]),
    ("trust", &["wire"]),
    ("trace", &["wire"]),
    ("sink", &["lab", "senders", "wire"]),
    ("dane", &[]),
    ("tagged", &[]),
    ("mta_sts", &["name", "tagged"]),
    ("tlsrpt", &["finding", "name", "tagged", "wire"]),
    ("tls", &[]),
    ("hello", &["tls"]),
    ("facts", &["dane", "name", "wire", "smtp", "tls"]),
    ("finding", &["name", "facts"]),
    ("probe", &["facts", "hello", "tls", "name", "wire", "smtp", "dane", "mta_sts", "tlsrpt"]),
    ("rules", &["facts", "finding", "tls", "name", "nearest", "wire", "smtp", "trust", "dane", "mta_sts", "tlsrpt", "tagged"]),
    ("practice", &["finding"]),
    ("senders", &["dane", "facts", "finding", "mta_sts", "name", "practice", "rules", "smtp", "tls", "wire"]),
    ("report", &["practice", "rules", "senders", "finding", "facts", "tls", "smtp", "name", "wire", "trust"]),
    ("logs", &["finding", "name", "tls", "tlsrpt", "wire"]),
    ("remind", &["facts", "rules", "trust", "wire"]),
    ("scenario", &["facts", "finding", "name", "nearest", "tls", "wire"]),
    ("plan", &["scenario", "tls", "name", "wire", "trust"]),
    ("lab", &["plan", "scenario", "tls", "name", "wire", "smtp", "trust"]),
    ("check", &["probe", "rules", "senders", "report", "facts", "finding", "mta_sts", "name", "tlsrpt", "trust", "wire"]),
    (
        "fuzzing",
        &[
            "check", "facts", "hello", "lab", "logs", "name", "plan", "probe", "report", "rules", "scenario", "smtp", "tls",
            "tlsrpt", "trace", "trust", "verify", "wire",
        ],
    ),
    ("proof", &["facts", "lab", "plan", "report", "rules", "senders", "verify"]),
    (
        "verify",
        &[
            "check", "scenario", "plan", "lab", "practice", "report", "probe", "rules", "facts", "finding", "mta_sts", "name",
            "tlsrpt", "wire",
        ],
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The module that a file belongs to: `src/rules/keys/mod.rs` is of `rules`.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules named after `crate::` in the text, `crate::{a::.., b}` included.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let line = text[..at].lines().count().max(1);
        let start_of_line = text[..at].rfind('\n').map_or(0, |i| i + 1);
        if text[start_of_line..at].trim_start().starts_with("//") {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut expects_item, mut word) = (1, true, String::new());
            for c in group.chars() {
                if depth == 1 && expects_item && (c.is_ascii_lowercase() || c == '_') {
                    word.push(c);
                    continue;
                }
                if !word.is_empty() {
                    found.push((line, std::mem::take(&mut word)));
                    expects_item = false;
                }
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => expects_item = true,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            let word: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            found.push((line, word));
        }
    }
    found
}

#[test]
fn the_import_scanner_reads_both_forms() {
    let names = |text: &str| imports(text).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(names("use crate::facts::View;"), ["facts"]);
    assert_eq!(names("use crate::{\n    facts::{A, B},\n    name::Name,\n};\nuse crate::rules;"), ["facts", "name", "rules"]);
    assert_eq!(names("// crate::lab is only named here"), [""; 0]);
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        if matches!(module.as_str(), "lib" | "main" | "cli") {
            continue;
        }
        let Some(may) = allowed.get(module.as_str()) else {
            wrong.push(format!("{}: the module `{module}` is not in the table of tests/it/tidy.rs", path.display()));
            continue;
        };
        for (line, import) in imports(&fs::read_to_string(&path).unwrap()) {
            seen += 1;
            if import != module && !may.contains(&import.as_str()) {
                wrong.push(format!("{}:{line}: `{module}` may not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 50, "only {seen} imports were found: the scanner is broken");
}

#[test]
fn no_file_names_a_registry_or_a_folder_of_somebodys_machine() {
    // Written apart, so that this file does not find itself.
    let banned = [["deb.deb", "ian.org"].concat(), ["crates", ".io"].concat(), ["/work", "/"].concat(), ["/root", "/"].concat()];
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "lab", "docs", "scenarios", "benches", "scripts"] {
        wrong.extend(search(&root().join(folder), &banned));
    }
    for file in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "justfile", "Cargo.toml"] {
        wrong.extend(search(&root().join(file), &banned));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn search(path: &Path, banned: &[String]) -> Vec<String> {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().flat_map(|entry| search(&entry.unwrap().path(), banned)).collect();
    }
    let Ok(text) = fs::read_to_string(path) else { return Vec::new() };
    let hit = |word: &&String| text.contains(word.as_str());
    banned.iter().filter(hit).map(|word| format!("{} names {word}", path.display())).collect()
}

#[test]
fn files_stay_rooms_and_begin_with_their_purpose() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let is_rule = path.components().count() > root().components().count() + 3 && text.contains("rule! {");
        if !is_rule && !text.starts_with("//!") {
            wrong.push(format!("{}: no module doc", path.display()));
        }
        // Tests stand last and may be long: tables of cases mostly.
        let lines = text.lines().take_while(|line| *line != "mod tests {").count();
        if lines > 600 {
            wrong.push(format!("{}: {lines} lines before the tests are more than one room", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
