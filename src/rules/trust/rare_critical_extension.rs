use crate::rules::{Context, Outcome, Violation, constraints, each_path, rule};

rule! {
    /// A critical extension is not known to every sender.
    ///
    /// ## What it checks
    ///
    /// A certificate of the path has a critical extension that OpenSSL knows, and rustls and GnuTLS do not all know:
    /// policy constraints or policy mappings, for example. One that nobody knows makes the path invalid.
    ///
    /// ## Why it matters
    ///
    /// A sender must refuse a critical extension that it does not know, and so those built on rustls do, and for
    /// policy constraints those built on GnuTLS, Debian's Exim among them. Such extensions are at home in the PKIs of states and banks.
    ///
    /// ## Remedy
    ///
    /// Have the server's certificate issued by a CA whose certificates do without.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.2
    /// - RFC 5280, 4.2.1.11
    "rare-critical-extension" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| match constraints::rare_critical(chain, judgement) {
        Some((what, identifier)) => {
            let violation = Violation::new(format!("{what} has a critical extension that not every sender knows: {identifier}"));
            Outcome::Violated(vec![violation.evidence("OpenSSL knows it; rustls-webpki refuses it, and GnuTLS may")])
        }
        None => Outcome::Passed(String::new()),
    })
}

#[cfg(test)]
mod tests {
    use rcgen::CustomExtension;
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[rstest]
    #[case::policy_constraints(&[2, 5, 29, 36], true, "violated")]
    #[case::not_critical(&[2, 5, 29, 36], false, "passed")]
    #[case::known_to_nobody(&[1, 3, 6, 1, 4, 1, 99_999, 1], true, "passed")]
    fn what_only_some_know_is_found(#[case] oid: &[u64], #[case] is_critical: bool, #[case] expected: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", |params| {
            let mut extension = CustomExtension::from_oid_content(oid, vec![0x30, 3, 0x80, 1, 100]);
            extension.set_criticality(is_critical);
            params.custom_extensions.push(extension);
        });
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }
}
