use super::graded_by_mode;
use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, listed, rule,
    deliveries::{asking_policy, each_host},
};

rule! {
    /// The policy of MTA-STS does not allow an MX host.
    ///
    /// ## What it checks
    ///
    /// An MX host of the domain fits none of the `mx` patterns of its policy. `*` stands for exactly one label, the
    /// left-most.
    ///
    /// ## Why it matters
    ///
    /// In the mode `enforce`, senders do not deliver to that host; in the mode `testing` they report it.
    ///
    /// ## Remedy
    ///
    /// Add the host to the policy, wait until the old policy has run out, and change the id of the record.
    ///
    /// ## References
    ///
    /// - RFC 8461, 4.1 and 5
    Domain "sts-mx-not-listed" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &DomainContext) -> Outcome {
    let policy = match asking_policy(context) {
        Ok(policy) => policy,
        Err(outcome) => return outcome,
    };
    let outcome = each_host(context, |host, _| match policy.allows(&host.name) {
        true => Outcome::Passed("it allows every MX host".to_owned()),
        false => Outcome::Violated(vec![
            Violation::new(format!("the policy of MTA-STS does not allow the MX host {}", host.name))
                .evidence(format!("it allows {}", listed(policy.mx.iter(), 10, ", "))),
        ]),
    });
    graded_by_mode(&policy, outcome)
}
