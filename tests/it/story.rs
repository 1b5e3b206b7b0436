//! The pages can be followed word by word. The commands of docs/story.md are run in one shell, and
//! every line that it quotes must be among what the commands just before it print, whatever the
//! numbers of this run are. The scenario that README.md shows is run as it stands.

use std::{fs, path::Path, process::Command};

/// Printed by the script after each block of commands, and by nothing else.
const END_OF_BLOCK: &str = "=== end of block ===";

/// Enough for a machine that is busy with other tests. `timeout` ends what the script started, too.
const LIMIT: &str = "120";

/// The fenced blocks: the language and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("\n```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn shell(script: &str, folder: &Path) -> (bool, String, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_mtalab")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("timeout");
    command.args([LIMIT, "bash", "-ec", script]).env("PATH", path).env("NO_COLOR", "1").env("XDG_RUNTIME_DIR", folder);
    let output = command.current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Addresses, ports, days and dates differ from run to run; so does where a line is wrapped.
fn without_numbers(text: &str) -> String {
    let names = "Mon Tue Wed Thu Fri Sat Sun Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec";
    let is_date_word = |word: &str| names.split(' ').any(|name| word.trim_end_matches(',') == name);
    let mut out = String::new();
    for word in text.split_whitespace().filter(|word| !is_date_word(word)) {
        for c in word.chars() {
            match c {
                '0'..='9' if out.ends_with('#') => {}
                '0'..='9' => out.push('#'),
                _ => out.push(c),
            }
        }
        out.push(' ');
    }
    out
}

#[test]
fn the_story_can_be_followed_word_by_word() {
    let page = page("docs/story.md");
    let folder = tempfile::tempdir().unwrap();
    // The consultant's telnet session is typed by hand; a transcript from the same place stands for it.
    let telnet = "mtalab check $MTALAB_HOST --connect $MTALAB_ADDRESS --from $MTALAB_FROM_HOME --transcript || true\n";
    // Were a command to fail, what `up` started would hold the pipes open.
    let mut script = String::from("trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n");
    let mut quotes = Vec::new();
    let mut parts = 0;
    for (language, text) in blocks(&page) {
        match language {
            "sh" => {
                let telnet = if text.starts_with("cat lab.env") { telnet } else { "" };
                script.push_str(&format!("{text}\n{telnet}echo '{END_OF_BLOCK}'\n"));
                parts += 1;
            }
            "text" => quotes.extend(text.lines().filter(|line| !line.trim().is_empty()).map(|line| (parts - 1, line))),
            other => panic!("neither commands (sh) nor output (text): {other}"),
        }
    }
    let (is_success, printed, notes) = shell(&script, folder.path());
    assert!(is_success, "a command of the story fails\n{printed}\n{notes}");
    let printed: Vec<&str> = printed.split(END_OF_BLOCK).collect();
    for (part, line) in &quotes {
        let seen = without_numbers(printed[*part]);
        assert!(seen.contains(&without_numbers(line)), "quoted but not printed: {line}\n\n{}", printed[*part]);
    }
    assert!(quotes.len() > 50, "only {} lines are quoted", quotes.len());
}

#[test]
fn the_scenario_in_the_readme_passes_as_it_stands() {
    let page = page("README.md");
    let [scenario] = *blocks(&page).into_iter().filter_map(|(name, text)| (name == "toml").then_some(text)).collect::<Vec<_>>()
    else {
        panic!("README.md shows one scenario")
    };
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("mine/renewal")).unwrap();
    fs::write(folder.path().join("mine/renewal/expired.toml"), scenario).unwrap();
    let (is_success, printed, notes) = shell("mtalab run --scenarios mine", folder.path());
    assert!(is_success && printed.contains("2 passed, 0 failed"), "{printed}\n{notes}");
}
