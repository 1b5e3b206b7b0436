use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, rule,
    deliveries::{Fit},
};

rule! {
    /// A certificate under DANE-TA is not valid now.
    ///
    /// ## What it checks
    ///
    /// The TLSA record that fits has usage 2, DANE-TA, and the server's certificate, or another up to the trust anchor,
    /// has expired or is not valid yet.
    ///
    /// ## Why it matters
    ///
    /// With usage 2 dates count, other than with usage 3: senders that keep to DANE do not deliver.
    ///
    /// ## Remedy
    ///
    /// Renew the certificate; or publish `3 1 1` for its key, with which dates do not count.
    ///
    /// ## References
    ///
    /// - RFC 7672, 3.1.2
    /// - RFC 7671, 5.1 and 5.2
    Domain "dane-ta-certificate-expired" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::CertificateExpired) }
}

fn judge(context: &DomainContext) -> Outcome {
    super::each_fit(context, |place, fit| match fit {
        Fit::OutOfDate(why) => Outcome::Violated(vec![Violation::new(format!("the certificate of {place} does not pass under DANE-TA: {why}"))]),
        Fit::Unknown(why) => Outcome::Undetermined(why),
        _ => Outcome::Passed(String::new()),
    })
}
