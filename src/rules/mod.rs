//! What is wrong, decided from the facts. One rule, one file, one page.
//!
//! A rule is a pure function of its [`Context`]: no socket, no clock, no environment.
//! Where a fact is missing it answers [`Outcome::Undetermined`], never passed.
//!
//! To add one: write `rules/<topic>/<rule>.rs` with [`rule!`], enter its name in the
//! topic's `rules!`, and give it a scenario that trips it.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod identity;
mod keys;
mod path;
mod renewal;
mod starttls;
#[cfg(test)]
mod test_facts;
mod trust;

use std::sync::LazyLock;

use time::OffsetDateTime;

pub use crate::finding::{Outcome, Practice, ResultType, Severity, Violation};
use crate::{
    facts::{Certificate, CertificateDetails, Facts, View},
    trust::TrustStore,
};

/// Everything that a rule may look at.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What was seen.
    pub facts: &'a Facts,
    /// Whom the check trusts.
    pub stores: &'a [TrustStore],
    /// The moment of judgement; days are floored from it.
    pub now: OffsetDateTime,
}

/// One rule: its page and its judgement.
#[derive(Debug)]
pub struct Rule {
    /// The kebab-case name of the defect; also the name of its file.
    pub id: &'static str,
    /// The practice that a violation concerns.
    pub practice: Practice,
    /// What a violation makes of that practice.
    pub severity: Severity,
    /// What a sender that finds this would report (RFC 8460, 4.3); none where senders do not care.
    pub result_type: Option<ResultType>,
    /// The page in Markdown: a title line, then the sections `What it checks`,
    /// `Why it matters`, `Remedy` and `References`.
    pub page: &'static str,
    /// The judgement.
    pub judge: fn(&Context) -> Outcome,
}

impl Rule {
    /// The first line of the page.
    pub fn title(&self) -> &'static str {
        self.page.lines().next().unwrap_or_default().trim().trim_end_matches('.')
    }

    /// The text of a section of the page, without its heading; lines are trimmed of the
    /// doc comment's leading space.
    pub fn section(&self, heading: &str) -> String {
        let lines = self.page.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        let body = lines.skip_while(|line| line.strip_prefix("## ") != Some(heading)).skip(1);
        body.take_while(|line| !line.starts_with("## ")).collect::<Vec<_>>().join("\n").trim().to_owned()
    }
}

/// Defines the rule of a file: its doc comment becomes both rustdoc and the rule's page.
macro_rules! rule {
    (
        $(#[doc = $line:literal])+
        $id:literal { practice: $practice:ident, severity: $severity:ident, result_type: $result_type:expr }
    ) => {
        $(#[doc = $line])+
        pub static RULE: crate::rules::Rule = crate::rules::Rule {
            id: $id,
            practice: crate::finding::Practice::$practice,
            severity: crate::finding::Severity::$severity,
            result_type: $result_type,
            page: concat!($($line, "\n"),+),
            judge,
        };
    };
}

/// Declares the modules of a topic and enters their rules in the catalogue.
macro_rules! rules {
    ($($module:ident),+ $(,)?) => {
        $(mod $module;)+
        /// The rules of this topic, in the order of the report.
        pub static RULES: &[&crate::rules::Rule] = &[$(&$module::RULE),+];
    };
}
use {rule, rules};

/// Every rule, in the order of the practices.
pub fn catalogue() -> &'static [&'static Rule] {
    static ALL: LazyLock<Vec<&Rule>> =
        LazyLock::new(|| [trust::RULES, keys::RULES, identity::RULES, starttls::RULES, renewal::RULES].concat());
    &ALL
}

/// The rule of that id.
pub fn find(id: &str) -> Option<&'static Rule> {
    catalogue().iter().copied().find(|rule| rule.id == id)
}

/// Judges each view alone and joins the outcomes: a violation anywhere outranks doubt,
/// doubt outranks a pass. Violations that read alike become one, with all their views.
pub fn each_view(context: &Context, judge: impl Fn(&View) -> Outcome) -> Outcome {
    let mut violations: Vec<Violation> = Vec::new();
    let mut undetermined = None;
    let mut passed = None;
    let mut not_applicable = None;
    for (index, view) in context.facts.views.iter().enumerate() {
        match judge(view) {
            Outcome::Violated(found) => {
                for mut violation in found {
                    violation.views = vec![index];
                    match violations.iter_mut().find(|v| v.message == violation.message && v.evidence == violation.evidence) {
                        Some(same) => same.views.push(index),
                        None => violations.push(violation),
                    }
                }
            }
            Outcome::Undetermined(why) => _ = undetermined.get_or_insert(why),
            Outcome::Passed(words) => _ = passed.get_or_insert(words),
            Outcome::NotApplicable(why) => _ = not_applicable.get_or_insert(why),
        }
    }
    if !violations.is_empty() {
        return Outcome::Violated(violations);
    }
    if let Some(why) = undetermined {
        return Outcome::Undetermined(why);
    }
    match passed {
        Some(words) => Outcome::Passed(words),
        None => Outcome::NotApplicable(not_applicable.unwrap_or_else(|| "nothing was observed".to_owned())),
    }
}

/// Judges the certificate chain of each view; a view without one is undetermined,
/// with the reason why none was seen.
pub fn each_chain(context: &Context, judge: impl Fn(&View, &[Certificate]) -> Outcome) -> Outcome {
    each_view(context, |view| match view.session.certificates.seen().map(Vec::as_slice) {
        Some([]) => Outcome::Undetermined("the server sent an empty certificate message".to_owned()),
        Some(chain) => judge(view, chain),
        None => Outcome::Undetermined(no_certificate(view)),
    })
}

/// Judges the end-entity certificate of each view; one that cannot be read is undetermined.
pub fn each_leaf(context: &Context, judge: impl Fn(&View, &CertificateDetails) -> Outcome) -> Outcome {
    each_chain(context, |view, chain| match chain[0].details() {
        Ok(details) => judge(view, details),
        Err(why) => Outcome::Undetermined(format!("the certificate cannot be read: {why}")),
    })
}

/// Why no certificate was seen in this view, in words.
fn no_certificate(view: &View) -> String {
    format!("no certificate was seen from {}: {}", view.vantage_text(), view.session.certificates.why_not())
}
