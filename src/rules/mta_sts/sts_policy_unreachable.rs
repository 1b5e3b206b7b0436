use super::{announced, fetched};
use crate::{
    facts::Observed,
    rules::{DomainContext, Outcome, ResultType, Violation, rule, deliveries::may_be_our_fault},
};

rule! {
    /// The policy of MTA-STS cannot be fetched.
    ///
    /// ## What it checks
    ///
    /// A record announces a policy, and the policy host has no address, refuses the connection, breaks off, or answers
    /// with another HTTP status than 200. A host that does not answer in time may be out of reach of this machine only:
    /// that is left open.
    ///
    /// ## Why it matters
    ///
    /// A sender that has no policy in its cache acts as if there were none.
    ///
    /// ## Remedy
    ///
    /// Serve the policy at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` with the status 200.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.3
    Domain "sts-policy-unreachable" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StsPolicyFetchError) }
}

fn judge(context: &DomainContext) -> Outcome {
    let fetched = match announced(context).and_then(|()| fetched(context)) {
        Ok(fetched) => fetched,
        Err(outcome) => return outcome,
    };
    let violated = |why: String| Outcome::Violated(vec![Violation::new(format!("the policy of MTA-STS cannot be fetched: {why}"))]);
    match &fetched.response {
        Observed::Seen(response) if response.status == 200 => Outcome::Passed(String::new()),
        Observed::Seen(response) if (300..400).contains(&response.status) => Outcome::NotApplicable("the policy host redirects".to_owned()),
        Observed::Seen(response) => violated(format!("{} answers HTTP {}", fetched.host, response.status)),
        Observed::Failed(failure) if may_be_our_fault(fetched, failure) => Outcome::Undetermined(format!("the policy did not come: {failure}")),
        Observed::Failed(failure) => violated(format!("{}: {failure}", fetched.host)),
        Observed::NotAttempted(why) => Outcome::Undetermined(why.clone()),
    }
}
