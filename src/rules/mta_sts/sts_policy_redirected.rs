use super::{announced, fetched};
use crate::{
    facts::Observed,
    rules::{DomainContext, Outcome, ResultType, Violation, rule, short},
};

rule! {
    /// The policy host redirects.
    ///
    /// ## What it checks
    ///
    /// Asked for the policy, the policy host answers with a redirect, HTTP 3xx.
    ///
    /// ## Why it matters
    ///
    /// Senders must not follow it, and act as if there were no policy.
    ///
    /// ## Remedy
    ///
    /// Serve the policy at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` itself; exempt that path from what sends
    /// visitors elsewhere.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.3
    Domain "sts-policy-redirected" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StsPolicyFetchError) }
}

fn judge(context: &DomainContext) -> Outcome {
    let fetched = match announced(context).and_then(|()| fetched(context)) {
        Ok(fetched) => fetched,
        Err(outcome) => return outcome,
    };
    match &fetched.response {
        Observed::Seen(response) if (300..400).contains(&response.status) => {
            let to = response.location.as_ref().map_or_else(|| "nowhere".to_owned(), |location| short(location.as_str()));
            let message = format!("{} answers HTTP {}, and senders must not follow", fetched.host, response.status);
            Outcome::Violated(vec![Violation::new(message).evidence(format!("it leads to {to}"))])
        }
        Observed::Seen(_) => Outcome::Passed(String::new()),
        unseen => Outcome::Undetermined(unseen.why_not()),
    }
}
