//! The harness: starts a scenario, lets the checker look, compares with the truth that
//! its author wrote down. The only place where lab and checker meet.

mod domain;
mod validator;

pub use domain::examine_domain;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    check::{self, Fetching},
    facts::{Certificate, Depth, Facts, Target, Vantage, View},
    finding::{Finding, Outcome, Practice, Verdict},
    lab::{Backend, LabError, Running, RunningVantage, persona, relay::RelayOptions},
    plan::{DomainPlan, Issuance, Plan, PlanError},
    practice::PracticeLine,
    probe::{
        self, Patience,
        fetch::Fetcher,
        resolve::{Hosts, Resolver},
    },
    report::{
        DomainReport, Report,
        redact::Redactor,
        text::{self, TextOptions},
    },
    rules::{self, policy},
    scenario::{self, Corpus, CorpusError, Known, Scenario, ScenarioErrors, parse},
    wire::WireText,
};

/// One scenario on one kind of server.
#[derive(Clone, Debug)]
pub struct Case {
    /// The scenario's id.
    pub id: String,
    /// The kind of server.
    pub kind: String,
    /// The scenario.
    pub scenario: Scenario,
    /// The snapshot that its report must equal, if there is one.
    pub snapshot: Option<String>,
}

/// How a case ended.
#[derive(Debug)]
pub enum CaseOutcome {
    /// The report says what it must, and is what it was.
    Passed(Box<Seen>),
    /// It does not; each failure in words.
    Failed {
        /// What is not as it must be.
        failures: Vec<String>,
        /// What was seen.
        seen: Box<Seen>,
    },
    /// This backend cannot serve it; the reason in words.
    NotPossible(String),
    /// The harness itself failed: the scenario was never judged.
    Broken(CaseError),
}

/// What was seen of a case.
#[derive(Debug)]
pub struct Seen {
    /// The report over all vantage points.
    pub report: SeenReport,
    /// The report as snapshots keep it.
    pub redacted: String,
    /// Whether it must be what the snapshot says.
    pub is_held_to_snapshots: bool,
    /// What the server wrote into its log, where it keeps one.
    pub server_log: String,
}

/// The report of a case.
#[derive(Debug)]
pub enum SeenReport {
    /// Of one server.
    Server(Box<Report>),
    /// Of a whole domain.
    Domain(Box<DomainReport>),
}

impl SeenReport {
    /// The report of the server, where the case is of one.
    pub fn server(&self) -> Option<&Report> {
        match self {
            Self::Server(report) => Some(report),
            Self::Domain(_) => None,
        }
    }

    /// What each rule of the catalogue said, in its order; of several servers, the one that is worst off. None where it was not
    /// asked: a rule about domains of a server, or of a domain without servers.
    pub fn outcomes(&self) -> impl Iterator<Item = Option<&Outcome>> {
        let badness = |outcome: &&Outcome| match outcome {
            Outcome::Violated(_) => 3,
            Outcome::Undetermined(_) => 2,
            Outcome::Passed(_) => 1,
            Outcome::NotApplicable(_) => 0,
        };
        let reports: Vec<&[(&rules::Rule, Outcome)]> = match self {
            Self::Server(report) => vec![&report.outcomes],
            Self::Domain(report) => {
                std::iter::once(&*report.outcomes).chain(report.hosts.iter().map(|host| &*host.outcomes)).collect()
            }
        };
        rules::catalogue().iter().map(move |rule| {
            let said = reports.iter().flat_map(|outcomes| outcomes.iter()).filter(|(known, _)| known.id == rule.id);
            said.map(|(_, outcome)| outcome).max_by_key(badness)
        })
    }
}

/// Why a case could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It cannot be resolved.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Its server cannot be started or reached.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A remote vantage point did not answer in the expected form.
    #[error("the vantage point {vantage} gave no usable answer: {why}")]
    Vantage {
        /// Which one.
        vantage: String,
        /// What is wrong with it.
        why: String,
    },
    /// It names a policy that there is not.
    #[error(transparent)]
    Policy(#[from] policy::UnknownPolicy),
    /// It is of a single server.
    #[error("the scenario has no `[domain]`")]
    NoDomain,
    /// The task that made the keys was cancelled.
    #[error("interrupted")]
    Interrupted,
}

/// Every mistake in a corpus, at once.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The corpus cannot be read.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Scenario files are wrong.
    #[error("{} of the scenario files cannot be used", .0.len())]
    Scenarios(Vec<ScenarioErrors>),
}

/// The schema of a scenario, with all names that one may use.
pub fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let rules: Vec<&str> = rules::catalogue().iter().map(|rule| rule.id).collect();
        let policies: Vec<&str> = policy::all().iter().map(|policy| &*policy.name).collect();
        scenario::schema(&Known { rules: &rules, kinds: &persona::kinds(), policies: &policies })
    });
    &SCHEMA
}

/// Parses the selected scenarios of a corpus; one case for each kind of server.
/// An empty selection takes all.
pub fn load(corpus: &Corpus, patterns: &[String]) -> Result<Vec<Case>, LoadError> {
    let mut entries = Vec::new();
    if patterns.is_empty() {
        entries.extend(corpus.iter());
    }
    for pattern in patterns {
        // An id means that scenario and not those whose ids contain it.
        let selected = corpus.get(pattern).map(|entry| vec![entry]).or_else(|_| corpus.filter(pattern))?;
        for entry in selected {
            if !entries.iter().any(|known| known.id == entry.id) {
                entries.push(entry);
            }
        }
    }
    let mut cases = Vec::new();
    let mut errors = Vec::new();
    for entry in entries {
        match parse(&entry.source, schema()) {
            Ok(scenario) => cases.extend(scenario.server.kinds.iter().map(|kind| Case {
                id: entry.id.clone(),
                kind: kind.clone(),
                scenario: scenario.clone(),
                snapshot: corpus.snapshot(&entry.id, kind).map(str::to_owned),
            })),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(cases) } else { Err(LoadError::Scenarios(errors)) }
}

/// Runs cases side by side, on all cores, and tells of each as it ends. Dropping the future ends
/// what is running.
pub async fn run(
    cases: Vec<Case>,
    backend: &Arc<Backend>,
    jobs: usize,
    issuance: Issuance,
    mut ended: impl FnMut(&Case, CaseOutcome),
) {
    let mut waiting = cases.into_iter();
    let mut running = JoinSet::new();
    loop {
        for case in waiting.by_ref().take(jobs.max(1) - running.len()) {
            let backend = Arc::clone(backend);
            running.spawn(async move {
                let outcome = run_case(&case, &backend, issuance).await;
                (case, outcome)
            });
        }
        match running.join_next().await {
            Some(Ok((case, outcome))) => ended(&case, outcome),
            // A bug: it must not be counted as anything else.
            Some(Err(error)) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
            None => return,
        }
    }
}

/// Runs one case: start, look, stop, compare.
pub async fn run_case(case: &Case, backend: &Backend, issuance: Issuance) -> CaseOutcome {
    match try_case(case, backend, issuance).await {
        Ok(outcome) => outcome,
        Err(error) => CaseOutcome::Broken(error),
    }
}

async fn try_case(case: &Case, backend: &Backend, issuance: Issuance) -> Result<CaseOutcome, CaseError> {
    if case.scenario.domain.is_some() {
        return domain::try_case(case, backend, issuance).await;
    }
    let plan = resolve(case, issuance).await?;
    if let Err(reason) = backend.possible(&plan) {
        return Ok(CaseOutcome::NotPossible(reason));
    }
    let running = match backend.start(&plan).await {
        Ok(running) => running,
        Err(error) => match error.not_possible() {
            Some(reason) => return Ok(CaseOutcome::NotPossible(reason.to_owned())),
            None => return Err(error.into()),
        },
    };
    let observed = look_and_fetch(&running, &plan, &case.scenario).await;
    let server_log = running.log().await;
    running.stop().await;
    let facts = observed?;

    let trust = std::slice::from_ref(&plan.trust);
    let policy = match &case.scenario.policy {
        Some(name) => policy::find(name)?,
        None => policy::default(),
    };
    let report = check::judge_by(policy, facts.clone(), trust, plan.now);
    let mut failures =
        compare(&report, &case.scenario.expect.must, &case.scenario.expect.must_not, &case.scenario.expect.verdicts);
    for (vantage, expect) in &case.scenario.expect.from {
        let views = facts.views.iter().filter(|view| view.vantage.label.as_ref().is_some_and(|label| label.as_str() == vantage));
        let alone = Facts { views: views.cloned().collect(), ..facts.clone() };
        let alone = check::judge_by(policy, alone, trust, plan.now);
        let from = compare(&alone, &expect.must, &expect.must_not, &expect.verdicts);
        failures.extend(from.into_iter().map(|failure| format!("from {vantage} alone: {failure}")));
    }
    if case.scenario.probe == Depth::Quick {
        failures.extend(too_many_connections(&report, case.scenario.active == Some(true)));
    }
    let redacted = text::render_redacted(&report, &TextOptions::snapshot(), &Redactor::new(&report.facts));
    let is_held_to_snapshots = backend.is_held_to_snapshots(&case.kind);
    let report = SeenReport::Server(Box::new(report));
    Ok(outcome(case, failures, Seen { report, redacted, is_held_to_snapshots, server_log }))
}

/// What was seen, compared with the snapshot as well.
fn outcome(case: &Case, mut failures: Vec<String>, seen: Seen) -> CaseOutcome {
    let redacted = seen.redacted.trim();
    if let Some(expected) = case.snapshot.as_deref().map(snapshot_body)
        && seen.is_held_to_snapshots
        && expected != redacted
    {
        failures.push(format!("the report is not what the snapshot says:\n{}", difference(expected, redacted)));
    }
    let seen = Box::new(seen);
    if failures.is_empty() { CaseOutcome::Passed(seen) } else { CaseOutcome::Failed { failures, seen } }
}

/// Looks at a running server as its scenario has it, and judges.
pub async fn examine(running: &Running, plan: &Plan, scenario: &Scenario) -> Result<Report, CaseError> {
    let facts = look_and_fetch(running, plan, scenario).await?;
    let policy = match &scenario.policy {
        Some(name) => policy::find(name)?,
        None => policy::default(),
    };
    Ok(check::judge_by(policy, facts, std::slice::from_ref(&plan.trust), plan.now))
}

/// What a check over a bad way says that contradicts the truth of the scenario.
#[derive(Debug, Default)]
pub struct Disturbed {
    /// Each contradiction in words.
    pub contradictions: Vec<String>,
    /// The verdicts that the scenario knows.
    pub verdicts: usize,
    /// Those of them that are left open. That is no contradiction.
    pub inconclusive: usize,
    /// Connections that the check opened.
    pub connections: u32,
}

/// Runs one case behind a relay. What it must not find must not be found there either; what it must find may be missed, but
/// nothing may be said to be right that is not. None where this backend cannot serve it.
pub async fn disturb(
    case: &Case,
    backend: &Backend,
    issuance: Issuance,
    way: RelayOptions,
) -> Result<Option<Disturbed>, CaseError> {
    let plan = resolve(case, issuance).await?;
    if backend.possible(&plan).is_err() {
        return Ok(None);
    }
    let mut running = backend.start(&plan).await?;
    running.put_behind(way).await?;
    let observed = look_and_fetch(&running, &plan, &case.scenario).await;
    running.stop().await;
    let policy = match &case.scenario.policy {
        Some(name) => policy::find(name)?,
        None => policy::default(),
    };
    let report = check::judge_by(policy, observed?, std::slice::from_ref(&plan.trust), plan.now);
    Ok(Some(contradictions(&report, &case.scenario)))
}

fn contradictions(report: &Report, scenario: &Scenario) -> Disturbed {
    let expect = &scenario.expect;
    let mut disturbed = Disturbed {
        contradictions: forbidden(&report.findings, &expect.must, &expect.must_not),
        connections: report.facts.views.iter().map(|view| view.connections).sum(),
        ..Disturbed::default()
    };
    for (rule, outcome) in &report.outcomes {
        if expect.must.iter().any(|must| must == rule.id) && matches!(outcome, Outcome::Passed(_)) {
            disturbed.contradictions.push(format!("`{}` is violated and was said to be passed", rule.id));
        }
    }
    for (practice, expected) in &expect.verdicts {
        let is_open = |verdict: Verdict| matches!(verdict, Verdict::Inconclusive | Verdict::NotApplicable);
        let line = &report.practices[usize::from(practice.number()) - 1];
        disturbed.verdicts += 1;
        disturbed.inconclusive += usize::from(is_open(line.verdict));
        if !is_open(*expected) && !is_open(line.verdict) && line.verdict != *expected {
            disturbed.contradictions.push(format!("practice {practice} is {expected}, and was said to be {}", line.verdict));
        }
    }
    disturbed
}

/// Resolves a case where making keys may block.
pub async fn resolve(case: &Case, issuance: Issuance) -> Result<Plan, CaseError> {
    let case = case.clone();
    let resolve = move || Plan::resolve(&case.id, &case.scenario, &case.kind, issuance);
    Ok(tokio::task::spawn_blocking(resolve).await.map_err(|_| CaseError::Interrupted)??)
}

/// Resolves a case of a whole domain where making keys may block.
pub async fn resolve_domain(case: &Case, issuance: Issuance) -> Result<DomainPlan, CaseError> {
    let case = case.clone();
    let resolve = move || DomainPlan::resolve(&case.id, &case.scenario, &case.kind, issuance);
    let plan = tokio::task::spawn_blocking(resolve).await.map_err(|_| CaseError::Interrupted)?;
    Ok(plan.ok_or(CaseError::NoDomain)??)
}

/// How deep a scenario has the checker look, and how long wait.
fn patience(scenario: &Scenario) -> Patience {
    let lab = Patience { depth: scenario.probe, active: scenario.active == Some(true), ..Patience::lab() };
    scenario.patience.map_or(lab.clone(), |wait| lab.waiting(wait.0))
}

/// What a scenario has the checker fetch, and where that is.
fn fetching(scenario: &Scenario, running: &Running, patience: &Patience) -> Fetching {
    let place = running.web.iter().map(|web| ((web.host.to_owned(), 80), web.address));
    Fetching {
        revocation: scenario.revocation.is_some(),
        issuers: scenario.fetch_issuers == Some(true),
        fetcher: Fetcher { fixed: place.collect(), asks_dns: false, patience: patience.reply },
    }
}

async fn look_and_fetch(running: &Running, plan: &Plan, scenario: &Scenario) -> Result<Facts, CaseError> {
    let patience = patience(scenario);
    let mut facts = look(running, plan, scenario, &patience).await?;
    facts.installed = plan.installed.iter().map(|der| Certificate::from_der(der)).collect();
    let resolver = Resolver::Static(hosts(running, plan));
    for address in addresses(running) {
        facts.pointers.push(resolver.pointer(address).await);
    }
    let fetching = fetching(scenario, running, &patience);
    check::fetch(&mut facts, &fetching, std::slice::from_ref(&plan.trust), plan.now).await;
    Ok(facts)
}

/// What the scenario's DNS says of its server.
fn hosts(running: &Running, plan: &Plan) -> Hosts {
    let addresses = addresses(running);
    let pointers = addresses.iter().map(|address| (*address, plan.pointer.clone())).collect();
    Hosts { addresses: BTreeMap::from([(plan.server.host.clone(), addresses)]), pointers }
}

/// The addresses of the server, in the order in which they are looked at.
fn addresses(running: &Running) -> Vec<IpAddr> {
    let mut addresses = vec![running.address.ip()];
    for vantage in &running.vantages {
        if !addresses.contains(&vantage.server.ip()) {
            addresses.push(vantage.server.ip());
        }
    }
    addresses
}

/// Looks at the running server from each of its vantage points.
async fn look(running: &Running, plan: &Plan, scenario: &Scenario, patience: &Patience) -> Result<Facts, CaseError> {
    // The scenario's port, as far as its report is concerned; see the redactor.
    let target = Target { name: plan.server.host.clone(), port: plan.port };
    let mut views = Vec::new();
    for vantage in &running.vantages {
        let ehlo = scenario.vantage.get(&vantage.name).and_then(|spec| spec.ehlo.clone()).map(Into::into);
        let asked = Vantage { label: Some(WireText::from(vantage.name.as_str())), source: Some(vantage.source), ehlo };
        let view = if vantage.is_remote {
            look_from_afar(running, &target, vantage, asked, patience).await?
        } else {
            probe::observe(&target, vantage.server, asked, patience).await
        };
        views.push(view);
    }
    Ok(Facts::new(target, views))
}

/// Has `mtalab observe` look from a vantage point where this process does not stand.
#[cfg(feature = "docker")]
async fn look_from_afar(
    running: &Running,
    target: &Target,
    from: &RunningVantage,
    asked: Vantage,
    patience: &Patience,
) -> Result<View, CaseError> {
    let name = from.name.as_str();
    let (depth, wait, address) = (patience.depth.name(), format!("{}ms", patience.reply.as_millis()), from.server.to_string());
    let active = if patience.active { &["--active"][..] } else { &[] };
    let port = target.port.to_string();
    let arguments =
        [&["observe", "--port", &port, "--probe", depth, "--patience", &wait][..], active, &[target.name.as_str(), &address]]
            .concat();
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.extend(asked.ehlo.iter().map(|name| format!("--ehlo={name}")));
    let printed = running.exec(name, &arguments).await?;
    let view: View = serde_json::from_slice(&printed)
        .map_err(|error| CaseError::Vantage { vantage: name.to_owned(), why: error.to_string() })?;
    Ok(View { vantage: asked, ..view })
}

#[cfg(not(feature = "docker"))]
async fn look_from_afar(_: &Running, _: &Target, from: &RunningVantage, _: Vantage, _: &Patience) -> Result<View, CaseError> {
    Err(CaseError::Vantage { vantage: from.name.clone(), why: "this build has no containers".to_owned() })
}

/// Compares a report with the truth, in words.
fn compare(report: &Report, must: &[String], must_not: &[String], verdicts: &BTreeMap<Practice, Verdict>) -> Vec<String> {
    let mut failures = Vec::new();
    for rule in must {
        if !report.findings.iter().any(|finding| finding.rule == rule) {
            let outcome = report.outcomes.iter().find(|(r, _)| r.id == rule).map(|(_, outcome)| outcome);
            failures.push(format!("`{rule}` must be found and was not{}", why_not_found(outcome)));
        }
    }
    failures.extend(forbidden(&report.findings, must, must_not));
    for (practice, expected) in verdicts {
        failures.extend(other_verdict(&report.practices[usize::from(practice.number()) - 1], *expected));
    }
    failures
}

/// A verdict that is not the expected one, in words.
fn other_verdict(line: &PracticeLine, expected: Verdict) -> Option<String> {
    let (practice, verdict) = (line.practice, line.verdict);
    let words = || format!("practice {} ({practice}) must be {expected} and is {verdict}: {}", practice.number(), line.reason);
    (verdict != expected).then(words)
}

/// What was found that must not be, in words.
fn forbidden<'a>(findings: impl IntoIterator<Item = &'a Finding>, must: &[String], must_not: &[String]) -> Vec<String> {
    let is_forbidden =
        |rule: &str| must_not.iter().any(|m| m == rule || (m == "*" && !must.iter().any(|allowed| allowed == rule)));
    let found = findings.into_iter().filter(|finding| is_forbidden(finding.rule));
    found.map(|finding| format!("`{}` must not be found and was: {}", finding.rule, finding.violation.message)).collect()
}

fn why_not_found(outcome: Option<&Outcome>) -> String {
    use crate::finding::Outcome::{NotApplicable, Passed, Undetermined, Violated};
    match outcome {
        Some(Passed(words)) if words.is_empty() => ": it passed".to_owned(),
        Some(Passed(words)) => format!(": it passed, {words}"),
        Some(Undetermined(why)) => format!(": it could not tell, {why}"),
        Some(NotApplicable(why)) => format!(": it did not apply, {why}"),
        Some(Violated(_)) | None => String::new(),
    }
}

/// The quick verdict costs at most three connections per address and source, retries included; what may be taken for an
/// attack, up to four more.
fn too_many_connections(report: &Report, is_active: bool) -> Option<String> {
    let most = report.facts.views.iter().map(|view| view.connections).max()?;
    let allowed = if is_active { 7 } else { 3 };
    (most > allowed).then(|| format!("{most} connections from one source to one address; {allowed} are allowed"))
}

/// An insta snapshot without its header.
fn snapshot_body(file: &str) -> &str {
    let mut parts = file.splitn(3, "---\n");
    match (parts.next(), parts.next(), parts.next()) {
        (Some(""), Some(_), Some(body)) => body.trim(),
        _ => file.trim(),
    }
}

/// A snapshot file as insta writes it.
pub fn snapshot_file(redacted: &str) -> String {
    format!("---\nsource: tests/corpus.rs\n---\n{}\n", redacted.trim())
}

fn difference(expected: &str, actual: &str) -> String {
    let mut out = String::new();
    for change in similar::TextDiff::from_lines(expected, actual).iter_all_changes() {
        let sign = match change.tag() {
            similar::ChangeTag::Delete => "-",
            similar::ChangeTag::Insert => "+",
            similar::ChangeTag::Equal => continue,
        };
        let _ = writeln!(out, "  {sign} {}", change.value().trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_snapshot_is_not_compared() {
        assert_eq!(snapshot_body(&snapshot_file("a\n---\nb")), "a\n---\nb");
        assert_eq!(snapshot_body("---\nsource: x\nexpression: y\n---\nbody\n"), "body");
    }

    #[test]
    fn a_difference_shows_only_what_differs() {
        assert_eq!(difference("a\nb\n", "a\nc\n"), "  - b\n  + c\n");
    }
}
