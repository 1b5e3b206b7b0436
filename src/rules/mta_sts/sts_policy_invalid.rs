use super::{announced, body};
use crate::{
    mta_sts::{MAX_POLICY_BYTES, Policy},
    rules::{DomainContext, Outcome, ResultType, Violation, rule, short},
    wire::WireText,
};

rule! {
    /// The policy of MTA-STS is invalid.
    ///
    /// ## What it checks
    ///
    /// What the policy host serves is no policy: a field is missing or has a value that it cannot have, a line has not
    /// the form `name: value`, or it is longer than 64 KiB. Each mistake is told with its line.
    ///
    /// ## Why it matters
    ///
    /// Senders act as if there were no policy.
    ///
    /// ## Remedy
    ///
    /// Correct the lines. A policy is plain text with `version: STSv1`, `mode`, `max_age`, and one `mx` for each server
    /// or pattern, each on a line of its own.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.2
    Domain "sts-policy-invalid" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StsPolicyInvalid) }
}

fn judge(context: &DomainContext) -> Outcome {
    let body = match announced(context).and_then(|()| body(context)) {
        Ok(body) => body,
        Err(outcome) => return outcome,
    };
    if body.is_cut {
        return Outcome::Violated(vec![Violation::new(format!("the policy of MTA-STS has more than {MAX_POLICY_BYTES} bytes, and senders read no more"))]);
    }
    match Policy::parse(&body.bytes) {
        Ok(policy) => Outcome::Passed(format!("a policy of MTA-STS in the mode {} is published", policy.mode)),
        Err(errors) => {
            // What is quoted came from a stranger.
            let lines: Vec<String> = errors.iter().map(|error| short(WireText::from(&*error.to_string()).as_str())).collect();
            let violation = Violation::new(format!("the policy of MTA-STS is invalid: {}", lines.first().map_or("", String::as_str)));
            Outcome::Violated(vec![lines.into_iter().skip(1).take(10).fold(violation, Violation::evidence)])
        }
    }
}
