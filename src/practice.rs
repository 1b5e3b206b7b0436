//! From the outcomes of the rules to the seven verdicts that a report opens with.

use crate::finding::{Outcome, Practice, Severity, Verdict, Violation};

/// One of the seven lines: a practice, its verdict, and the reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PracticeLine {
    /// The practice.
    pub practice: Practice,
    /// Its verdict.
    pub verdict: Verdict,
    /// Why, as a sentence fragment without a full stop.
    pub reason: String,
}

/// Judges the seven practices from what each rule said, in the order of the catalogue.
///
/// A failure outranks doubt, and doubt outranks a warning: a practice of which too little
/// was seen must not look almost right. Notices change no verdict. A practice that no
/// outcome belongs to is not applicable.
pub fn judge<'a>(outcomes: impl IntoIterator<Item = (Practice, Severity, &'a Outcome)>) -> [PracticeLine; 7] {
    let mut tallies = Practice::ALL.map(|_| Tally::default());
    for (practice, severity, outcome) in outcomes {
        tallies[practice as usize].add(severity, outcome);
    }
    Practice::ALL.map(|practice| {
        let (verdict, reason) = tallies[practice as usize].verdict();
        PracticeLine { practice, verdict, reason }
    })
}

/// What the rules of one practice said, sorted by what it makes of the verdict.
#[derive(Default)]
struct Tally<'a> {
    fails: Vec<&'a Violation>,
    warnings: Vec<&'a Violation>,
    notices: Vec<&'a Violation>,
    /// Why rules that could fail or warn were undetermined.
    doubts: Vec<&'a str>,
    /// Why rules that could only notice something were undetermined.
    small_doubts: Vec<&'a str>,
    has_passed: bool,
    passes: Vec<&'a str>,
    not_applicable: Vec<&'a str>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, severity: Severity, outcome: &'a Outcome) {
        match outcome {
            Outcome::Violated(violations) => {
                for violation in violations {
                    match violation.severity.unwrap_or(severity) {
                        Severity::Fail => self.fails.push(violation),
                        Severity::Warn => self.warnings.push(violation),
                        Severity::Notice => self.notices.push(violation),
                    }
                }
            }
            Outcome::Undetermined(why) if severity == Severity::Notice => push_new(&mut self.small_doubts, why),
            Outcome::Undetermined(why) => push_new(&mut self.doubts, why),
            Outcome::Passed(words) => {
                self.has_passed = true;
                push_new(&mut self.passes, words);
            }
            Outcome::NotApplicable(why) => push_new(&mut self.not_applicable, why),
        }
    }

    fn verdict(&self) -> (Verdict, String) {
        if let Some(first) = self.fails.first() {
            return (Verdict::Fail, and_more(&first.message, self.fails.len() + self.warnings.len() - 1));
        }
        if let Some(why) = self.doubts.first() {
            let reason = match self.warnings.first() {
                Some(first) => format!("{why}; seen all the same: {}", and_more(&first.message, self.warnings.len() - 1)),
                None => and_more(why, self.doubts.len() - 1),
            };
            return (Verdict::Inconclusive, reason);
        }
        if let Some(first) = self.warnings.first() {
            return (Verdict::Warn, and_more(&first.message, self.warnings.len() - 1));
        }
        if self.has_passed || !self.notices.is_empty() {
            return (Verdict::Pass, self.passed());
        }
        // Nothing of this practice was seen to be right, so doubt about a notice counts.
        if let Some(why) = self.small_doubts.first() {
            return (Verdict::Inconclusive, and_more(why, self.small_doubts.len() - 1));
        }
        if self.not_applicable.is_empty() {
            return (Verdict::NotApplicable, "no rule of this version judges it".to_owned());
        }
        (Verdict::NotApplicable, self.not_applicable.join("; "))
    }

    fn passed(&self) -> String {
        let mut parts: Vec<String> = self.passes.iter().map(|words| (*words).to_owned()).collect();
        if let Some(first) = self.notices.first() {
            parts.push(format!("notice: {}", and_more(&first.message, self.notices.len() - 1)));
        }
        if parts.is_empty() { "nothing wrong was seen".to_owned() } else { parts.join("; ") }
    }
}

/// Several rules often say the same, and some say nothing.
fn push_new<'a>(texts: &mut Vec<&'a str>, text: &'a str) {
    if !text.is_empty() && !texts.contains(&text) {
        texts.push(text);
    }
}

fn and_more(first: &str, more: usize) -> String {
    if more == 0 { first.to_owned() } else { format!("{first} (and {more} more)") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use Severity::{Fail, Notice, Warn};

    fn passed(words: &str) -> Outcome {
        Outcome::Passed(words.to_owned())
    }

    fn undetermined(why: &str) -> Outcome {
        Outcome::Undetermined(why.to_owned())
    }

    fn not_applicable(why: &str) -> Outcome {
        Outcome::NotApplicable(why.to_owned())
    }

    fn violated(messages: &[&str]) -> Outcome {
        Outcome::Violated(messages.iter().map(|m| Violation::new(*m)).collect())
    }

    fn keys(outcomes: &[(Severity, Outcome)]) -> (Verdict, String) {
        let lines = judge(outcomes.iter().map(|(severity, outcome)| (Practice::StrongKeys, *severity, outcome)));
        let [_, keys, ..] = lines;
        assert_eq!(keys.practice, Practice::StrongKeys);
        (keys.verdict, keys.reason)
    }

    #[rstest]
    #[case(&[(Warn, violated(&["w"])), (Fail, undetermined("u")), (Fail, violated(&["a", "b"]))], Verdict::Fail, "a (and 2 more)")]
    #[case(&[(Fail, violated(&["a"])), (Fail, passed("p"))], Verdict::Fail, "a")]
    #[case(&[(Warn, undetermined("u")), (Fail, passed("p"))], Verdict::Inconclusive, "u")]
    #[case(&[(Warn, undetermined("u")), (Fail, undetermined("u"))], Verdict::Inconclusive, "u")]
    #[case(&[(Warn, undetermined("u")), (Fail, undetermined("v"))], Verdict::Inconclusive, "u (and 1 more)")]
    #[case(&[(Fail, undetermined("u")), (Warn, violated(&["w"]))], Verdict::Inconclusive, "u; seen all the same: w")]
    #[case(&[(Fail, passed("p")), (Warn, violated(&["w"]))], Verdict::Warn, "w")]
    #[case(&[(Fail, passed("p")), (Warn, passed("q")), (Warn, passed("p")), (Fail, passed(""))], Verdict::Pass, "p; q")]
    #[case(&[(Fail, passed(""))], Verdict::Pass, "nothing wrong was seen")]
    #[case(&[(Fail, passed("p")), (Notice, violated(&["n", "m"]))], Verdict::Pass, "p; notice: n (and 1 more)")]
    #[case(&[(Fail, passed("p")), (Notice, undetermined("u"))], Verdict::Pass, "p")]
    #[case(&[(Fail, passed("p")), (Fail, not_applicable("x"))], Verdict::Pass, "p")]
    #[case(&[(Fail, not_applicable("x")), (Warn, not_applicable("x"))], Verdict::NotApplicable, "x")]
    #[case(&[(Fail, not_applicable("x")), (Notice, undetermined("u"))], Verdict::Inconclusive, "u")]
    #[case(&[], Verdict::NotApplicable, "no rule of this version judges it")]
    fn the_worst_outcome_decides(#[case] outcomes: &[(Severity, Outcome)], #[case] verdict: Verdict, #[case] reason: &str) {
        assert_eq!(keys(outcomes), (verdict, reason.to_owned()));
    }

    /// A policy fails what it does not allow, and warns of what it phases out.
    #[test]
    fn a_violation_may_be_milder_than_its_rule() {
        let mild = Outcome::Violated(vec![Violation::new("old").graded(Warn)]);
        assert_eq!(keys(&[(Fail, mild)]), (Verdict::Warn, "old".to_owned()));
    }

    #[test]
    fn each_practice_is_judged_by_its_own_rules() {
        let (fail, pass) = (violated(&["broken"]), passed("fine"));
        let lines = judge([(Practice::Renewal, Fail, &fail), (Practice::PublicCa, Fail, &pass)]);
        assert_eq!(lines.each_ref().map(|line| line.practice), Practice::ALL);
        let verdicts = lines.map(|line| line.verdict);
        let none = Verdict::NotApplicable;
        assert_eq!(verdicts, [Verdict::Pass, none, none, none, none, none, Verdict::Fail]);
    }
}
