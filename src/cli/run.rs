//! `mtalab run`: the harness over a corpus, with progress and a summary.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{BackendArguments, BackendName, RunArguments, corpus, exit, exit::Failure, out};
use crate::{
    lab::Backend,
    plan::Issuance,
    verify::{self, Case, CaseOutcome, Seen},
};

/// What has ended so far.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    not_possible: BTreeMap<String, Vec<String>>,
    broken: Vec<String>,
    updated: usize,
    without_snapshot: usize,
}

pub(super) async fn run(arguments: RunArguments) -> Result<ExitCode, Failure> {
    let cases = select(&arguments)?;
    if let (true, Some(folder)) = (arguments.update_snapshots, &arguments.corpus.scenarios) {
        check_writable(folder)?;
    }
    let backend = Arc::new(open(&arguments.backend, None).await?);
    #[cfg(feature = "docker")]
    if let Backend::Docker(docker) = &*backend
        && let Err(error) = require_images(docker, &cases).await
    {
        close(&backend).await;
        return Err(Failure::environment(exit::chain(&error)));
    }
    let jobs = arguments.jobs.map_or_else(|| jobs(&backend), usize::from);
    let start = Instant::now();
    let progress = progress(cases.len());
    let mut tally = Tally::default();
    let update = arguments.corpus.scenarios.as_deref().filter(|_| arguments.update_snapshots);
    let mut write_error = None;
    let all = cases.len();
    let running = verify::run(cases, &backend, jobs, Issuance::now(), |case, outcome| {
        let line = tally.take(case, outcome, update, &mut write_error);
        progress.inc(1);
        progress.set_message(format!("{}@{}", case.id, case.kind));
        progress.suspend(|| out::print(&line));
    });
    let interrupted = tokio::select! {
        () = running => false,
        () = super::inside::ended() => true,
    };
    progress.finish_and_clear();
    close(&backend).await;
    if let Some(failure) = write_error {
        return Err(failure);
    }
    tally.summarise(all, interrupted, start.elapsed(), update.is_some());
    Ok(match (interrupted, tally.broken.is_empty(), tally.failed.is_empty()) {
        (_, _, false) => ExitCode::from(1),
        (false, true, true) => ExitCode::SUCCESS,
        _ => ExitCode::from(4),
    })
}

#[cfg(feature = "docker")]
async fn require_images(
    docker: &crate::lab::docker::DockerBackend,
    cases: &[Case],
) -> Result<(), crate::lab::docker::DockerError> {
    let has_domains = cases.iter().any(|case| case.scenario.domain.is_some());
    docker.require_images(cases.iter().map(|case| case.kind.as_str()), has_domains).await
}

fn select(arguments: &RunArguments) -> Result<Vec<Case>, Failure> {
    let corpus = corpus::open(&arguments.corpus)?;
    let mut cases = verify::load(&corpus, &arguments.selected)?;
    let kinds = crate::lab::persona::kinds();
    if let Some(unknown) = arguments.kind.iter().find(|kind| !kinds.contains(&kind.as_str())) {
        let unknown = crate::wire::WireText::from(unknown.as_str());
        return Err(Failure::usage(format!("there is no kind of server `{unknown}`; there are {}", kinds.join(", "))));
    }
    cases.retain(|case| {
        (arguments.kind.is_empty() || arguments.kind.contains(&case.kind))
            && (arguments.filter.is_empty() || arguments.filter.iter().any(|text| case.id.contains(text.as_str())))
    });
    if cases.is_empty() {
        return Err(Failure::usage("no scenario is left to run; `mtalab list` shows what there is"));
    }
    Ok(cases)
}

/// Opens a backend; what it starts outlives this process where it is `kept` under a name.
pub(super) async fn open(arguments: &BackendArguments, kept: Option<String>) -> Result<Backend, Failure> {
    #[cfg(not(feature = "docker"))]
    drop(kept);
    match arguments.backend {
        BackendName::Embedded => Ok(Backend::Embedded),
        #[cfg(feature = "docker")]
        BackendName::Docker => {
            use crate::lab::docker::{DockerBackend, DockerOptions};
            let executable =
                std::env::current_exe().map_err(|error| Failure::environment(format!("cannot find this program: {error}")))?;
            let options = DockerOptions { kept, release: arguments.release, ..DockerOptions::new(executable) };
            let docker = DockerBackend::connect(options).await;
            docker.map(|docker| Backend::Docker(Box::new(docker))).map_err(|error| Failure::environment(exit::chain(&error)))
        }
    }
}

/// Leaves nothing behind, whatever was running.
pub(super) async fn close(backend: &Backend) {
    match backend {
        Backend::Embedded => {}
        #[cfg(feature = "docker")]
        Backend::Docker(docker) => {
            if let Err(error) = docker.cleanup().await {
                out::error(&format!("not everything could be removed, the next run will: {}", exit::chain(&error)));
            }
        }
    }
}

/// How many scenarios a backend runs at a time by default.
pub(super) fn jobs(backend: &Backend) -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    match backend {
        Backend::Embedded => cores * 8,
        // More containers at a time are not started any sooner.
        #[cfg(feature = "docker")]
        Backend::Docker(_) => cores * 2,
    }
}

/// Progress for people; a pipe gets its lines and nothing else.
fn progress(length: usize) -> ProgressBar {
    let progress = ProgressBar::new(length as u64);
    if !out::is_watched() {
        progress.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(120));
    progress
}

fn check_writable(folder: &Path) -> Result<(), Failure> {
    tempfile::NamedTempFile::new_in(folder).map(drop).map_err(|error| cannot_write(folder, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let shown = crate::wire::WireText::from(&*path.to_string_lossy());
    Failure::environment(format!(
        "cannot write snapshots into {shown}: {error}.\nUse a folder that you may write to, or leave out --update-snapshots"
    ))
}

impl Tally {
    /// Counts the outcome and gives its line.
    fn take(&mut self, case: &Case, outcome: CaseOutcome, update: Option<&Path>, write_error: &mut Option<Failure>) -> String {
        let name = format!("{}@{}", case.id, case.kind);
        let line = |colour: AnsiColor, word: &str, tail: &str| {
            let style = Style::new().fg_color(Some(colour.into()));
            format!("{style}{word:<13}{style:#} {name}{tail}")
        };
        match outcome {
            CaseOutcome::Passed(seen) => {
                self.passed += 1;
                self.without_snapshot += usize::from(case.snapshot.is_none() || !seen.is_held_to_snapshots);
                self.update(case, &seen, update, write_error);
                line(AnsiColor::Green, "pass", "")
            }
            CaseOutcome::Failed { failures, seen } => {
                self.update(case, &seen, update, write_error);
                self.failed.push(describe(&name, &failures, &seen));
                line(AnsiColor::Red, "FAIL", &format!(": {}", failures.first().map_or("", |f| f.lines().next().unwrap_or(""))))
            }
            CaseOutcome::NotPossible(reason) => {
                let tail = format!(": {reason}");
                self.not_possible.entry(reason).or_default().push(name.clone());
                line(AnsiColor::Yellow, "not possible", &tail)
            }
            CaseOutcome::Broken(error) => {
                let text = exit::chain(&error);
                self.broken.push(format!("{name}: {text}"));
                line(AnsiColor::Magenta, "BROKEN", &format!(": {}", text.lines().next().unwrap_or("")))
            }
        }
    }

    fn update(&mut self, case: &Case, seen: &Seen, folder: Option<&Path>, write_error: &mut Option<Failure>) {
        let Some(folder) = folder.filter(|_| seen.is_held_to_snapshots) else { return };
        let path = folder.join(format!("{}.{}.snap", case.id, case.kind));
        let file = verify::snapshot_file(&seen.redacted);
        if case.snapshot.as_deref() == Some(&file) {
            return;
        }
        match fs::write(&path, file) {
            Ok(()) => self.updated += 1,
            Err(error) => *write_error = Some(cannot_write(&path, &error)),
        }
    }

    fn summarise(&self, all: usize, interrupted: bool, elapsed: Duration, updating: bool) {
        for description in &self.failed {
            out::print(&format!("\n{description}"));
        }
        for description in &self.broken {
            out::print(&format!("\nBROKEN {description}"));
        }
        let not_possible: usize = self.not_possible.values().map(Vec::len).sum();
        if not_possible > 0 {
            out::print("\nNot possible here:");
            for (reason, names) in &self.not_possible {
                out::print(&format!("  {:>3}  {reason}", names.len()));
            }
        }
        if self.without_snapshot > 0 && !updating {
            out::print(&format!("\n{} without a snapshot of their own: judged by [expect] alone", self.without_snapshot));
        }
        if updating {
            out::print(&format!("\n{} snapshots written", self.updated));
        }
        if interrupted {
            out::print("\nInterrupted: what was running was ended and removed.");
        }
        out::print(&format!(
            "\n{} of {all} scenario runs: {} passed, {} failed, {not_possible} not possible, {} broken; {:.1} s",
            self.passed + self.failed.len() + not_possible + self.broken.len(),
            self.passed,
            self.failed.len(),
            self.broken.len(),
            elapsed.as_secs_f64(),
        ));
    }
}

/// A failure with the transcript that explains it.
fn describe(name: &str, failures: &[String], seen: &Seen) -> String {
    let mut text = format!("FAIL {name}");
    for failure in failures {
        text.push_str(&format!("\n  * {}", failure.trim_end().replace('\n', "\n    ")));
    }
    text.push_str(&format!("\n\n  what was seen:\n{}", indent(&seen.redacted)));
    if !seen.server_log.is_empty() {
        text.push_str(&format!("\n\n  the server's log:\n{}", indent(&seen.server_log)));
    }
    text
}

fn indent(text: &str) -> String {
    textwrap::indent(text.trim_end(), "    ")
}
