use crate::rules::{
    Context, Outcome, Violation,
    constraints::{self, Gated},
    each_path, rule,
};

rule! {
    /// A certificate is for TLS servers by a usage of the nineties.
    ///
    /// ## What it checks
    ///
    /// The extended key usage of a certificate on the path lacks `serverAuth`, and has server-gated cryptography of
    /// Netscape or Microsoft instead. One that has neither makes the path invalid.
    ///
    /// ## Why it matters
    ///
    /// While strong encryption was not exported, it allowed a server to have it. OpenSSL still takes it for `serverAuth`,
    /// GnuTLS that of Netscape in a CA only, rustls neither: what one sender trusts another one refuses.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew with the profile for TLS servers (extended key usage `serverAuth`), by a CA
    /// whose own certificates have it or do without an extended key usage.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.2.1.12
    "server-gated-usage" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let gated = constraints::gated(chain, judgement);
        let violations = gated.into_iter().map(|Gated { what, is_taken_by_gnutls }| {
            let taken_by = if is_taken_by_gnutls {
                "OpenSSL and GnuTLS take it for that; rustls-webpki does not"
            } else {
                "OpenSSL takes it for that; GnuTLS and rustls-webpki do not"
            };
            let words = format!("{what} is meant for TLS servers by server-gated cryptography alone, in its extended key usage");
            Violation::new(words).evidence(taken_by)
        });
        let violations: Vec<Violation> = violations.collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose::{self, ClientAuth, Other, ServerAuth};
    use rstest::rstest;

    use super::*;
    use crate::rules::{
        find,
        test_facts::{World, kind},
    };

    fn netscape() -> ExtendedKeyUsagePurpose {
        Other(vec![2, 16, 840, 1, 113_730, 4, 1])
    }

    fn microsoft() -> ExtendedKeyUsagePurpose {
        Other(vec![1, 3, 6, 1, 4, 1, 311, 10, 3, 3])
    }

    /// As certtool of GnuTLS 3.7 judges a CA, and gnutls-cli the server's certificate.
    #[rstest]
    #[case(vec![netscape()], true)]
    #[case(vec![microsoft()], false)]
    #[case(vec![microsoft(), netscape()], true)]
    fn gnutls_takes_one_of_them_in_a_ca(#[case] usage: Vec<ExtendedKeyUsagePurpose>, #[case] is_taken: bool) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", |params| params.extended_key_usages = usage.clone());
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        assert_eq!(format!("{:?}", world.judge(&RULE)).contains("OpenSSL and GnuTLS take it"), is_taken);
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(|params| params.extended_key_usages = usage);
        assert!(format!("{:?}", world.judge(&RULE)).contains("GnuTLS and rustls-webpki do not"));
    }

    /// What the usage of the CA, and then that of the server, comes to for this rule and for `invalid-path`.
    #[rstest]
    #[case(vec![netscape()], "violated", "passed")]
    #[case(vec![microsoft(), ClientAuth], "violated", "passed")]
    #[case(vec![netscape(), ServerAuth], "passed", "passed")]
    #[case(vec![ClientAuth], "passed", "violated")]
    fn openssl_takes_it_for_server_auth(#[case] usage: Vec<ExtendedKeyUsagePurpose>, #[case] here: &str, #[case] path: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Issuing CA", |params| params.extended_key_usages = usage.clone());
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        assert_eq!([kind(&world.judge(&RULE)), kind(&world.judge(find("invalid-path").unwrap()))], [here, path]);
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(|params| params.extended_key_usages = usage);
        assert_eq!([kind(&world.judge(&RULE)), kind(&world.judge(find("invalid-path").unwrap()))], [here, path]);
    }
}
