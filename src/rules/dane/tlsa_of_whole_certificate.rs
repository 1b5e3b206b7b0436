use crate::rules::{
    DomainContext, Outcome, Violation, rule,
    deliveries::{Dane, dane, each_host},
};

rule! {
    /// A TLSA record is of the whole certificate.
    ///
    /// ## What it checks
    ///
    /// A usable TLSA record of usage 3 has selector 0: it means the whole certificate and not its key alone.
    ///
    /// ## Why it matters
    ///
    /// It fits no longer after the next renewal, even where the key stays the same.
    ///
    /// ## Remedy
    ///
    /// Publish `3 1 1` instead, and keep the key at renewals, or publish the record of the next key before it is used.
    ///
    /// ## References
    ///
    /// - RFC 7671, 5.1
    /// - RFC 7672, 3.1
    Domain "tlsa-of-whole-certificate" { practice: EnforceableTls, severity: Notice, result_type: None }
}

fn judge(context: &DomainContext) -> Outcome {
    each_host(context, |host, _| match dane(host) {
        Dane::None(why) => Outcome::NotApplicable(why),
        Dane::Withheld(why) | Dane::Unknown(why) => Outcome::Undetermined(why),
        Dane::Records { usable, .. } => match usable.iter().find(|(record, _)| record.usage == 3 && record.selector == 0) {
            Some((record, _)) => Outcome::Violated(vec![Violation::new(format!(
                "TLSA {} of {} is of the whole certificate, and fits no longer after its renewal",
                record.parameters(),
                host.name
            ))]),
            None => Outcome::Passed(String::new()),
        },
    })
}
