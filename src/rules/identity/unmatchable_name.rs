use std::net::IpAddr;

use crate::{
    name::Name,
    rules::{Context, Outcome, Violation, each_leaf, rule, short},
};

rule! {
    /// A name in the certificate matches nothing.
    ///
    /// ## What it checks
    ///
    /// A dNSName of the server's certificate is no host name: a wildcard that is not the whole left-most label, a
    /// dot at the end, U-labels instead of A-labels, an IP address, a character that no name has, or nothing at all.
    ///
    /// ## Why it matters
    ///
    /// Verifiers compare letter by letter: such a name matches no host, and where it is the only one the certificate is
    /// as good as none. A zero byte once made verifiers stop reading in the middle of a name.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued for the name of the MX, as A-labels and without a dot at its end.
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
    /// - RFC 5280, 4.2.1.6
    /// - RFC 5890, 2.3.2.1
    "unmatchable-name" { practice: Identity, severity: Notice, result_type: None }
}

/// How many of them are told.
const MOST: usize = 5;

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        let flawed = leaf.dns_names().filter_map(|name| Some((name.as_str(), flaw(name.as_str())?)));
        let violations: Vec<Violation> = flawed
            .take(MOST)
            .map(|(name, flaw)| Violation::new(format!("the name `{}` matches nothing: {flaw}", short(name))))
            .collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

/// Why no reference identifier can match a presented name.
fn flaw(name: &str) -> Option<&'static str> {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    if name.is_empty() {
        Some("it is empty")
    } else if name.parse::<IpAddr>().is_ok() {
        Some("an IP address is no dNSName")
    } else if rest.contains('*') {
        Some("a wildcard stands for the whole left-most label only")
    } else if name.ends_with('.') {
        Some("a dot stands at its end")
    } else if !name.is_ascii() || name.contains('\\') {
        // Bytes that are no printable text are shown with a backslash.
        Some("it holds characters that no host name has")
    } else if Name::parse(rest).is_err() {
        Some("it is no host name")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("mx.example.test", None)]
    #[case("*.example.test", None)]
    #[case("MX.Example.Test", None)]
    #[case("mx_1.example.test", None)]
    #[case("EX01", None)]
    #[case("", Some("it is empty"))]
    #[case("192.0.2.1", Some("an IP address is no dNSName"))]
    #[case("m*.example.test", Some("a wildcard stands for the whole left-most label only"))]
    #[case("*", Some("a wildcard stands for the whole left-most label only"))]
    #[case("mx.*.test", Some("a wildcard stands for the whole left-most label only"))]
    #[case("mx.example.test.", Some("a dot stands at its end"))]
    #[case("bücher.test", Some("it holds characters that no host name has"))]
    #[case("a b.test", Some("it is no host name"))]
    #[case("a..test", Some("it is no host name"))]
    fn each_flaw_is_named(#[case] name: &str, #[case] expected: Option<&str>) {
        assert_eq!(flaw(name), expected);
    }
}
