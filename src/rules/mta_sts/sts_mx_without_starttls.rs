use super::graded_by_mode;
use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, rule,
    deliveries::{Tls, asking_policy, each_place, place, tls},
};

rule! {
    /// The policy of MTA-STS demands TLS, and a server offers none.
    ///
    /// ## What it checks
    ///
    /// The domain has a policy of MTA-STS, and at an address of one of its hosts STARTTLS is not offered, or is
    /// refused.
    ///
    /// ## Why it matters
    ///
    /// In the mode `enforce`, senders do not deliver to it; in the mode `testing` they report it.
    ///
    /// ## Remedy
    ///
    /// Offer STARTTLS at every address.
    ///
    /// ## References
    ///
    /// - RFC 8461, 4.2 and 5
    Domain "sts-mx-without-starttls" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &DomainContext) -> Outcome {
    let policy = match asking_policy(context) {
        Ok(policy) => policy,
        Err(outcome) => return outcome,
    };
    let outcome = each_place(context, |host, of_host, index, view| match tls(of_host, index, view) {
        Tls::Chains(_) => Outcome::Passed(String::new()),
        Tls::NotOffered => Outcome::Violated(vec![Violation::new(format!("the policy of MTA-STS demands TLS, and STARTTLS is not offered by {}", place(host, view)))]),
        Tls::Refused(why) => {
            let message = format!("the policy of MTA-STS demands TLS, and none comes about with {}", place(host, view));
            Outcome::Violated(vec![Violation::new(message).evidence(why)])
        }
        Tls::Unknown(why) => Outcome::Undetermined(why),
    });
    graded_by_mode(&policy, outcome)
}
