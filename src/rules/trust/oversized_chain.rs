use crate::{
    finding::Severity,
    rules::{Context, Outcome, Violation, each_chain, rule},
};

/// What OpenSSL takes of certificates in one handshake, in bytes: SSL_MAX_CERT_LIST_DEFAULT.
const MOST: usize = 100 * 1024;
/// What of it already delays a handshake: with the usual first window of TCP, ten segments, a second round trip.
const MUCH: usize = 14_600;

rule! {
    /// The certificates are too large for a handshake.
    ///
    /// ## What it checks
    ///
    /// The certificates that the server sends take more than 14,600 bytes together, which do not fit the first window of
    /// a connection (a notice), or more than 102,400 bytes (a violation).
    ///
    /// ## Why it matters
    ///
    /// OpenSSL, and so Postfix and most others, breaks off the handshake when more than 100 KiB of certificates come;
    /// rustls does so at 64 KiB. What is merely large costs every sender time. The usual reasons are hundreds of
    /// names in one certificate, or a file with all CAs of a trust store.
    ///
    /// ## Remedy
    ///
    /// Send the server's certificate and its intermediates only, and divide the names among several certificates.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.4.2
    /// - SSL_CTX_set_max_cert_list(3)
    /// - RFC 6928
    "oversized-chain" { practice: PublicCa, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_chain(context, |_, chain| {
        // Each certificate stands behind its length in three bytes.
        let size: usize = chain.iter().map(|certificate| certificate.der().len() + 3).sum();
        let message = format!("the certificates take {} KiB in each handshake", size / 1024);
        if size > MOST {
            Outcome::Violated(vec![Violation::new(message).evidence(format!("OpenSSL takes {} KiB at most", MOST / 1024))])
        } else if size > MUCH {
            Outcome::Violated(vec![Violation { severity: Some(Severity::Notice), ..Violation::new(message) }])
        } else {
            Outcome::Passed(String::new())
        }
    })
}

#[cfg(test)]
mod tests {
    use rcgen::SanType;
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[rstest]
    #[case(10, None)]
    #[case(1_000, Some(Severity::Notice))]
    #[case(6_000, Some(Severity::Fail))]
    fn the_size_decides(#[case] names: usize, #[case] expected: Option<Severity>) {
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            let name = |number: usize| SanType::DnsName(format!("host{number:05}.example.test").try_into().unwrap());
            params.subject_alt_names = (0..names).map(name).collect();
        });
        match (&outcome, expected) {
            (Outcome::Violated(violations), Some(severity)) => assert_eq!(violations[0].severity.unwrap_or(RULE.severity), severity),
            _ => assert_eq!(kind(&outcome), "passed"),
        }
    }
}
