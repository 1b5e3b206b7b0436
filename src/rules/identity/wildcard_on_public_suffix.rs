use crate::rules::{Context, Outcome, Violation, each_leaf, listed, rule};

rule! {
    /// A wildcard stands for everybody's names.
    ///
    /// ## What it checks
    ///
    /// A dNSName of the server's certificate is a wildcard directly below a suffix under which the public registers its
    /// names: `*.co.uk`. Suffixes that belong to one company, such as those of clouds, are not meant. Directly below a
    /// top-level label a wildcard counts in any case, as in `*.corp`.
    ///
    /// ## Why it matters
    ///
    /// Such a certificate would stand for hosts of all owners below that suffix. No public CA may issue it, and careful
    /// verifiers refuse to match it: OpenSSL and GnuTLS match none directly below a top-level label.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued for the name of the MX.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - CA/Browser Forum Baseline Requirements, 3.2.2.6
    /// - RFC 9525, 6.3
    "wildcard-on-public-suffix" { practice: Identity, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        let names = leaf.dns_names().map(|name| name.as_str());
        let public: Vec<&str> = names.filter(|name| is_for_everybody(name)).collect();
        let top = leaf.dns_names().map(|name| name.as_str()).filter(|name| is_top_level(name) && !is_for_everybody(name));
        let top: Vec<&str> = top.collect();
        let violation = |words: &str, names: &[&str]| {
            (!names.is_empty()).then(|| Violation::new(format!("{words}: {}", listed(names.iter(), 5, ", "))))
        };
        let violations = [
            violation("the certificate stands for everybody's names", &public),
            violation("OpenSSL and GnuTLS match no wildcard directly below a top-level label", &top),
        ];
        let violations: Vec<Violation> = violations.into_iter().flatten().collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

/// Whether a wildcard stands directly below a single label, be it on the list of public suffixes or not.
fn is_top_level(name: &str) -> bool {
    name.strip_prefix("*.").is_some_and(|rest| !rest.is_empty() && !rest.contains('.'))
}

/// Whether a wildcard stands directly below a public suffix that the ICANN section of the list has.
fn is_for_everybody(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("*.") else { return false };
    let rest = rest.to_ascii_lowercase();
    let is_public = |name: &str| {
        psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == name.as_bytes())
    };
    // Some suffixes are on the list as "whatever stands below this".
    is_public(&rest) || is_public(&format!("any.{rest}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, messages};

    #[test]
    fn below_a_label_on_no_list_it_counts_too() {
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName("*.test".try_into().unwrap())];
        });
        assert_eq!(messages(&outcome), ["OpenSSL and GnuTLS match no wildcard directly below a top-level label: *.test"]);
    }

    #[rstest]
    #[case("*.co.uk", true)]
    #[case("*.CO.UK", true)]
    #[case("*.org", true)]
    // Each name below is a suffix.
    #[case("*.ck", true)]
    #[case("*.foo.ck", true)]
    #[case("*.example.org", false)]
    #[case("*.example.co.uk", false)]
    #[case("co.uk", false)]
    // Belongs to one company.
    #[case("*.github.io", false)]
    // On no list.
    #[case("*.test", false)]
    #[case("*", false)]
    fn only_wildcards_of_the_public_count(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_for_everybody(name), expected);
    }
}
