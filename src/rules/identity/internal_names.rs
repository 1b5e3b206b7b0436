use crate::rules::{Context, Outcome, Violation, each_leaf, listed, rule};

/// Endings that are no part of the public DNS (RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476; ICANN's .internal), those
/// that are used as if they were none, and the names of addresses. `.test` and `.example` stand in examples and labs for
/// public names.
const INTERNAL: [&str; 15] = [
    "local",
    "localhost",
    "internal",
    "lan",
    "corp",
    "home",
    "intranet",
    "private",
    "localdomain",
    "home.arpa",
    "in-addr.arpa",
    "ip6.arpa",
    "invalid",
    "alt",
    "onion",
];

rule! {
    /// The certificate names hosts of the inside.
    ///
    /// ## What it checks
    ///
    /// A subject alternative name is a single label (`EX01`), or ends in a label that the public DNS does not have
    /// (`EX01.corp.local`), or is the name of an address (`in-addr.arpa`).
    ///
    /// ## Why it matters
    ///
    /// Nobody outside can look the name up, so it proves nothing to them, and public CAs must not certify it. It
    /// tells everybody how the machines inside are called, and usually that the certificate was made by a machine.
    ///
    /// ## Remedy
    ///
    /// Have a certificate issued for the name of the MX alone; keep another for the inside.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - CA/Browser Forum Baseline Requirements, 7.1.2.7.12
    /// - RFC 6762, appendix G
    "internal-names" { practice: Identity, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        let internal: Vec<&str> = leaf.dns_names().map(|name| name.as_str()).filter(|name| is_internal(name)).collect();
        if internal.is_empty() {
            return Outcome::Passed(String::new());
        }
        Outcome::Violated(vec![Violation::new(format!("the certificate names hosts of the inside: {}", listed(internal.iter(), 5, ", ")))])
    })
}

fn is_internal(name: &str) -> bool {
    let is_label = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    // What is no label at all is another rule's matter.
    let is_single = is_label(&name);
    let ends_in = |ending: &&str| name.strip_suffix(*ending).is_some_and(|rest| rest.ends_with('.'));
    is_single || INTERNAL.iter().any(ends_in)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("EX01", true)]
    #[case("EX01.corp.local", true)]
    #[case("mail.LAN", true)]
    #[case("localhost", true)]
    #[case("EX01.corp.local.", true)]
    #[case("nas.home.arpa", true)]
    #[case("25.2.0.192.in-addr.arpa", true)]
    #[case("mx.example.invalid", true)]
    #[case("mx.onion", true)]
    #[case("myhome.arpa", false)]
    #[case("mx.example.test", false)]
    #[case("local.example.org", false)]
    #[case("*", false)]
    #[case("", false)]
    fn the_last_label_decides(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_internal(name), expected);
    }
}
