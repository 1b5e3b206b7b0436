use crate::rules::{Context, Outcome, ResultType, Violation, each_path, key_identifiers, known_path, path::links, rule};

rule! {
    /// A certificate names another key than that of its issuer.
    ///
    /// ## What it checks
    ///
    /// The authority key identifier of a certificate on the path is not the subject key identifier of the
    /// certificate that stands above it, though that one's key made the signature.
    ///
    /// ## Why it matters
    ///
    /// The identifier is a hint, and OpenSSL takes it as a condition: it does not look at an issuer whose
    /// identifier differs, and says "unable to get local issuer certificate". Senders built on Go or rustls
    /// do not look at it at all. So the fault comes and goes with the sender.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew; the CA must use the intermediate's own identifier. Where the
    /// intermediate was renewed with another identifier for the same key, send the one that fits.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.2.1.1
    /// - RFC 5280, 4.2.1.2
    "key-identifier-mismatch" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let climb = links(chain, judgement);
        let links = climb.windows(2).filter(|link| key_identifiers::mismatch_of(link[0].1, link[1].1).is_some());
        let violations: Vec<Violation> = links
            .map(|link| {
                let (child, issuer) = (&link[0].0, &link[1].0);
                Violation::new(format!("{child} names another key than that of its issuer, {issuer}"))
                    .evidence("the issuer's key made the signature all the same: rustls-webpki accepts it, OpenSSL does not")
            })
            .collect();
        known_path(judgement, if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) })
    })
}

#[cfg(test)]
mod tests {
    use rcgen::CustomExtension;

    use super::*;
    use crate::rules::test_facts::{World, kind, messages};

    #[test]
    fn the_identifier_of_another_key_is_found() {
        let foreign = [&[0x30, 22, 0x80, 20][..], &[0x5a; 20]].concat();
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 35], foreign));
        });
        let message = "the server's certificate names another key than that of its issuer, certificate 2 (CN=Issuing CA)";
        assert_eq!(messages(&outcome), [message]);
    }

    #[test]
    fn the_right_one_and_none_pass() {
        let world = World::correct();
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        let outcome = world.judge_leaf(&RULE, |params| params.use_authority_key_identifier_extension = true);
        assert_eq!(kind(&outcome), "passed");
    }
}
