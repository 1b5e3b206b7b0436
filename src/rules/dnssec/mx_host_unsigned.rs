use crate::{
    facts::Proof,
    rules::{
        DomainContext, Outcome, Violation, rule,
        deliveries::{address_proof, each_host},
        short,
    },
};

rule! {
    /// An MX host is not signed, though the domain is.
    ///
    /// ## What it checks
    ///
    /// The MX records are secure, and the addresses of the host that one of them names are insecure. TLSA records are
    /// not looked for there.
    ///
    /// ## Why it matters
    ///
    /// DANE ends at the host: its TLSA records, if there were any, would prove nothing.
    ///
    /// ## Remedy
    ///
    /// Have the zone of the host signed. Where the host is a provider's, ask the provider, or move to names in the
    /// domain's own zone.
    ///
    /// ## References
    ///
    /// - RFC 7672, 2.2.2
    Domain "mx-host-unsigned" { practice: EnforceableTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    match context.facts.mx.seen().map(|answer| answer.whole_proof()) {
        Some(Proof::Secure) => {}
        Some(_) => return Outcome::NotApplicable("the domain is not signed".to_owned()),
        None => return Outcome::Undetermined(context.facts.mx.why_not()),
    }
    each_host(context, |host, _| match address_proof(host) {
        Some(Proof::Secure) => Outcome::Passed(String::new()),
        Some(Proof::Insecure) => {
            Outcome::Violated(vec![Violation::new(format!("the addresses of {} are insecure, though the MX records are secure", host.name))])
        }
        Some(Proof::Bogus(_)) => Outcome::NotApplicable(format!("the addresses of {} are bogus", host.name)),
        Some(Proof::Indeterminate(why)) => Outcome::Undetermined(short(why)),
        None if host.v4.seen().is_none() || host.v6.seen().is_none() => Outcome::Undetermined(format!("{}{}", host.v4.why_not(), host.v6.why_not())),
        None => Outcome::NotApplicable(format!("{} has no address", host.name)),
    })
}
