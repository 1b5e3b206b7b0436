use crate::rules::{Context, Outcome, Violation, constraints, each_chain, rule};

rule! {
    /// The key may not sign, by its key usage.
    ///
    /// ## What it checks
    ///
    /// The key usage of the server's certificate allows key encipherment or key agreement, and no digital signature.
    ///
    /// ## Why it matters
    ///
    /// TLS 1.3 and every suite with forward secrecy need a signature of the server's key. GnuTLS, which Debian's
    /// Exim is built with, and Schannel take the key usage at its word and refuse; OpenSSL does so for ECDSA
    /// keys only. What is left is the static key exchange of RSA, which many senders do not offer any more.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued with `keyUsage=digitalSignature`, for RSA with `keyEncipherment` besides.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest` asks for both.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.2.1.3
    /// - RFC 8446, 4.4.2.2
    "key-usage-without-signature" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_chain(context, |_, chain| match constraints::key_usage(&chain[0]) {
        // A key that may do nothing at all in TLS makes the path invalid.
        Some(usage) if !usage.digital_signature() && (usage.key_encipherment() || usage.key_agreement()) => {
            Outcome::Violated(vec![Violation::new("the server's key may not sign, by the key usage of its certificate")])
        }
        _ => Outcome::Passed(String::new()),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::KeyUsagePurpose::{DigitalSignature, KeyCertSign, KeyEncipherment};
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[rstest]
    #[case(&[], "passed")]
    #[case(&[DigitalSignature], "passed")]
    #[case(&[DigitalSignature, KeyEncipherment], "passed")]
    #[case(&[KeyEncipherment], "violated")]
    #[case(&[KeyCertSign], "passed")]
    fn a_signature_must_be_allowed(#[case] usages: &[rcgen::KeyUsagePurpose], #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_leaf(&RULE, |params| params.key_usages = usages.to_vec())), expected);
    }
}
