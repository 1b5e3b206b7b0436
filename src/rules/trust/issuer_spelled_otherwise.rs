use crate::rules::{Context, Outcome, ResultType, Violation, each_path, known_path, path::links, rule, spelling};

rule! {
    /// The name of an issuer is written in two ways.
    ///
    /// ## What it checks
    ///
    /// A certificate on the path names its issuer in other letters, spaces or kinds of string than the certificate that
    /// stands above it names itself, though that one's key made the signature. Kinds of string that OpenSSL takes for
    /// another name are the matter of `invalid-path`.
    ///
    /// ## Why it matters
    ///
    /// OpenSSL compares such names as people do, and finds the issuer. GnuTLS minds case and spaces, and the kind of
    /// string where the issuer comes from the trust store; rustls compares bytes. They do not find it, and say that it is unknown. So the fault comes and goes with
    /// the sender.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew; the CA must copy its own name as it stands in its certificate.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -key mx.key -out mx.csr`, and the CA signs it anew.
    /// - Exchange: `Get-ExchangeCertificate -Thumbprint ... | New-ExchangeCertificate -GenerateRequest`, likewise.
    ///
    /// ## References
    ///
    /// - RFC 5280, 7.1
    /// - RFC 5280, 4.1.2.4
    "issuer-spelled-otherwise" { practice: PublicCa, severity: Warn, result_type: Some(ResultType::CertificateNotTrusted) }
}

/// Of two kinds of string, where the issuer was sent.
pub const GNUTLS_TAKES_IT: &str = "GnuTLS does not mind the kind of string where the issuer is sent";

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let links = links(chain, judgement);
        let violations: Vec<Violation> = links
            .windows(2)
            .enumerate()
            .filter(|(_, link)| spelling::differs(link[0].1, link[1].1) && !spelling::misleads_openssl(link[0].1, link[1].1))
            .map(|(place, link)| {
                let (here, there) = spelling::shown(link[0].1, link[1].1);
                let violation =
                    Violation::new(format!("{} writes the name of its issuer otherwise than {} does", link[0].0, link[1].0))
                        .evidence(format!("here: {here}"))
                        .evidence(format!("there: {there}"));
                // `certtool --verify` of 3.7: it sorts what was sent by other means than it looks for an anchor by.
                let is_sent = place + 1 < judgement.path.len();
                if is_sent && spelling::only_kinds_differ(link[0].1, link[1].1) {
                    violation.evidence(GNUTLS_TAKES_IT)
                } else {
                    violation
                }
            })
            .collect();
        known_path(judgement, if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) })
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{DistinguishedName, DnType, DnValue};
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind, wrap};

    #[test]
    fn another_spelling_is_found_and_the_path_all_the_same() {
        for value in [DnValue::Utf8String("issuing  CA".to_owned()), DnValue::PrintableString("Issuing CA".try_into().unwrap())] {
            let mut world = World::correct();
            let mut name = DistinguishedName::new();
            name.push(DnType::CommonName, value);
            world.chain[0] = world.issuing.called(name).leaf(|_| {});
            assert_eq!(kind(&world.judge(&RULE)), "violated");
            let incomplete = crate::rules::find("incomplete-chain").unwrap();
            assert_eq!(kind(&world.judge(incomplete)), "passed");
            assert_eq!(kind(&world.judge(crate::rules::find("invalid-path").unwrap())), "passed");
        }
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }

    /// As `certtool --verify` of GnuTLS 3.7 sees it.
    #[test]
    fn gnutls_minds_the_kind_of_string_below_an_anchor_only() {
        let mut world = World::correct();
        let spelled = |text: &str| {
            let mut name = DistinguishedName::new();
            name.push(DnType::CommonName, DnValue::PrintableString(text.try_into().unwrap()));
            name
        };
        world.chain[0] = world.issuing.called(spelled("Issuing CA")).leaf(|_| {});
        assert!(format!("{:?}", world.judge(&RULE)).contains(GNUTLS_TAKES_IT));
        world.chain[0] = world.issuing.called(spelled("ISSUING CA")).leaf(|_| {});
        assert!(!format!("{:?}", world.judge(&RULE)).contains(GNUTLS_TAKES_IT));
        world.chain = vec![world.root.called(spelled("World Root CA")).leaf(|_| {})];
        assert!(!format!("{:?}", world.judge(&RULE)).contains(GNUTLS_TAKES_IT));
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }

    /// Where both read alike the kinds of string are named; NumericString is another name to OpenSSL, which is no mere warning.
    #[rstest]
    #[case::printable(0x13, "Ca 7", "violated", "passed")]
    #[case::numeric(0x12, "7", "passed", "violated")]
    #[case::teletex(0x14, "Gr\u{fc}n", "passed", "violated")]
    fn kinds_of_string_are_told_apart(#[case] kind_of: u8, #[case] text: &str, #[case] warned: &str, #[case] refused: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate(text);
        let name = wrap(0x30, &[&[6, 3, 0x55, 4, 3][..], &wrap(kind_of, text.as_bytes())].concat());
        let leaf = issuing.reissue(&issuing.leaf(|_| {}), |fields| fields[3] = wrap(0x30, &wrap(0x31, &name)));
        world.chain = vec![leaf, issuing.certificate];
        let spelled = world.judge(&RULE);
        assert_eq!(kind(&spelled), warned);
        let invalid = world.judge(crate::rules::find("invalid-path").unwrap());
        assert_eq!(kind(&invalid), refused, "{invalid:?}");
        assert!(format!("{spelled:?}{invalid:?}").contains("(UTF8String)"), "{spelled:?}{invalid:?}");
    }
}
