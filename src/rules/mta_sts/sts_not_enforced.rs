use crate::{
    mta_sts::Mode,
    rules::{
        DomainContext, Outcome, Violation, rule,
        deliveries::{Sts, sts},
    },
};

rule! {
    /// The policy of MTA-STS is not enforced.
    ///
    /// ## What it checks
    ///
    /// The policy's mode is `testing` or `none`.
    ///
    /// ## Why it matters
    ///
    /// Senders deliver whatever happens. In the mode `testing` they report, where TLSRPT asks for it; that is the way
    /// to begin, and not to stay.
    ///
    /// ## Remedy
    ///
    /// When no report shows a failure any longer, set the mode to `enforce` and change the id of the record. To end
    /// MTA-STS, keep the mode `none` with a short max_age until all caches have run out.
    ///
    /// ## References
    ///
    /// - RFC 8461, 5 and 8.3
    Domain "sts-not-enforced" { practice: EnforceableTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    match sts(context) {
        Sts::Policy(policy) if policy.mode == Mode::Enforce => Outcome::Passed(String::new()),
        Sts::Policy(policy) => Outcome::Violated(vec![Violation::new(format!("the policy of MTA-STS is not enforced: its mode is {}", policy.mode))]),
        Sts::None(why) | Sts::Broken(why, _) => Outcome::NotApplicable(why),
        Sts::Unknown(why) => Outcome::Undetermined(why),
    }
}
