use crate::rules::{Context, Outcome, ResultType, Violation, each_path, key_identifiers::{self, Mismatch}, known_path, path::links, rule};

rule! {
    /// A certificate names another key than that of its issuer.
    ///
    /// ## What it checks
    ///
    /// The authority key identifier of a certificate on the path is not the subject key identifier of the
    /// certificate that stands above it, though that one's key made the signature. Or it names a serial number,
    /// or an issuer of its issuer, that this certificate does not have. Of a root the one in the trust store counts.
    ///
    /// ## Why it matters
    ///
    /// The identifier is a hint, and OpenSSL takes it as a condition: it does not look at an issuer whose
    /// identifier or serial number differs, and says "unable to get local issuer certificate". Senders built on Go or rustls
    /// do not look at it at all. So the fault comes and goes with the sender.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew; the CA must use the intermediate's own identifier. Where the
    /// intermediate was renewed with another identifier or serial number for the same key, send the one that fits.
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
        let violations: Vec<Violation> = climb
            .windows(2)
            .filter_map(|link| {
                let (child, issuer) = (&link[0].0, &link[1].0);
                let mismatch = key_identifiers::mismatch_of(link[0].1, link[1].1)?;
                let words = match mismatch {
                    Mismatch::Key => format!("{child} names another key than that of its issuer, {issuer}"),
                    Mismatch::SerialNumber => format!("{child} names another serial number than its issuer has, {issuer}"),
                    Mismatch::Issuer => format!("{child} names another CA than the one that certified its issuer, {issuer}"),
                };
                let others = if mismatch == Mismatch::Key { "rustls-webpki accepts" } else { "rustls-webpki and GnuTLS accept" };
                let evidence = format!("the issuer's key made the signature all the same: {others} it, OpenSSL does not");
                Some(Violation::new(words).evidence(evidence))
            })
            .collect();
        known_path(judgement, if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) })
    })
}

#[cfg(test)]
mod tests {
    use rcgen::CustomExtension;
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind, messages, wrap};

    /// An authority key identifier of one content.
    fn identifier(content: &[u8]) -> CustomExtension {
        let content = [&[0x30, u8::try_from(content.len()).unwrap()], content].concat();
        CustomExtension::from_oid_content(&[2, 5, 29, 35], content)
    }

    #[test]
    fn the_identifier_of_another_key_is_found() {
        let foreign = [&[0x80, 20][..], &[0x5a; 20]].concat();
        let outcome = World::correct().judge_leaf(&RULE, |params| params.custom_extensions.push(identifier(&foreign)));
        let message = "the server's certificate names another key than that of its issuer, certificate 2 (CN=Issuing CA)";
        assert_eq!(messages(&outcome), [message]);
    }

    /// The intermediate's serial number, and the name of the CA that certified it.
    #[rstest]
    #[case::both_right(0, "World Root CA", None)]
    #[case::another_number(1, "World Root CA", Some("names another serial number than its issuer has"))]
    #[case::another_ca(0, "Other Root CA", Some("names another CA than the one that certified its issuer"))]
    fn the_issuers_own_certificate_is_compared(#[case] off: u8, #[case] ca: &str, #[case] words: Option<&str>) {
        let world = World::correct();
        let mut serial = hex_bytes(&world.issuing.certificate.details().unwrap().serial);
        *serial.last_mut().unwrap() ^= off;
        let attribute = wrap(0x30, &[&[6, 3, 0x55, 4, 3][..], &wrap(0x0c, ca.as_bytes())].concat());
        let name = wrap(0xa1, &wrap(0xa4, &wrap(0x30, &wrap(0x31, &attribute))));
        let extension = identifier(&[name, wrap(0x82, &serial)].concat());
        let outcome = world.judge_leaf(&RULE, |params| params.custom_extensions.push(extension));
        match words {
            Some(words) => assert!(messages(&outcome)[0].contains(words), "{outcome:?}"),
            None => assert_eq!(kind(&outcome), "passed"),
        }
    }

    fn hex_bytes(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// Two certificates of one root, with two identifiers of its key: the one in the store counts, not the one that is sent.
    #[rstest]
    #[case::sent_differs(false, "passed")]
    #[case::store_differs(true, "violated")]
    fn the_root_of_the_store_is_compared(#[case] is_sent_right: bool, #[case] expected: &str) {
        let mut world = World::correct();
        let other = world.root.again(|params| params.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![0x5a; 20]));
        let issuing = world.root.intermediate_with("Issuing CA", |params| params.use_authority_key_identifier_extension = true);
        let (stored, sent) = if is_sent_right { (&other, &world.root.certificate) } else { (&world.root.certificate, &other) };
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate, sent.clone()];
        world.stores[0].anchors = vec![stored.der().to_vec().into()];
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }

    #[test]
    fn the_right_one_and_none_pass() {
        let world = World::correct();
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        let outcome = world.judge_leaf(&RULE, |params| params.use_authority_key_identifier_extension = true);
        assert_eq!(kind(&outcome), "passed");
    }
}
