use crate::rules::{
    DomainContext, Outcome, Violation, listed, rule,
    deliveries::{Sts, sts},
};

rule! {
    /// The policy of MTA-STS is not quite in its form.
    ///
    /// ## What it checks
    ///
    /// The policy has empty lines, or repeats a field other than `mx`.
    ///
    /// ## Why it matters
    ///
    /// Senders are told to ignore what is repeated, and the grammar has no empty lines. Most bear it.
    ///
    /// ## Remedy
    ///
    /// Remove the lines.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.2
    Domain "sts-policy-form" { practice: EnforceableTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    match sts(context) {
        Sts::Policy(policy) if policy.lapses.is_empty() => Outcome::Passed(String::new()),
        Sts::Policy(policy) => {
            Outcome::Violated(vec![Violation::new(format!("the policy of MTA-STS: {}", listed(policy.lapses.iter(), 3, "; ")))])
        }
        Sts::None(why) | Sts::Broken(why, _) => Outcome::NotApplicable(why),
        Sts::Unknown(why) => Outcome::Undetermined(why),
    }
}
