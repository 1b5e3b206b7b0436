//! Every sentence that a rule can say, in one snapshot: a changed letter is a change that somebody sees.

use std::{fs, path::Path};

/// The texts between double quotes in the code of a file: no comments, no tests.
fn literals(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let mut found = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let mut rest = line;
        while let Some(start) = rest.find('"') {
            let text = &rest[start + 1..];
            let mut end = None;
            let mut is_escaped = false;
            for (at, character) in text.char_indices() {
                match character {
                    '"' if !is_escaped => {
                        end = Some(at);
                        break;
                    }
                    '\\' => is_escaped = !is_escaped,
                    _ => is_escaped = false,
                }
            }
            // A text that goes on in the next line is taken as far as this one has it.
            let end = end.unwrap_or(text.len());
            found.push(text[..end].to_owned());
            rest = text.get(end + 1..).unwrap_or_default();
        }
    }
    found.retain(|text| text.contains(' '));
    found
}

fn collect(folder: &Path, page: &mut String) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, page);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("test_"))
        {
            let texts = literals(&fs::read_to_string(&path).unwrap());
            if !texts.is_empty() {
                let name = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules")).unwrap();
                page.push_str(&format!("{}\n", name.display()));
                texts.iter().for_each(|text| page.push_str(&format!("    {text}\n")));
            }
        }
    }
}

#[test]
fn the_words_of_the_rules() {
    let mut page = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules"), &mut page);
    insta::assert_snapshot!("words_of_the_rules", page);
}

#[test]
fn literals_are_found_without_comments_and_tests() {
    let source = "// \"not this\"\nlet a = \"one text\"; let b = \"word\"; f(\"with \\\"quotes\\\" in it\", \"and more\");\n#[cfg(test)]\nmod tests { \"nor this\" }";
    assert_eq!(literals(source), ["one text", "with \\\"quotes\\\" in it", "and more"]);
}
