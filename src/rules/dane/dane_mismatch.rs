use crate::rules::{
    DomainContext, Outcome, ResultType, Violation, rule,
    deliveries::{Fit},
};

rule! {
    /// No TLSA record fits the certificate.
    ///
    /// ## What it checks
    ///
    /// A host has usable TLSA records, and at one of its addresses none of them fits a certificate that is presented
    /// there. Each address and each certificate is compared for itself. Usage 3 means the server's own certificate;
    /// usage 2 means one that is sent above it.
    ///
    /// ## Why it matters
    ///
    /// Senders that keep to DANE do not deliver: mail waits in their queues until it is returned. Most often the
    /// certificate was renewed with a new key and the record was not.
    ///
    /// ## Remedy
    ///
    /// Publish a record for the certificate in use, `3 1 1` with the SHA-256 of its key. At a renewal publish the
    /// record of the next key first, wait until the old answer has left the caches, and only then change the
    /// certificate. With `2 1 1` the server must also send the certificate of the CA that is meant.
    ///
    /// ## References
    ///
    /// - RFC 7672, 3.1 and 8.1
    /// - RFC 7671, 5.1 and 5.2
    Domain "dane-mismatch" { practice: EnforceableTls, severity: Fail, result_type: Some(ResultType::TlsaInvalid) }
}

fn judge(context: &DomainContext) -> Outcome {
    super::each_fit(context, |place, fit| match fit {
        Fit::Mismatch(evidence) => Outcome::Violated(vec![evidence.into_iter().take(10).fold(
            Violation::new(format!("no TLSA record fits the certificate of {place}")),
            Violation::evidence,
        )]),
        Fit::BadPath(why) => Outcome::Violated(vec![Violation::new(format!("no TLSA record fits the certificate of {place}")).evidence(why)]),
        Fit::Fits(which) => Outcome::Passed(format!("TLSA {which} fits")),
        Fit::OutOfDate(_) | Fit::WrongName(_) => Outcome::Passed(String::new()),
        Fit::Unknown(why) => Outcome::Undetermined(why),
    })
}
