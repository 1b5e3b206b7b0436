//! The report of a domain for programs. It holds what was seen of each server once, under `facts`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    FindingEntry, PolicyName, ReportReadError, RuleEntry, Tool, check_head, escape_unprintable, finding_entry, rule_entry,
};
use crate::{
    facts::DomainFacts,
    finding::{Practice, Severity, Verdict},
    name::Name,
    report::{Decider, DomainReport, ExitClass, NEXT_HOP_ONLY, Report, StoreName},
    rules::{Ending, NameRow, Product, STAGES, StageRow, Visibility},
    senders::DomainRow,
};

/// The name of the format.
pub const FORMAT: &str = "mtalab-domain-report";
/// The version of the format: it grows when an old reader would go wrong.
pub const VERSION: u64 = 1;

/// The report of a domain as pretty JSON in a stable order.
pub fn to_json(report: &DomainReport) -> String {
    let mut out = escape_unprintable(&written(serde_json::to_string_pretty(&document(report))));
    out.push('\n');
    out
}

/// The same on one line, for lists of reports.
pub fn to_json_line(report: &DomainReport) -> String {
    let mut out = escape_unprintable(&written(serde_json::to_string(&document(report))));
    out.push('\n');
    out
}

#[expect(clippy::expect_used, reason = "an unwritable report is a defect of this file, not of a server")]
fn written(json: serde_json::Result<String>) -> String {
    json.expect("there are no maps, and every time has a year from 0 to 9999 as ASN.1 and RFC 3339 have")
}

/// Reads what was seen back from a report, never the verdicts.
pub fn read(bytes: &[u8]) -> Result<DomainFacts, ReportReadError> {
    #[derive(Deserialize)]
    struct Body {
        facts: DomainFacts,
    }
    check_head(bytes, FORMAT, VERSION)?;
    Ok(serde_json::from_slice::<Body>(bytes).map_err(ReportReadError::Damaged)?.facts)
}

/// The JSON Schema of the format.
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

/// A report of the mtalab checker about a whole domain.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "DomainReport", deny_unknown_fields)]
struct Document<'a> {
    /// Always `mtalab-domain-report`.
    format: &'static str,
    /// The version of this format.
    version: u64,
    /// What made the report.
    tool: Tool,
    /// The domain.
    domain: &'a Name,
    /// The moment of judgement.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    judged_at: OffsetDateTime,
    /// What the verdicts come to, where warnings do not count as violations.
    exit: ExitClass,
    /// Whom the check trusted.
    trust_stores: &'a [StoreName],
    /// The guideline that it was judged by.
    policy: PolicyName<'a>,
    /// The seven practices over all servers, in order.
    practices: Vec<PracticeEntry<'a>>,
    /// What these verdicts do not say.
    caveat: &'static str,
    /// What the marks of a row of `stages` are about, in order.
    stage_names: [&'static str; 9],
    /// How far a sender gets with each address.
    stages: &'a [StageRow],
    /// What every kind of sender would do with a message for the domain.
    senders: &'a [DomainRow],
    /// Defects of the domain as a whole, the worst first.
    findings: Vec<FindingEntry<'a>>,
    /// What each rule about domains said.
    rules: Vec<RuleEntry<'a>>,
    /// What was judged of each server, in the order of preference.
    hosts: Vec<HostEntry<'a>>,
    /// What else a reader must know.
    notes: &'a [String],
    /// What was seen. All of the above follows from it, the trust stores and the moment.
    facts: &'a DomainFacts,
}

/// The verdict of one practice over a domain.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PracticeEntry<'a> {
    /// 1 to 7.
    number: u8,
    id: Practice,
    title: &'static str,
    verdict: Verdict,
    /// Why, in words.
    reason: &'a str,
    /// The server that decides; none where the domain itself does, or all servers alike.
    decided_by: Option<&'a Decider>,
}

/// What was judged of one server.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct HostEntry<'a> {
    host: &'a Name,
    /// The seven verdicts about this server alone, in order.
    verdicts: Vec<Verdict>,
    /// Their reasons.
    reasons: Vec<&'a str>,
    /// Every observed defect, the worst first. `views` are indices into the views of this host in `facts`.
    findings: Vec<FindingEntry<'a>>,
    /// What each rule said.
    rules: Vec<RuleEntry<'a>>,
    /// Every name that the server goes by.
    names: &'a [NameRow],
    /// When which certificate ends, the soonest first.
    endings: &'a [Ending],
    /// Which software the server looks like; a hint.
    products: &'a [Product],
    /// Who sees STARTTLS.
    starttls: &'a Visibility,
}

fn document(report: &DomainReport) -> Document<'_> {
    Document {
        format: FORMAT,
        version: VERSION,
        tool: Tool { name: "mtalab", version: env!("CARGO_PKG_VERSION") },
        domain: &report.facts.domain,
        judged_at: report.now,
        exit: report.exit_class(Severity::Fail),
        trust_stores: &report.stores,
        policy: PolicyName { name: &report.policy.name, title: &report.policy.title, source: &report.policy.source },
        practices: report
            .practices
            .iter()
            .map(|practice| PracticeEntry {
                number: practice.line.practice.number(),
                id: practice.line.practice,
                title: practice.line.practice.title(),
                verdict: practice.line.verdict,
                reason: &practice.line.reason,
                decided_by: practice.decided_by.as_ref(),
            })
            .collect(),
        caveat: NEXT_HOP_ONLY,
        stage_names: STAGES,
        stages: &report.stages,
        senders: &report.senders,
        findings: report.findings.iter().map(finding_entry).collect(),
        rules: report.outcomes.iter().map(|(rule, outcome)| rule_entry(report.policy, rule, outcome)).collect(),
        hosts: report.hosts.iter().map(host_entry).collect(),
        notes: &report.notes,
        facts: &report.facts,
    }
}

fn host_entry(report: &Report) -> HostEntry<'_> {
    HostEntry {
        host: &report.facts.target.name,
        verdicts: report.practices.iter().map(|line| line.verdict).collect(),
        reasons: report.practices.iter().map(|line| line.reason.as_str()).collect(),
        findings: report.findings.iter().map(finding_entry).collect(),
        rules: report.outcomes.iter().map(|(rule, outcome)| rule_entry(report.policy, rule, outcome)).collect(),
        names: &report.names,
        endings: &report.endings,
        products: &report.products,
        starttls: &report.visibility,
    }
}
