use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, rule,
    deliveries::{Dane, Tls, dane, each_place, place, tls},
};

rule! {
    /// TLSA records promise TLS, and the server offers none.
    ///
    /// ## What it checks
    ///
    /// A host has secure TLSA records, usable or not, and at one of its addresses STARTTLS is not offered, or is
    /// refused.
    ///
    /// ## Why it matters
    ///
    /// TLSA records are the promise that TLS is always there. Senders that keep to DANE do not deliver without it.
    ///
    /// ## Remedy
    ///
    /// Offer STARTTLS at every address, or remove the TLSA records.
    ///
    /// ## References
    ///
    /// - RFC 7672, 2.2
    Domain "dane-without-starttls" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &DomainContext) -> Outcome {
    each_place(context, |host, of_host, index, view| match dane(host) {
        Dane::None(why) => Outcome::NotApplicable(why),
        Dane::Withheld(why) | Dane::Unknown(why) => Outcome::Undetermined(why),
        Dane::Records { .. } => match tls(of_host, index, view) {
            Tls::Chains(_) => Outcome::Passed(String::new()),
            Tls::NotOffered => Outcome::Violated(vec![Violation::new(format!("TLSA records promise TLS, and STARTTLS is not offered by {}", place(host, view)))]),
            Tls::Refused(why) => Outcome::Violated(vec![Violation::new(format!("TLSA records promise TLS, and none comes about with {}", place(host, view))).evidence(why)]),
            Tls::Unknown(why) => Outcome::Undetermined(why),
        },
    })
}
