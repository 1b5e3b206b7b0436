//! The judged result of a check, and its renderers: text for people, JSON for programs.
//!
//! ```text
//! Facts + outcomes ──Report::new──> Report ──text::render──> what a person reads
//!                                     ├────json::to_json──> what programs and `mtalab merge` read
//!                                     └────text::render_redacted──> what a snapshot keeps
//! ```

mod domain;
pub mod explain;
pub mod json;
mod layout;
pub mod redact;
#[cfg(test)]
mod samples;
pub mod text;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    facts::{Depth, Facts, Observed, Resource, View},
    finding::{Finding, Outcome, Severity, Verdict},
    practice::{self, PracticeLine},
    rules::{Ending, NameRow, Product, Rule, Visibility, policy::Policy},
    senders::Row,
    trust::TrustStore,
};

pub use domain::{Decider, DomainPractice, DomainReport, NEXT_HOP_ONLY};
pub use explain::markdown_catalogue;

/// How deep the check looked: as deep as it did wherever it could. None where it was to look deeper than
/// [`Depth::Quick`] and could nowhere, which leaves open how deep that was.
pub fn depth(facts: &Facts) -> Option<Depth> {
    let of = |view: &View| match &view.offers {
        Observed::Seen(offers) => Some(offers.depth),
        unseen => (*unseen == View::no_offers()).then_some(Depth::Quick),
    };
    facts.views.iter().filter_map(of).min()
}

/// The questions that this depth of check does not ask; a report says so, since silence
/// would read as "nothing found".
pub fn not_asked(facts: &Facts) -> Vec<&'static str> {
    let about_tls: &[&str] = match depth(facts) {
        Some(Depth::Quick) => &[
            "SSLv2, SSLv3, TLS 1.0, TLS 1.1, TLS 1.2 or 1.3 where it was not negotiated, and the suites and groups that were not: \
             whether the server accepts them",
            "a second certificate, and the one for another server name or for none",
            "whose order of suites decides, renegotiation, compression, ALPN, and what in a hello the server cannot bear",
        ],
        Some(Depth::Standard) => &[
            "the complete lists of suites, groups and signature schemes: whether the server accepts others than those named",
            "the kinds of suites in versions below the highest that is older than TLS 1.3",
            "whose order of suites decides, ALPN, a foreign server name, and a hello in two records",
        ],
        Some(Depth::Full) => &[],
        None => &["anything about TLS: the dialog never got that far"],
    };
    let is_asked = facts.told_to_fetch.contains(&Resource::Ocsp);
    let about_revocation = (!is_asked).then_some("revocation: OCSP responders and CRLs (--revocation)");
    let never = [
        "renegotiation that a client begins, and early data in TLS 1.3: both need a handshake to be finished first",
        "what DNS says of this host: other MX, other addresses",
        "DANE (TLSA), MTA-STS and TLSRPT",
    ];
    about_tls.iter().copied().chain(about_revocation).chain(never).collect()
}

/// What was seen of a target, and what follows from it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was seen.
    pub facts: Facts,
    /// The moment of judgement; day counts are floored from it.
    pub now: OffsetDateTime,
    /// Whom the check trusted.
    pub stores: Vec<StoreName>,
    /// The seven lines, in order.
    pub practices: [PracticeLine; 7],
    /// Every observed defect, the worst first, then in the order of the practices.
    pub findings: Vec<Finding>,
    /// The guideline that it was judged by.
    pub policy: &'static Policy,
    /// What each rule said, in the order of the catalogue.
    pub outcomes: Vec<(&'static Rule, Outcome)>,
    /// Every name that the server goes by.
    pub names: Vec<NameRow>,
    /// When which certificate ends, the soonest first.
    pub endings: Vec<Ending>,
    /// Which software the server and what stands before it look like.
    pub products: Vec<Product>,
    /// Who sees STARTTLS.
    pub visibility: Visibility,
    /// What every kind of sender would do.
    pub senders: Vec<Row>,
    /// What else a reader must know, one sentence each.
    pub notes: Vec<String>,
}

/// A trust store, without its certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StoreName {
    /// `mozilla`, or the name of a file.
    pub name: String,
    /// Whether the world trusts its roots.
    pub public: bool,
    /// The SHA-256 over its roots in DER, in their order, in hexadecimal: two files of one name are told apart.
    #[serde(default)]
    pub sha256: String,
}

/// What the verdicts come to, for an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExitClass {
    /// Every practice that was judged passes.
    Clean,
    /// Nothing worse than a warning.
    Warned,
    /// Nothing violated was seen, but some practice could not be judged.
    Inconclusive,
    /// A violation was seen, whatever else could not be judged.
    Violated,
}

impl Report {
    /// Judges the practices and sorts the findings.
    pub fn new(
        facts: Facts,
        outcomes: Vec<(&'static Rule, Outcome)>,
        stores: &[TrustStore],
        policy: &'static Policy,
        now: OffsetDateTime,
    ) -> Self {
        let severity = |rule: &Rule| policy.severity(rule).unwrap_or(rule.severity);
        let practices = practice::judge(outcomes.iter().map(|(rule, outcome)| (rule.practice, severity(rule), outcome)));
        let mut findings: Vec<Finding> =
            outcomes.iter().flat_map(|(rule, outcome)| findings_of(rule, severity(rule), outcome)).collect();
        sort_findings(&mut findings);
        Self {
            facts,
            now,
            stores: store_names(stores),
            practices,
            findings,
            policy,
            outcomes,
            names: Vec::new(),
            endings: Vec::new(),
            products: Vec::new(),
            visibility: Visibility::default(),
            senders: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What an exit code tells: findings of at least `fail_on` are violations and outrank doubt.
    pub fn exit_class(&self, fail_on: Severity) -> ExitClass {
        exit_class(self.practices.iter().map(|line| line.verdict), &self.findings, fail_on)
    }

    /// Replaces the line of a practice by one that other evidence decides.
    pub fn set(&mut self, line: PracticeLine) {
        let place = line.practice as usize;
        self.practices[place] = line;
    }

    /// The rule of that id among those that judged.
    fn rule(&self, id: &str) -> Option<&'static Rule> {
        self.outcomes.iter().map(|(rule, _)| *rule).find(|rule| rule.id == id)
    }
}

/// The worst first, then in the order of the practices.
fn sort_findings(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.practice));
}

fn store_names(stores: &[TrustStore]) -> Vec<StoreName> {
    let name = |store: &TrustStore| StoreName { name: store.name.clone(), public: store.public, sha256: store.fingerprint() };
    stores.iter().map(name).collect()
}

fn exit_class<'a>(
    verdicts: impl Iterator<Item = Verdict>,
    findings: impl IntoIterator<Item = &'a Finding>,
    fail_on: Severity,
) -> ExitClass {
    let verdicts: Vec<Verdict> = verdicts.collect();
    let is_unjudged = verdicts.iter().all(|verdict| *verdict == Verdict::NotApplicable);
    if verdicts.contains(&Verdict::Fail) || findings.into_iter().any(|finding| finding.severity >= fail_on) {
        ExitClass::Violated
    } else if verdicts.contains(&Verdict::Inconclusive) || is_unjudged {
        ExitClass::Inconclusive
    } else if verdicts.contains(&Verdict::Warn) {
        ExitClass::Warned
    } else {
        ExitClass::Clean
    }
}

fn findings_of(rule: &'static Rule, severity: Severity, outcome: &Outcome) -> Vec<Finding> {
    let Outcome::Violated(violations) = outcome else { return Vec::new() };
    let finding = |violation: &crate::finding::Violation| Finding {
        rule: rule.id,
        practice: rule.practice,
        severity: violation.severity.unwrap_or(severity),
        result_type: rule.result_type,
        violation: violation.clone(),
    };
    violations.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        finding::Violation,
        report::samples::{self, NOW},
        rules::policy,
    };

    fn report(outcomes: Vec<(&'static Rule, Outcome)>) -> Report {
        Report::new(samples::refused(), outcomes, &[], policy::default(), NOW)
    }

    fn violated(messages: &[&str]) -> Outcome {
        Outcome::Violated(messages.iter().map(|m| Violation::new(*m)).collect())
    }

    #[test]
    fn the_worst_finding_comes_first_then_the_order_of_the_practices() {
        let report = report(vec![
            (&samples::LOOSE_NAME, violated(&["notice"])),
            (&samples::EXPIRED, violated(&["late fail", "later fail"])),
            (&samples::OLD_HASH, violated(&["warn"])),
            (&samples::SELF_SIGNED, violated(&["early fail"])),
        ]);
        let messages: Vec<_> = report.findings.iter().map(|f| f.violation.message.as_str()).collect();
        assert_eq!(messages, ["early fail", "late fail", "later fail", "warn", "notice"]);
    }

    #[rstest]
    #[case(vec![(&samples::EXPIRED, Outcome::Passed(String::new()))], ExitClass::Clean, ExitClass::Clean)]
    #[case(vec![(&samples::OLD_HASH, violated(&["w"]))], ExitClass::Warned, ExitClass::Violated)]
    #[case(vec![(&samples::OLD_HASH, violated(&["w"])), (&samples::EXPIRED, Outcome::Undetermined("u".to_owned()))],
        ExitClass::Inconclusive, ExitClass::Violated)]
    #[case(vec![(&samples::EXPIRED, violated(&["f"])), (&samples::OLD_HASH, Outcome::Undetermined("u".to_owned()))],
        ExitClass::Violated, ExitClass::Violated)]
    #[case(vec![(&samples::EXPIRED, Outcome::NotApplicable("nothing was observed".to_owned()))],
        ExitClass::Inconclusive, ExitClass::Inconclusive)]
    fn violations_outrank_doubt_and_warnings_are_clean_unless_asked(
        #[case] outcomes: Vec<(&'static Rule, Outcome)>,
        #[case] on_fail: ExitClass,
        #[case] on_warn: ExitClass,
    ) {
        let report = report(outcomes);
        assert_eq!((report.exit_class(Severity::Fail), report.exit_class(Severity::Warn)), (on_fail, on_warn));
    }
}
