use super::graded_by_mode;
use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, listed, rule,
    deliveries::{Tls, WebPki, asking_policy, each_place, place, tls, web_pki},
};

rule! {
    /// A certificate does not pass under the policy of MTA-STS.
    ///
    /// ## What it checks
    ///
    /// The domain has a policy of MTA-STS, and at an address of one of its hosts a certificate has expired, does not
    /// name the MX host, or does not lead to a public root. The CN does not count.
    ///
    /// ## Why it matters
    ///
    /// In the mode `enforce`, senders do not deliver to it; in the mode `testing` they report it. Who keeps to DANE
    /// goes by the TLSA records instead, where there are any.
    ///
    /// ## Remedy
    ///
    /// Give each host a certificate of a public CA that names it as the MX record does, and send the intermediate
    /// certificates with it.
    ///
    /// ## References
    ///
    /// - RFC 8461, 4.2 and 5
    /// - RFC 8461, 2
    Domain "sts-mx-certificate" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &DomainContext) -> Outcome {
    let policy = match asking_policy(context) {
        Ok(policy) => policy,
        Err(outcome) => return outcome,
    };
    let outcome = each_place(context, |host, of_host, index, view| match tls(of_host, index, view) {
        Tls::Chains(chains) => {
            let (mut violations, mut unknown) = (Vec::new(), None);
            for (label, chain) in chains {
                match web_pki(chain, &host.name, context.stores, context.now) {
                    WebPki::Valid => {}
                    WebPki::Unknown(why) => _ = unknown.get_or_insert(why),
                    WebPki::Invalid(faults) => {
                        let label = label.map_or_else(String::new, |label| format!(" (the {label})"));
                        let message = format!("the certificate of {}{label} does not pass under MTA-STS: {}", place(host, view), listed(faults.iter(), faults.len(), "; "));
                        violations.push(Violation::new(message));
                    }
                }
            }
            match unknown {
                _ if !violations.is_empty() => Outcome::Violated(violations),
                Some(why) => Outcome::Undetermined(why),
                None => Outcome::Passed("every certificate passes under it".to_owned()),
            }
        }
        Tls::NotOffered | Tls::Refused(_) => Outcome::NotApplicable("no TLS comes about".to_owned()),
        Tls::Unknown(why) => Outcome::Undetermined(why),
    });
    graded_by_mode(&policy, outcome)
}
