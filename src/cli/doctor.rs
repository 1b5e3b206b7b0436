//! `mtalab doctor`: whether this machine and the corpus are fit for the lab, shown by controls that must pass and one that
//! must fail.

use std::{net::TcpListener, process::ExitCode, sync::Arc};

use anstyle::{AnsiColor, Style};

#[cfg(feature = "docker")]
use super::{BackendArguments, BackendName};
use super::{DoctorArguments, corpus, exit::Failure, out, run};
use crate::{
    lab::Backend,
    plan::Issuance,
    verify::{self, Case, CaseOutcome},
};

/// The topic of the scenarios in which nothing is wrong.
const CONTROLS: &str = "baseline";
/// The one that every kind of server has.
const CONTROL: &str = "baseline/good";
/// What that one must not be found to be.
const WRONG_EXPECTATION: &str = "certificate-expired";

/// What came of one look.
enum Health {
    Good(String),
    /// Not there, and not needed for what was asked.
    Absent(String),
    /// What is wrong, and what to do.
    Bad(String),
}

use Health::{Absent, Bad, Good};

/// How many looks said that something is wrong, and on whom that falls.
#[derive(Default)]
struct Findings {
    machine: usize,
    corpus: usize,
}

pub(super) async fn run(arguments: DoctorArguments) -> Result<ExitCode, Failure> {
    let mut findings = Findings::default();
    let cases = verify::load(&corpus::open(&arguments.corpus)?, &[])?;
    let scenarios = cases.chunk_by(|one, other| one.id == other.id).count();
    show("scenarios", &Good(format!("{scenarios} can be read, {} with each of their kinds of server", cases.len())));
    findings.machine += show("loopback", &loopback());

    let controls: Vec<Case> = cases.into_iter().filter(|case| case.id.starts_with(CONTROLS)).collect();
    let embedded = Arc::new(Backend::Embedded);
    findings.corpus += show("controls that must pass", &green(controls.clone(), &embedded).await);
    findings.corpus += show("a control that must fail", &red(&controls, &embedded).await);
    #[cfg(feature = "docker")]
    in_containers(&arguments.backend, controls, &mut findings).await;

    Ok(match findings {
        Findings { machine: 0, corpus: 0 } => ExitCode::SUCCESS,
        Findings { machine: 0, .. } => ExitCode::from(1),
        Findings { .. } => ExitCode::from(4),
    })
}

/// Prints one look; 1 where something is wrong.
fn show(what: &str, health: &Health) -> usize {
    let (colour, sign, text) = match health {
        Good(text) => (AnsiColor::Green, '✓', text),
        Absent(text) => (AnsiColor::Yellow, '–', text),
        Bad(text) => (AnsiColor::Red, '✗', text),
    };
    let style = Style::new().fg_color(Some(colour.into()));
    const INDENT: usize = 28;
    let indent = " ".repeat(INDENT);
    let options = textwrap::Options::new(out::width()).subsequent_indent(&indent);
    out::print(&format!("{style}{sign}{style:#} {}", textwrap::fill(&format!("{what:26}{text}"), options)));
    usize::from(matches!(health, Bad(_)))
}

/// Whether servers and vantage points find addresses of their own.
fn loopback() -> Health {
    let can_bind = |address: &str| TcpListener::bind((address, 0)).is_ok();
    match (can_bind("127.0.0.1"), can_bind("127.0.0.2"), can_bind("::1")) {
        (false, ..) => Bad("no server can listen on 127.0.0.1: is the interface `lo` up?".to_owned()),
        (true, false, _) => Absent("127.0.0.1 only: scenarios with several vantage points are not possible here".to_owned()),
        (true, true, false) => Good("127.0.0.0/8; no IPv6".to_owned()),
        (true, true, true) => Good("127.0.0.0/8 and ::1".to_owned()),
    }
}

/// Runs scenarios in which nothing is wrong: what fails is the machine, or the corpus.
async fn green(controls: Vec<Case>, backend: &Arc<Backend>) -> Health {
    let mut passed = 0;
    let mut failed = Vec::new();
    verify::run(controls, backend, run::jobs(backend), Issuance::now(), |case, outcome| match outcome {
        CaseOutcome::Passed(_) => passed += 1,
        CaseOutcome::NotPossible(_) => {}
        CaseOutcome::Failed { failures, .. } => {
            let first = failures.first().and_then(|failure| failure.lines().next()).unwrap_or_default();
            failed.push(format!("{}@{}: {first}", case.id, case.kind));
        }
        CaseOutcome::Broken(error) => failed.push(format!("{}@{}: {}", case.id, case.kind, super::exit::chain(&error))),
    })
    .await;
    match failed.as_slice() {
        [] if passed == 0 => Bad(format!("this corpus has no `{CONTROLS}` that could be run")),
        [] => Good(format!("{passed} scenarios in which nothing is wrong, and nothing is found")),
        [first, ..] => {
            Bad(format!("{} of {}: {first}. `mtalab run {CONTROLS}` shows all of it", failed.len(), passed + failed.len()))
        }
    }
}

/// Expects of a good server what it is not: a harness that passes this passes everything.
async fn red(controls: &[Case], backend: &Backend) -> Health {
    let Some(control) = controls.iter().find(|case| case.id == CONTROL) else {
        return Absent(format!("this corpus has no `{CONTROL}`"));
    };
    let mut wrong = control.clone();
    wrong.scenario.expect.must.push(WRONG_EXPECTATION.to_owned());
    match verify::run_case(&wrong, backend, Issuance::now()).await {
        CaseOutcome::Failed { .. } => Good(format!("`{WRONG_EXPECTATION}` is missed where it is not to be found")),
        CaseOutcome::Passed(_) => {
            Bad(format!("a good server passes for one with `{WRONG_EXPECTATION}`: no verdict can be trusted"))
        }
        CaseOutcome::NotPossible(reason) => Absent(reason),
        CaseOutcome::Broken(error) => Bad(super::exit::chain(&error)),
    }
}

/// The engine, its images, and the control on each kind of server that there is an image of.
#[cfg(feature = "docker")]
async fn in_containers(arguments: &BackendArguments, controls: Vec<Case>, findings: &mut Findings) {
    use crate::lab::docker::status;

    let is_needed = arguments.backend == BackendName::Docker;
    let not_there =
        |text: String| if is_needed { Bad(text) } else { Absent(format!("{text} (only `--backend docker` needs it)")) };
    let images = match status(arguments.release).await {
        Ok(images) => images,
        Err(error) => {
            findings.machine += show("docker", &not_there(super::exit::chain(&error)));
            return;
        }
    };
    findings.machine += show("docker", &Good("the engine answers".to_owned()));
    let (built, missing): (Vec<_>, Vec<_>) = images.iter().partition(|image| image.size.is_some());
    let names =
        |images: &[&crate::lab::docker::ImageStatus]| images.iter().map(|image| image.kind).collect::<Vec<_>>().join(", ");
    let health = if missing.is_empty() {
        Good(format!("{}: {}", arguments.release, names(&built)))
    } else {
        not_there(format!(
            "{}: not built: {}; `mtalab images build --release {}` makes them",
            arguments.release,
            names(&missing),
            arguments.release
        ))
    };
    findings.machine += show("images", &health);
    let has_image = |case: &Case| built.iter().any(|image| image.kind == case.kind);
    let controls: Vec<Case> = controls.into_iter().filter(|case| case.id == CONTROL && has_image(case)).collect();
    if controls.is_empty() {
        return;
    }
    let backend = BackendArguments { backend: BackendName::Docker, release: arguments.release };
    let health = match run::open(&backend, None).await {
        Ok(backend) => {
            let backend = Arc::new(backend);
            let health = tokio::select! {
                health = green(controls, &backend) => health,
                () = super::inside::ended() => Absent("interrupted".to_owned()),
            };
            run::close(&backend).await;
            health
        }
        Err(failure) => Bad(failure.text().to_owned()),
    };
    findings.machine += show("controls in containers", &health);
}
