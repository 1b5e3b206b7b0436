use crate::{
    mta_sts::Mode,
    rules::{DomainContext, Outcome, Violation, rule, deliveries::asking_policy},
};

/// A day, in seconds.
const LEAST: u64 = 86_400;

rule! {
    /// The policy of MTA-STS is forgotten soon.
    ///
    /// ## What it checks
    ///
    /// The policy is to be enforced, and its `max_age` is less than a day.
    ///
    /// ## Why it matters
    ///
    /// A policy protects a sender that knows it already. Whoever blocks its renewal need only wait so long, and senders
    /// that write rarely never know it. The standard advises weeks.
    ///
    /// ## Remedy
    ///
    /// Set `max_age` to 604800, a week, or more.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.2 and 10.2
    Domain "sts-short-max-age" { practice: EnforceableTls, severity: Warn, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    match asking_policy(context) {
        Ok(policy) if policy.mode != Mode::Enforce => Outcome::NotApplicable("the policy is not to be enforced".to_owned()),
        Ok(policy) if policy.max_age < LEAST => {
            Outcome::Violated(vec![Violation::new(format!("senders forget the policy of MTA-STS after {} seconds", policy.max_age))])
        }
        Ok(policy) => Outcome::Passed(format!("senders keep it for {} days", policy.max_age / LEAST)),
        Err(outcome) => outcome,
    }
}
