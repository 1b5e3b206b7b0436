use crate::rules::{Context, Outcome, ResultType, Violation, each_path, known_path, path::links, rule, signature};

rule! {
    /// A signature has a salt of an odd length.
    ///
    /// ## What it checks
    ///
    /// A certificate of the path is signed with RSASSA-PSS, and the salt of that signature is not as long as its hash:
    /// 32 bytes for SHA-256. The signature itself is right.
    ///
    /// ## Why it matters
    ///
    /// TLS knows such signatures with a salt as long as the hash only. OpenSSL takes any; GnuTLS and rustls say that the
    /// signature is wrong. OpenSSL signs certificates with the longest salt that fits unless it is told otherwise, so
    /// private CAs are full of them, and the fault comes and goes with the sender.
    ///
    /// ## Remedy
    ///
    /// Have the certificate signed anew, with a salt as long as the hash. If the signature on an intermediate is at fault,
    /// the CA must replace that one.
    ///
    /// - A CA of your own on OpenSSL: `openssl x509 -req -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest`.
    /// - Active Directory Certificate Services: `certutil -setreg ca\csp\AlternateSignatureAlgorithm 0`, which does without.
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -key mx.key -out mx.csr`, and the CA signs it anew.
    /// - Exchange: `Get-ExchangeCertificate -Thumbprint ... | New-ExchangeCertificate -GenerateRequest`, likewise.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.2.3
    /// - RFC 4055, 3.1
    "odd-salt" { practice: PublicCa, severity: Warn, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        // Nothing rests on the signature of a root.
        let signed = links(chain, judgement).into_iter().take(judgement.path.len());
        let violations: Vec<Violation> = signed
            .filter_map(|(what, certificate)| {
                let (salt, hash) = signature::odd_salt(certificate)?;
                let message = format!("the signature on {what} has a salt of {salt} bytes, where TLS knows {hash} only");
                Some(Violation::new(message).evidence("OpenSSL takes it; GnuTLS and rustls-webpki refuse the certificate"))
            })
            .collect();
        known_path(judgement, if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) })
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    use super::*;
    use crate::{
        facts::Certificate,
        rules::test_facts::{World, kind, messages, wrap},
    };

    /// The certificate, said to be signed with RSASSA-PSS, SHA-256 and a salt; none where it is left out, and 20 is meant
    /// (RFC 4055, 3.1). Whether the signature is right is the matter of another rule.
    fn with_salt(certificate: &Certificate, salt: Option<u8>) -> Certificate {
        const PSS: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
        const SHA256: [u8; 11] = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
        let salt = salt.map(|salt| wrap(0xa2, &[2, 1, salt])).unwrap_or_default();
        let parameters = wrap(0x30, &[wrap(0xa0, &wrap(0x30, &SHA256)), salt].concat());
        let algorithm = wrap(0x30, &[&PSS[..], &parameters].concat());
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        let signature = wrap(3, &[&[0], &*parsed.signature_value.data].concat());
        Certificate::from_der(&wrap(0x30, &[parsed.tbs_certificate.as_ref(), &algorithm, &signature].concat()))
    }

    #[rstest]
    #[case(Some(20), Some("the signature on the server's certificate has a salt of 20 bytes, where TLS knows 32 only"))]
    #[case(None, Some("the signature on the server's certificate has a salt of 20 bytes, where TLS knows 32 only"))]
    #[case(Some(32), None)]
    fn a_salt_is_as_long_as_the_hash(#[case] salt: Option<u8>, #[case] expected: Option<&str>) {
        let mut world = World::correct();
        world.chain[0] = with_salt(&world.chain[0], salt);
        let outcome = world.judge(&RULE);
        match expected {
            Some(expected) => assert_eq!(messages(&outcome), [expected]),
            None => assert_ne!(kind(&outcome), "violated"),
        }
    }
}
