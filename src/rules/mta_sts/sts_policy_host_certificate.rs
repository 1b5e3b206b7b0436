use super::{announced, fetched};
use crate::{
    facts::{Observed, Possession},
    rules::{
        DomainContext, Outcome, ResultType, Violation, listed, rule,
        deliveries::{WebPki, web_pki},
    },
};

rule! {
    /// The certificate of the policy host is not valid.
    ///
    /// ## What it checks
    ///
    /// The certificate that the policy host presents has expired, does not name `mta-sts.DOMAIN`, or does not lead to a
    /// public root.
    ///
    /// ## Why it matters
    ///
    /// A policy counts only if it comes from a host that has proven its name. Senders act as if there were no policy.
    ///
    /// ## Remedy
    ///
    /// Give the policy host a certificate of a public CA that names `mta-sts.DOMAIN`, and see to its renewal.
    ///
    /// ## References
    ///
    /// - RFC 8461, 3.3
    /// - RFC 8460, 4.3.2.2
    Domain "sts-policy-host-certificate" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StsWebpkiInvalid) }
}

fn judge(context: &DomainContext) -> Outcome {
    let fetched = match announced(context).and_then(|()| fetched(context)) {
        Ok(fetched) => fetched,
        Err(outcome) => return outcome,
    };
    let certificates = match &fetched.certificates {
        Observed::Seen(certificates) => certificates,
        unseen => return Outcome::Undetermined(format!("no certificate of {} was seen: {}", fetched.host, unseen.why_not())),
    };
    let violated = |faults: &str| {
        Outcome::Violated(vec![Violation::new(format!("the certificate of {} is not valid: {faults}", fetched.host))])
    };
    match web_pki(certificates, &fetched.host, context.stores, context.now) {
        WebPki::Invalid(faults) => violated(&listed(faults.iter(), faults.len(), "; ")),
        _ if matches!(fetched.possession.seen(), Some(Possession::Refuted(_))) => violated("the host does not hold its key"),
        WebPki::Valid => Outcome::Passed(String::new()),
        WebPki::Unknown(why) => Outcome::Undetermined(why),
    }
}
