//! `mtalab check --input`: many domains, one report in JSON a line as each is done.
//!
//! Memory does not grow with the list: it is read as it is worked off, and of what is done only a number is kept.

use std::{
    collections::HashSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _},
    path::Path,
    process::ExitCode,
};

use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::{OutputArguments, exit, exit::Failure, inside, out};
use crate::{
    check::{self, DomainOptions, Surroundings},
    name::Name,
    report::{ExitClass, json},
    wire::WireText,
};

/// Longer lines hold no name.
const MAX_LINE: u64 = 4096;
/// Lines that are read ahead.
const AHEAD: usize = 64;
/// Lines that are no names are told of one by one up to here.
const MAX_TOLD: usize = 100;

/// Works off a list.
pub(super) async fn run(
    input: &Path,
    output: Option<&Path>,
    jobs: usize,
    form: &OutputArguments,
    options: DomainOptions,
) -> Result<ExitCode, Failure> {
    let shown = WireText::from(&*input.to_string_lossy());
    let (mut file, done) = match output {
        Some(path) => open(path)?,
        None => (None, HashSet::new()),
    };
    let reader: Box<dyn io::Read + Send> = match input.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(
            fs::File::open(input).map_err(|error| Failure::environment(format!("cannot read the list {shown}: {error}")))?,
        ),
    };
    let surroundings = Surroundings::new(&options.dns).await.map_err(|error| Failure::environment(error.to_string()))?;
    let (sender, lines) = mpsc::channel(AHEAD);
    std::thread::spawn(move || read(reader, &sender));
    let (options, surroundings) = (&options, &surroundings);
    let before = done.len();
    let mut seen = done;
    let mut junk = 0_usize;
    let names = stream::unfold(lines, |mut lines| async move { Some((lines.recv().await?, lines)) }).filter_map(|line| {
        let name = match line {
            Ok(name) => seen.insert(number(&name)).then_some(name),
            Err(why) => {
                junk += 1;
                if junk <= MAX_TOLD {
                    out::note(&format!("{shown}: {why}"));
                }
                None
            }
        };
        std::future::ready(name)
    });
    let reports = names.map(|name| async move {
        let facts = check::observe_in(&name, options, surroundings).await;
        check::judge_domain(options.check.policy, facts, &options.check.stores, options.check.now)
    });
    let progress = progress();
    let mut class = ExitClass::Clean;
    let mut written = 0_usize;
    let mut is_ended = false;
    {
        let mut reports = std::pin::pin!(reports.buffer_unordered(jobs.max(1)));
        let mut ended = std::pin::pin!(inside::ended());
        loop {
            let report = tokio::select! {
                report = reports.next() => report,
                // What is not finished is not written, and so is checked the next time.
                () = &mut ended => {
                    is_ended = true;
                    break;
                }
            };
            let Some(report) = report else { break };
            class = exit::worse(class, exit::of_domain(&report, form.fail_on));
            let line = json::domain_to_json_line(&report);
            match &mut file {
                Some(file) => file
                    .write_all(line.as_bytes())
                    .map_err(|error| Failure::environment(format!("cannot write the reports: {error}")))?,
                None => out::print(&line),
            }
            written += 1;
            progress.inc(1);
            progress.set_message(report.facts.domain.as_str().to_owned());
        }
    }
    progress.finish_and_clear();
    if junk > MAX_TOLD {
        out::note(&format!("{shown}: {} more lines are no domains", junk - MAX_TOLD));
    }
    if before > 0 {
        out::note(&format!("{before} domains were in the file already"));
    }
    if is_ended {
        let again = if file.is_some() { "; the same command goes on from here" } else { "" };
        return Err(Failure::environment(format!("interrupted after {written} domains{again}")));
    }
    Ok(match (class, junk) {
        (ExitClass::Violated, _) | (_, 0) => exit::of_class(class),
        _ => ExitCode::from(2),
    })
}

/// How far it is, at what rate; on a terminal only.
fn progress() -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner();
    if !out::is_watched() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    if let Ok(style) = indicatif::ProgressStyle::with_template("{spinner} {pos} domains, {per_sec}, {elapsed}: {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// A number for a name, since names take room.
fn number(name: &Name) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Reads line by line, as long as somebody takes them. What follows `#` is a comment.
fn read(reader: Box<dyn io::Read + Send>, sender: &mpsc::Sender<Result<Name, String>>) {
    let mut reader = BufReader::new(reader);
    for number in 1_usize.. {
        let mut line = Vec::new();
        let result = match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(length) if length as u64 == MAX_LINE && !line.ends_with(b"\n") => {
                if !skip_line(&mut reader) {
                    return;
                }
                Err(format!("line {number} is too long"))
            }
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = text.split('#').next().unwrap_or_default().trim();
                if text.is_empty() {
                    continue;
                }
                Name::parse(text).map_err(|error| format!("line {number}: {} is no domain: {error}", WireText::from(text)))
            }
            Err(error) => Err(format!("line {number} cannot be read: {error}")),
        };
        let is_broken = matches!(&result, Err(why) if why.contains("cannot be read"));
        if sender.blocking_send(result).is_err() || is_broken {
            return;
        }
    }
}

/// Goes to the begin of the next line; false where there is none.
fn skip_line(reader: &mut impl io::BufRead) -> bool {
    loop {
        let (length, is_end) = match reader.fill_buf() {
            Ok([]) | Err(_) => return false,
            Ok(buffer) => match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), false),
            },
        };
        reader.consume(length);
        if is_end {
            return true;
        }
    }
}

/// Opens the file of reports behind the last whole line, and tells which domains are in it.
fn open(path: &Path) -> Result<(Option<fs::File>, HashSet<u64>), Failure> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: String,
        domain: Name,
    }
    let shown = WireText::from(&*path.to_string_lossy());
    let failed = |error: io::Error| Failure::environment(format!("cannot use the file of reports {shown}: {error}"));
    let mut file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
    let mut done = HashSet::new();
    let mut whole = 0_u64;
    let mut reader = BufReader::new(&mut file);
    loop {
        let mut line = Vec::new();
        let length = reader.by_ref().take(json::MAX_BYTES as u64).read_until(b'\n', &mut line).map_err(failed)?;
        // What was being written when it was interrupted.
        if length == 0 || !line.ends_with(b"\n") {
            break;
        }
        match serde_json::from_slice::<Head>(&line) {
            Ok(head) if head.format == json::DOMAIN_FORMAT => _ = done.insert(number(&head.domain)),
            _ => {
                return Err(Failure::usage(format!("{shown} holds something else than reports of domains; nothing was written")));
            }
        }
        whole += length as u64;
    }
    file.set_len(whole).map_err(failed)?;
    file.seek(io::SeekFrom::Start(whole)).map_err(failed)?;
    Ok((Some(file), done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_is_told_with_its_line_and_the_rest_goes_on() {
        let long = format!("{}\n", "x".repeat(10_000));
        let text = format!("# a list\nexample.test\n\n a..b \n{long}bücher.test # Umlaut\nlast.test");
        let (sender, mut lines) = mpsc::channel(20);
        read(Box::new(io::Cursor::new(text.into_bytes())), &sender);
        drop(sender);
        let mut got = Vec::new();
        while let Ok(line) = lines.try_recv() {
            got.push(line.map(|name| name.to_string()));
        }
        let expected = [
            Ok("example.test".to_owned()),
            Err("line 4: a..b is no domain: the label `` is empty or longer than 63 characters".to_owned()),
            Err("line 5 is too long".to_owned()),
            Ok("xn--bcher-kva.test".to_owned()),
            Ok("last.test".to_owned()),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn a_file_is_gone_on_with_behind_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        let line = |domain: &str| format!("{{\"format\":\"{}\",\"domain\":\"{domain}\"}}\n", json::DOMAIN_FORMAT);
        fs::write(&path, format!("{}{}", line("a.test"), &line("b.test")[..20])).unwrap();
        let (file, done) = open(&path).unwrap();
        assert_eq!(done, HashSet::from([number(&Name::parse("a.test").unwrap())]));
        file.unwrap().write_all(line("b.test").as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}{}", line("a.test"), line("b.test")));
        fs::write(&path, "something else\n").unwrap();
        assert!(open(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "something else\n");
    }
}
