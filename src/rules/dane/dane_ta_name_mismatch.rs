use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, rule,
    deliveries::{Fit},
};

rule! {
    /// A certificate under DANE-TA names another host.
    ///
    /// ## What it checks
    ///
    /// The TLSA record that fits has usage 2, DANE-TA, and the server's certificate names neither the TLSA base domain,
    /// nor the MX host, nor the mail domain.
    ///
    /// ## Why it matters
    ///
    /// With usage 2 names count, other than with usage 3: senders that keep to DANE do not deliver.
    ///
    /// ## Remedy
    ///
    /// Have a certificate issued that names the MX host; or publish `3 1 1` for its key, with which names do not count.
    ///
    /// ## References
    ///
    /// - RFC 7672, 3.1.2 and 3.2.2
    Domain "dane-ta-name-mismatch" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::CertificateHostMismatch) }
}

fn judge(context: &DomainContext) -> Outcome {
    super::each_fit(context, |place, fit| match fit {
        Fit::WrongName(why) => Outcome::Violated(vec![Violation::new(format!("the certificate of {place} does not pass under DANE-TA: {why}"))]),
        Fit::Unknown(why) => Outcome::Undetermined(why),
        _ => Outcome::Passed(String::new()),
    })
}
