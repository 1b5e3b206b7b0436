use time::Duration;

use crate::rules::{Context, Outcome, ResultType, Violation, each_leaf, rule};

rule! {
    /// The certificate has expired.
    ///
    /// ## What it checks
    ///
    /// The end of validity of the server's own certificate lies before the moment of the check.
    ///
    /// ## Why it matters
    ///
    /// Senders that enforce TLS (MTA-STS, Postfix `verify` and `secure`, Exchange with certificate
    /// validation) stop delivering at that moment. Opportunistic senders go on without noticing, so
    /// the fault shows as "only some partners cannot reach us".
    ///
    /// ## Remedy
    ///
    /// Renew the certificate and make the server load it.
    ///
    /// - Postfix: replace the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: replace the file of `tls_certificate`; the next connection uses it.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.1.2.5
    /// - RFC 8461, 4.2
    "certificate-expired" { practice: Renewal, severity: Fail, result_type: Some(ResultType::CertificateExpired) }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        if leaf.not_after >= context.now {
            let days = (leaf.not_after - context.now).whole_days();
            return Outcome::Passed(format!("the certificate is valid for {days} more days"));
        }
        let message = format!("the certificate expired {}", ago(context.now - leaf.not_after));
        Outcome::Violated(vec![Violation::new(message).evidence(format!("valid until {}", leaf.not_after.date()))])
    })
}

fn ago(duration: Duration) -> String {
    match duration.whole_days() {
        0 => "today".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    }
}
