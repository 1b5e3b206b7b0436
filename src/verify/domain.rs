//! Cases of whole mail domains.

use std::time::Duration;

use super::{
    Backend, Case, CaseError, CaseOutcome, Issuance, Seen, SeenReport, forbidden, other_verdict, outcome, policy, resolve_domain,
    validator, why_not_found,
};
use crate::{
    check::{self, CheckOptions, DomainOptions, Fetching},
    facts::{FormerPolicy, Vantage},
    finding::{Finding, Outcome},
    lab::RunningDomain,
    plan::DomainPlan,
    probe::{
        dns::{Anchors, DnsOptions},
        reach::{Range, Reach},
    },
    report::{
        DomainReport,
        redact::Redactor,
        text::{self, TextOptions},
    },
    scenario::{Expect, Faults, Scenario},
    wire::WireText,
};

/// How long an answer of DNS is waited for, where the scenario says nothing else.
const DNS_PATIENCE: Duration = Duration::from_secs(5);
/// How long a policy is.
const POLICY_PATIENCE: Duration = Duration::from_secs(20);

/// Starts a domain, looks, stops, compares.
pub(super) async fn try_case(case: &Case, backend: &Backend, issuance: Issuance) -> Result<CaseOutcome, CaseError> {
    let plan = resolve_domain(case, issuance).await?;
    if let Err(reason) = backend.domain_possible(&plan) {
        return Ok(CaseOutcome::NotPossible(reason));
    }
    let before = match case.scenario.domain.as_ref().and_then(|domain| domain.seen_before) {
        Some(true) => Some(look_before(case, backend, issuance).await?),
        _ => None,
    };
    let running = match backend.start_domain(&plan).await {
        Ok(running) => running,
        Err(error) => match error.not_possible() {
            Some(reason) => return Ok(CaseOutcome::NotPossible(reason.to_owned())),
            None => return Err(error.into()),
        },
    };
    let former = before.as_ref().and_then(|report| check::policy_for_later(&report.facts));
    let report = examine(&running, &plan, &case.scenario, former).await?;
    let differences = match running.validator {
        Some(resolver) => validator::differences(&report.facts, &plan.dns, resolver).await,
        None => Vec::new(),
    };
    let server_log = running.log().await;
    running.stop().await;
    let mut failures = compare(&report, &case.scenario.expect);
    for finding in before.iter().flat_map(findings).filter(|finding| case.scenario.expect.must.iter().any(|m| m == finding.rule))
    {
        failures.push(format!("`{}` was found before the fault came: {}", finding.rule, finding.violation.message));
    }
    failures.extend(differences);
    let redacted = text::render_domain_redacted(&report, &TextOptions::snapshot(), &Redactor::of_domain(&report.facts));
    let is_held_to_snapshots = backend.is_held_to_snapshots(&case.kind);
    let report = SeenReport::Domain(Box::new(report));
    Ok(outcome(case, failures, Seen { report, redacted, is_held_to_snapshots, server_log }))
}

/// Looks at the same world without its fault.
async fn look_before(case: &Case, backend: &Backend, issuance: Issuance) -> Result<DomainReport, CaseError> {
    let mut case = case.clone();
    case.scenario.fault = Faults::default();
    let plan = resolve_domain(&case, issuance).await?;
    let running = backend.start_domain(&plan).await?;
    let report = examine_domain(&running, &plan, &case.scenario).await?;
    running.stop().await;
    Ok(report)
}

/// Looks at a running domain, and judges.
pub async fn examine_domain(running: &RunningDomain, plan: &DomainPlan, scenario: &Scenario) -> Result<DomainReport, CaseError> {
    examine(running, plan, scenario, None).await
}

/// The same with the policy that was seen before.
async fn examine(
    running: &RunningDomain,
    plan: &DomainPlan,
    scenario: &Scenario,
    former: Option<FormerPolicy>,
) -> Result<DomainReport, CaseError> {
    let mut options = options(scenario, plan, running)?;
    options.former = former;
    Ok(check::check_domain(&plan.name, &options).await)
}

/// What the checker is told of the lab: whom to ask, whom to trust, where port 25 and port 443 are.
fn options(scenario: &Scenario, plan: &DomainPlan, running: &RunningDomain) -> Result<DomainOptions, CaseError> {
    let mut patience = super::patience(scenario);
    if let Some(wait) = scenario.patience {
        patience.connect = wait.0;
    }
    let anchors = Anchors::parse("the lab's root", &running.dns_anchor);
    let anchors = anchors.map_err(|error| CaseError::Vantage { vantage: plan.vantage.clone(), why: error.to_string() })?;
    let wait = |usual: Duration| scenario.patience.map_or(usual, |wait| wait.0);
    let check = CheckOptions {
        stores: vec![plan.trust.clone()],
        now: plan.now,
        patience,
        pointers: Vec::new(),
        fetching: Fetching::default(),
        installed: Vec::new(),
        policy: match &scenario.policy {
            Some(name) => policy::find(name)?,
            None => policy::default(),
        },
    };
    Ok(DomainOptions {
        dns: DnsOptions { servers: vec![running.resolvers[0]], anchors, timeout: wait(DNS_PATIENCE), ..DnsOptions::default() },
        smtp_port: running.smtp_port,
        policy_port: running.policy_host.port(),
        reach: Reach { beyond: places(running) },
        policy_patience: wait(POLICY_PATIENCE),
        // No source: what has an IPv4 address cannot ask at an IPv6 address.
        vantages: vec![Vantage { label: Some(WireText::from(running.vantage.0.as_str())), ..Vantage::default() }],
        ..DomainOptions::new(check)
    })
}

/// Where the lab is. What else a scenario names, is not the lab's.
fn places(running: &RunningDomain) -> Vec<Range> {
    let servers = running.servers.iter().map(|(_, address)| *address);
    servers.chain([running.policy_host.ip()]).map(Range::from).collect()
}

/// Everything that was found, of the domain and of its servers.
fn findings(report: &DomainReport) -> impl Iterator<Item = &Finding> {
    report.findings.iter().chain(report.hosts.iter().flat_map(|host| &host.findings))
}

fn compare(report: &DomainReport, expect: &Expect) -> Vec<String> {
    let mut failures = Vec::new();
    for rule in &expect.must {
        if !findings(report).any(|finding| finding.rule == rule) {
            let of_domain = report.outcomes.iter().find(|(known, _)| known.id == rule).map(|(_, outcome)| outcome);
            let of_hosts = report.hosts.iter().flat_map(|host| &host.outcomes).filter(|(known, _)| known.id == rule);
            // A server that could not be judged says more than one that is right.
            let of_hosts = of_hosts.map(|(_, outcome)| outcome).max_by_key(|outcome| matches!(outcome, Outcome::Undetermined(_)));
            failures.push(format!("`{rule}` must be found and was not{}", why_not_found(of_domain.or(of_hosts))));
        }
    }
    failures.extend(forbidden(findings(report), &expect.must, &expect.must_not));
    for (practice, expected) in &expect.verdicts {
        let line = &report.practice(*practice).line;
        failures.extend(other_verdict(line, *expected));
    }
    failures
}
