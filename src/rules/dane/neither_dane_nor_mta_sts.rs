use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, rule,
    deliveries::{Dane, Sts, dane, sts, without_hosts},
};

rule! {
    /// Nothing lets senders insist on TLS.
    ///
    /// ## What it checks
    ///
    /// No MX host has secure TLSA records, and the domain announces no policy of MTA-STS.
    ///
    /// ## Why it matters
    ///
    /// Without either, senders have no way to know that TLS is always there, and whose certificate is right: whoever
    /// stands in between takes STARTTLS away, and the mail goes in the clear. Only partners who agree on it by hand can
    /// insist.
    ///
    /// ## Remedy
    ///
    /// Publish a policy of MTA-STS, first in the mode `testing`; or, where the zone is signed, TLSA records for every
    /// MX host. Better both.
    ///
    /// ## References
    ///
    /// - RFC 8461, 1
    /// - RFC 7672, 1.3
    Domain "neither-dane-nor-mta-sts" { practice: EnforceableTls, severity: Warn, result_type: Some(ResultType::DaneRequired) }
}

fn judge(context: &DomainContext) -> Outcome {
    if context.facts.hosts.is_empty() {
        return without_hosts(context);
    }
    let mut unknown = None;
    for host in &context.facts.hosts {
        match dane(host) {
            Dane::Records { .. } => return Outcome::Passed(String::new()),
            Dane::None(_) => {}
            Dane::Withheld(why) | Dane::Unknown(why) => _ = unknown.get_or_insert(why),
        }
    }
    match (sts(context), unknown) {
        (Sts::Policy(_), _) => Outcome::Passed(String::new()),(Sts::Broken(..), _) => Outcome::NotApplicable("MTA-STS is meant, and does not work".to_owned()),
        (Sts::Unknown(why), _) | (Sts::None(_), Some(why)) => Outcome::Undetermined(why),
        (Sts::None(_), None) => Outcome::Violated(vec![Violation::new("nothing lets senders insist on TLS: neither TLSA records that count, nor MTA-STS")]),
    }
}
