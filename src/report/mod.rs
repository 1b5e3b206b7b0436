//! The judged result of a check, and its renderers: text for people, JSON for programs.
//!
//! ```text
//! Facts + outcomes ──Report::new──> Report ──text::render──> what a person reads
//!                                     ├────json::to_json──> what programs and `mtalab merge` read
//!                                     └────text::render_redacted──> what a snapshot keeps
//! ```

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
    trust::TrustStore,
};

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
    let about_tls = match depth(facts) {
        Some(Depth::Quick) => {
            Some("SSLv3, TLS 1.0, TLS 1.1, and the suites and groups that were not negotiated: whether the server accepts them")
        }
        Some(Depth::Standard) => {
            Some("the complete lists of suites, groups and signature schemes: whether the server accepts others than those named")
        }
        Some(Depth::Full) => None,
        None => Some("anything about TLS: the dialog never got that far"),
    };
    let is_asked = facts.told_to_fetch.contains(&Resource::Ocsp);
    let about_revocation = (!is_asked).then_some("revocation: OCSP responders and CRLs (--revocation)");
    let never = ["what DNS says of this host: other MX, other addresses", "DANE (TLSA), MTA-STS and TLSRPT"];
    about_tls.into_iter().chain(about_revocation).chain(never).collect()
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
        findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.practice));
        let stores = stores
            .iter()
            .map(|store| StoreName { name: store.name.clone(), public: store.public, sha256: store.fingerprint() })
            .collect();
        Self {
            facts,
            now,
            stores,
            practices,
            findings,
            policy,
            outcomes,
            names: Vec::new(),
            endings: Vec::new(),
            products: Vec::new(),
            visibility: Visibility::default(),
            notes: Vec::new(),
        }
    }

    /// What an exit code tells: findings of at least `fail_on` are violations and outrank doubt.
    pub fn exit_class(&self, fail_on: Severity) -> ExitClass {
        let has = |verdict| self.practices.iter().any(|line| line.verdict == verdict);
        let is_unjudged = self.practices.iter().all(|line| line.verdict == Verdict::NotApplicable);
        if has(Verdict::Fail) || self.findings.iter().any(|finding| finding.severity >= fail_on) {
            ExitClass::Violated
        } else if has(Verdict::Inconclusive) || is_unjudged {
            ExitClass::Inconclusive
        } else if has(Verdict::Warn) {
            ExitClass::Warned
        } else {
            ExitClass::Clean
        }
    }

    /// The rule of that id among those that judged.
    fn rule(&self, id: &str) -> Option<&'static Rule> {
        self.outcomes.iter().map(|(rule, _)| *rule).find(|rule| rule.id == id)
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
