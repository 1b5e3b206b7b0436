use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, rule,
    deliveries::{Dane, dane, each_host},
};

rule! {
    /// None of the TLSA records can be used.
    ///
    /// ## What it checks
    ///
    /// A host has TLSA records, and all of them are of a usage, selector or matching type that mail does not use, or
    /// their data has the wrong form.
    ///
    /// ## Why it matters
    ///
    /// Senders that keep to DANE then insist on TLS, and authenticate nobody: whoever stands in between can read the
    /// mail.
    ///
    /// ## Remedy
    ///
    /// Publish `3 1 1` with the SHA-256 of the server's key. Usages 0 and 1 are for other protocols.
    ///
    /// ## References
    ///
    /// - RFC 7672, 3.1.3
    /// - RFC 7671, 10.1.2
    Domain "tlsa-unusable" { practice: EnforceableTls, severity: Warn, result_type: Some(ResultType::TlsaInvalid) }
}

fn judge(context: &DomainContext) -> Outcome {
    each_host(context, |host, _| match dane(host) {
        Dane::None(why) => Outcome::NotApplicable(why),
        Dane::Withheld(why) | Dane::Unknown(why) => Outcome::Undetermined(why),
        Dane::Records { usable, unusable } if usable.is_empty() => {
            let lines = unusable.iter().take(10).map(|(record, why)| format!("{}: {why}", record.parameters()));
            let message = format!("none of the TLSA records of {} can be used", host.name);
            Outcome::Violated(vec![lines.fold(Violation::new(message), Violation::evidence)])
        }
        Dane::Records { .. } => Outcome::Passed(String::new()),
    })
}
