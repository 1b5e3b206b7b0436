use super::presented;
use crate::rules::{Context, Outcome, ResultType, Violation, each_leaf, rule};

rule! {
    /// The certificate does not name the host.
    ///
    /// ## What it checks
    ///
    /// No subject alternative name of the certificate matches the name that senders look up. A
    /// wildcard stands for exactly one label, the left-most. Where there is no subject alternative
    /// name and the CN names the host, `common-name-only` says so instead.
    ///
    /// ## Why it matters
    ///
    /// Senders that check the name (MTA-STS, Postfix `secure`, Exchange with `DomainValidation`) do not
    /// deliver. The name that counts is the one in the MX record, not the mail domain.
    ///
    /// ## Remedy
    ///
    /// Have a certificate issued that names the MX host, or name in the MX record a host that the
    /// certificate names.
    ///
    /// - Postfix: assign it with `smtpd_tls_chain_files`; with several names, choose by SNI with `tls_server_sni_maps`.
    /// - Exim: `tls_certificate` may depend on `$tls_in_sni`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: the connector's `TlsCertificateName`, or its `Fqdn`, selects the certificate.
    ///
    /// ## References
    ///
    /// - RFC 9525, 6.3
    /// - RFC 8461, 4.2
    "host-mismatch" { practice: Identity, severity: Fail, result_type: Some(ResultType::CertificateHostMismatch) }
}

fn judge(context: &Context) -> Outcome {
    let host = &context.facts.target.name;
    each_leaf(context, |_, leaf| {
        if leaf.dns_names().any(|name| host.is_matched_by(name.as_str())) {
            return Outcome::Passed(format!("the certificate names {host}"));
        }
        if super::common_name_only::applies(leaf, host) {
            return Outcome::NotApplicable("the certificate has no dNSName, and its CN names the host".to_owned());
        }
        let violation = Violation::new(format!("the certificate does not name {host}"));
        Outcome::Violated(vec![presented(leaf).into_iter().fold(violation, Violation::evidence)])
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, SanType};
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{HOST, World, kind, messages};

    /// Exactly one of the two rules fires where no subject alternative name matches.
    #[rstest]
    #[case(&[HOST], Some(HOST), "passed", "passed")]
    #[case(&["*.example.test"], None, "passed", "passed")]
    #[case(&["www.example.test"], Some(HOST), "violated", "passed")]
    #[case(&["example.test"], None, "violated", "passed")]
    #[case(&["*.test"], None, "violated", "passed")]
    #[case(&[], Some(HOST), "not-applicable", "violated")]
    #[case(&["192.0.2.1"], Some(HOST), "not-applicable", "violated")]
    #[case(&[], Some("www.example.test"), "violated", "passed")]
    #[case(&[], None, "violated", "passed")]
    fn names_are_matched(#[case] names: &[&str], #[case] cn: Option<&str>, #[case] own: &str, #[case] cn_rule: &str) {
        let change = |params: &mut CertificateParams| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names;
            World::set_common_name(params, cn);
        };
        let world = World::correct();
        assert_eq!(kind(&world.judge_leaf(&RULE, change)), own);
        assert_eq!(kind(&world.judge_leaf(&crate::rules::identity::common_name_only::RULE, change)), cn_rule);
    }

    #[test]
    fn many_names_are_cut() {
        let world = World::correct();
        let outcome = world.judge_leaf(&RULE, |params| {
            let name = |i: usize| SanType::DnsName(format!("host{i}.other.test").try_into().unwrap());
            params.subject_alt_names = (0..100).map(name).collect();
        });
        assert_eq!(messages(&outcome), ["the certificate does not name mx.example.test"]);
        assert!(format!("{outcome:?}").contains("and 90 more"));
    }
}
