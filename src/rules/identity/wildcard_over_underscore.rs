use crate::rules::{Context, Outcome, Violation, each_leaf, rule, short};

rule! {
    /// A wildcard stands for a label with an underscore.
    ///
    /// ## What it checks
    ///
    /// The name that senders look up is in the server's certificate by a wildcard alone, and the label that the wildcard
    /// stands for, or one behind it, has an underscore.
    ///
    /// ## Why it matters
    ///
    /// An underscore is in no host name (RFC 952), and verifiers differ about what a wildcard may stand for: OpenSSL lets it
    /// stand for letters, digits and hyphens and refuses the certificate, GnuTLS takes it.
    ///
    /// ## Remedy
    ///
    /// Have the name of the MX itself put into the certificate, or better give the host a name without an underscore: public
    /// CAs certify none with one.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 9525, 6.3
    /// - X509_check_host(3)
    "wildcard-over-underscore" { practice: Identity, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let host = &context.facts.target.name;
    each_leaf(context, |_, leaf| {
        let matching: Vec<&str> = leaf.dns_names().map(|name| name.as_str()).filter(|name| host.is_matched_by(name)).collect();
        if matching.is_empty() {
            return Outcome::NotApplicable("the certificate does not name the host".to_owned());
        }
        if !host.as_str().contains('_') || matching.iter().any(|name| !name.starts_with("*.")) {
            return Outcome::Passed(String::new());
        }
        let message = format!("OpenSSL matches no wildcard where a label has an underscore: {}", short(matching[0]));
        Outcome::Violated(vec![Violation::new(message)])
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        name::Name,
        rules::test_facts::{World, kind},
    };

    #[rstest]
    #[case("mx_1.example.test", &["*.example.test"], "violated")]
    #[case("mx.a_b.test", &["*.a_b.test"], "violated")]
    #[case("mx_1.example.test", &["*.example.test", "mx_1.example.test"], "passed")]
    #[case("mx1.example.test", &["*.example.test"], "passed")]
    #[case("mx_1.example.test", &["mx.example.test"], "not-applicable")]
    fn wildcards_alone_count(#[case] host: &str, #[case] names: &[&str], #[case] expected: &str) {
        let mut world = World::correct();
        world.chain = vec![world.issuing.leaf(|params| {
            params.subject_alt_names =
                names.iter().map(|name| rcgen::SanType::DnsName((*name).try_into().unwrap())).collect();
        })];
        let mut facts = world.facts(1);
        facts.target.name = Name::parse(host).unwrap();
        assert_eq!(kind(&RULE.judge(&world.context(&facts))), expected);
    }
}
