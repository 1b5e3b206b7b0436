//! What others report (TLSRPT), and what a check saw: beside the logs, partner by partner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    finding::{ResultType, Verdict},
    name::Name,
    tlsrpt::report::Report,
    wire::WireText,
};

/// So many notes on reports are kept.
const MAX_NOTES: usize = 50;
/// So many reporters and domains have a sum of their own; reports beyond are counted in [`Outside::left_out`].
const MAX_SUMS: usize = 10_000;
const MAX_REASONS: usize = 100;

/// What reports say of one domain, of one reporter each or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Reported {
    /// How many reports.
    pub reports: u64,
    /// Sessions that were as the policy wants them.
    pub successes: u64,
    /// Sessions that were not.
    pub failures: u64,
    /// Those by reason, the most frequent first.
    pub reasons: Vec<ReportedReason>,
}

/// Failures of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ReportedReason {
    /// The result type (RFC 8460, 4.3); absent where the report has another word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_type: Option<ResultType>,
    /// As the report has it.
    pub words: WireText,
    /// The MX host, where it is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<WireText>,
    /// Sessions.
    pub sessions: u64,
}

/// What a check saw of a domain or a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Checked {
    /// The domain or the server.
    pub name: Name,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub judged_at: OffsetDateTime,
    /// The verdicts of the seven practices, in order.
    pub verdicts: Vec<Verdict>,
}

/// Why a file is no report of a check.
#[derive(Debug, thiserror::Error)]
pub enum CheckedError {
    /// Not JSON of that form.
    #[error("it is no report of `mtalab check --format json`: {0}")]
    Form(String),
    /// Of another version.
    #[error("it has format version {0}, and this mtalab reads version 1: use a newer mtalab")]
    Version(u64),
}

impl Checked {
    /// Reads what `mtalab check --format json` wrote, about a domain or a server.
    pub fn read(bytes: &[u8]) -> Result<Self, CheckedError> {
        #[derive(Deserialize)]
        struct Saved {
            format: String,
            version: u64,
            domain: Option<Name>,
            #[serde(with = "time::serde::rfc3339")]
            judged_at: OffsetDateTime,
            practices: Vec<SavedPractice>,
            facts: Option<SavedFacts>,
        }
        #[derive(Deserialize)]
        struct SavedPractice {
            verdict: Verdict,
        }
        #[derive(Deserialize)]
        struct SavedFacts {
            target: Option<SavedTarget>,
        }
        #[derive(Deserialize)]
        struct SavedTarget {
            name: Name,
        }
        let form = |why: &str| CheckedError::Form(WireText::from(why).to_string());
        let saved: Saved = serde_json::from_slice(bytes).map_err(|error| form(&error.to_string()))?;
        if !matches!(saved.format.as_str(), "mtalab-report" | "mtalab-domain-report") {
            return Err(form(&format!("the field `format` is `{}`", saved.format)));
        }
        if saved.version != 1 {
            return Err(CheckedError::Version(saved.version));
        }
        let target = saved.facts.and_then(|facts| facts.target).map(|target| target.name);
        let name = saved.domain.or(target).ok_or_else(|| form("it names neither a domain nor a server"))?;
        if saved.practices.len() != 7 {
            return Err(form("it has not the seven practices"));
        }
        Ok(Self { name, judged_at: saved.judged_at, verdicts: saved.practices.iter().map(|practice| practice.verdict).collect() })
    }
}

/// Everything from outside of the logs.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// By the domain of who reports.
    pub(super) by: BTreeMap<Name, Reported>,
    /// By the domain that is reported of.
    pub(super) on: BTreeMap<Name, Reported>,
    pub(super) checked: BTreeMap<Name, Checked>,
    pub(super) notes: Vec<String>,
    pub(super) reports: u64,
    pub(super) left_out: u64,
}

impl Outside {
    pub(super) fn report(&mut self, report: &Report) {
        self.reports += 1;
        for note in &report.notes {
            self.note(format!("report {} of {}: {note}", report.id, report.organization));
        }
        if report.submitter.is_none() {
            self.note(format!("report {} of {} does not say of which domain its sender is", report.id, report.organization));
        }
        for (at, policy) in report.policies.iter().enumerate() {
            // Of a report with several policies each is a part.
            let reports = u64::from(at == 0);
            let sums = [report.submitter.as_ref().map(|name| (true, name)), Some((false, &policy.domain))];
            for (is_reporter, name) in sums.into_iter().flatten() {
                let table = if is_reporter { &mut self.by } else { &mut self.on };
                if table.len() >= MAX_SUMS && !table.contains_key(name) {
                    self.left_out += 1;
                    continue;
                }
                let sum = table.entry(name.clone()).or_default();
                sum.reports += if is_reporter { reports } else { 1 };
                // Numbers of others may be anything.
                sum.successes = sum.successes.saturating_add(policy.successes);
                sum.failures = sum.failures.saturating_add(policy.failures);
                for detail in &policy.details {
                    let same = |known: &&mut ReportedReason| known.words == detail.result_text && known.host == detail.host;
                    let has_room = sum.reasons.len() < MAX_REASONS;
                    match sum.reasons.iter_mut().find(same) {
                        Some(known) => known.sessions = known.sessions.saturating_add(detail.sessions),
                        None if has_room => sum.reasons.push(ReportedReason {
                            result_type: detail.result_type,
                            words: detail.result_text.clone(),
                            host: detail.host.clone(),
                            sessions: detail.sessions,
                        }),
                        None => {}
                    }
                }
                sum.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.sessions));
            }
        }
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MAX_NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Every domain that something is known of.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.by.keys().chain(self.on.keys()).chain(self.checked.keys())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_a_check_is_read() {
        let practices = [r#"{"number":1,"verdict":"pass"}"#; 7].join(",");
        let text = |version: u32| {
            format!(
                r#"{{"format":"mtalab-domain-report","version":{version},"domain":"partner.test","judged_at":"2026-11-29T00:00:00Z","practices":[{practices}]}}"#
            )
        };
        let checked = Checked::read(text(1).as_bytes()).unwrap();
        assert_eq!((checked.name.as_str(), checked.verdicts.len()), ("partner.test", 7));
        assert!(matches!(Checked::read(text(2).as_bytes()), Err(CheckedError::Version(2))));
        assert!(matches!(Checked::read(b"{}"), Err(CheckedError::Form(_))));
    }
}
