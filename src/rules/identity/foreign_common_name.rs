use super::{host_name, presented};
use crate::{
    facts::CertificateDetails,
    rules::{Context, Outcome, Violation, each_leaf, rule, short},
};

rule! {
    /// The CN names a host that no subject alternative name does.
    ///
    /// ## What it checks
    ///
    /// The CN of the certificate's subject looks like a host name, and no subject alternative name
    /// matches it.
    ///
    /// ## Why it matters
    ///
    /// The subject alternative names decide. But some gateways (Forcepoint's, for one) compare the CN
    /// alone, and a partner behind such a gateway sees a certificate for another host.
    ///
    /// ## Remedy
    ///
    /// When the certificate is issued next, let the CN be one of its names, or leave it out. A
    /// certificate without a CN is in order.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -key mx.key -subj /CN=mx.example.org -addext
    ///   subjectAltName=DNS:mx.example.org -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -DomainName mx.example.org` sets both.
    ///
    /// ## References
    ///
    /// - RFC 9525, 2
    /// - CA/Browser Forum Baseline Requirements, 7.1.4.3
    "foreign-common-name" { practice: Identity, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        if leaf.dns_names().next().is_none() {
            return Outcome::NotApplicable("the certificate has no dNSName to compare the CN with".to_owned());
        }
        let foreign: Vec<&str> = leaf.common_names.iter().map(|cn| cn.as_str()).filter(|cn| is_foreign(cn, leaf)).collect();
        if foreign.is_empty() {
            return Outcome::Passed(String::new());
        }
        let violation = |cn: &str| {
            let violation = Violation::new(format!("the CN names {}, which no subject alternative name does", short(cn)));
            presented(leaf)
                .into_iter()
                .fold(violation, Violation::evidence)
                .evidence("gateways that compare the CN alone, Forcepoint's for one, see another host")
        };
        Outcome::Violated(foreign.into_iter().map(violation).collect())
    })
}

fn is_foreign(cn: &str, leaf: &CertificateDetails) -> bool {
    let is_named = |name: &str| leaf.dns_names().any(|presented| presented.as_str().eq_ignore_ascii_case(name));
    match cn.strip_prefix("*.") {
        // A wildcard is matched by itself only.
        Some(parent) => host_name(parent).is_some() && !is_named(cn),
        None => host_name(cn).is_some_and(|name| !leaf.dns_names().any(|presented| name.is_matched_by(presented.as_str()))),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{HOST, World, kind, messages};

    #[rstest]
    #[case(Some(HOST), "passed")]
    #[case(Some("MX.EXAMPLE.TEST"), "passed")]
    #[case(None, "passed")]
    #[case(Some("Example Mail Server"), "passed")]
    #[case(Some("192.0.2.1"), "passed")]
    #[case(Some("EX01"), "passed")]
    #[case(Some("ex01.corp.test"), "violated")]
    #[case(Some("*.corp.test"), "violated")]
    fn only_a_host_name_can_be_foreign(#[case] cn: Option<&str>, #[case] expected: &str) {
        let outcome = World::correct().judge_leaf(&RULE, |params| World::set_common_name(params, cn));
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn without_names_other_rules_speak() {
        let outcome = World::correct().judge_leaf(&RULE, |params| params.subject_alt_names.clear());
        assert_eq!(kind(&outcome), "not-applicable");
    }

    #[test]
    fn the_cn_is_named() {
        let outcome = World::correct().judge_leaf(&RULE, |params| World::set_common_name(params, Some("gw.other.test")));
        assert_eq!(messages(&outcome), ["the CN names gw.other.test, which no subject alternative name does"]);
    }
}
