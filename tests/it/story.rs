//! docs/story.md can be followed word by word: its commands are run in one shell, and every line
//! that it quotes must be among what they print, whatever the numbers of this run are.

use std::{fs, path::Path, process::Command};

/// The fenced blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    page.split(&opening).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Addresses, ports, days and times differ from run to run; so does where a line is wrapped.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            _ => out.push(c),
        }
    }
    // Weekday and month of the greeting.
    let words = out.split_whitespace().filter(|word| !matches!(word.len(), 3..=4) || word.contains('#') || !is_date_word(word));
    words.collect::<Vec<_>>().join(" ")
}

fn is_date_word(word: &str) -> bool {
    let names = "Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    names.split(' ').any(|name| word.trim_end_matches(',') == name)
}

#[test]
fn the_story_can_be_followed_word_by_word() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/story.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The consultant's telnet session is typed by hand; a transcript from the same place stands for it.
    let telnet = r#"mtalab check $MTALAB_HOST --connect $MTALAB_ADDRESS --from $MTALAB_FROM_HOME --transcript || true"#;
    let script = blocks(&page, "sh").join("\n").replacen(". ./lab.env\n", &format!(". ./lab.env\n{telnet}\n"), 1);
    let program = Path::new(env!("CARGO_BIN_EXE_mtalab")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-ec", &script])
        .env("PATH", path)
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("NO_COLOR", "1")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));

    let seen = without_numbers(&printed.replace("  S  ", " ").replace("  C  ", " "));
    let mut quoted = 0;
    for line in blocks(&page, "text").into_iter().flat_map(str::lines).filter(|line| !line.trim().is_empty()) {
        quoted += 1;
        assert!(seen.contains(&without_numbers(line)), "the story quotes a line that is not printed: {line}\n\n{printed}");
    }
    assert!(quoted > 25, "only {quoted} lines are quoted");
}
