//! What a partner's administrator writes to enforce TLS with a host, as far as the host can bear it.

use std::fmt::Write as _;

use super::{Fate, Row};
use crate::name::Name;

/// The lines for one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// For whom.
    pub product: &'static str,
    /// The policy that is enforced; none where the host bears none.
    pub policy: Option<&'static str>,
    /// Where they belong, and what they rest on.
    pub about: String,
    /// The lines themselves.
    pub lines: Vec<String>,
}

/// What a host is, as far as lines need it.
#[derive(Clone, Copy, Debug)]
pub struct Partner<'a> {
    /// The domain that mail is addressed to.
    pub domain: &'a Name,
    /// The host that takes it.
    pub host: &'a Name,
    /// The SHA-256 of its certificate in hexadecimal, where one certificate was seen.
    pub sha256: Option<&'a str>,
}

/// The strictest lines that deliver, for each product.
pub fn enforce(partner: Partner, rows: &[Row]) -> Vec<Lines> {
    vec![postfix(partner, rows), exim(partner, rows), exchange(partner, rows)]
}

/// Whether a sender delivers inside TLS, from wherever it was seen.
fn delivers(rows: &[Row], sender: &str) -> bool {
    let mut of = rows.iter().filter(|row| row.sender == sender).peekable();
    of.peek().is_some() && of.all(|row| matches!(row.fate, Fate::Authenticated | Fate::Encrypted))
}

/// Why a sender does not.
fn why(rows: &[Row], sender: &str) -> String {
    let row = rows.iter().find(|row| row.sender == sender && !matches!(row.fate, Fate::Authenticated | Fate::Encrypted));
    row.map_or_else(|| "nothing was seen".to_owned(), |row| row.why.clone())
}

fn none(product: &'static str, rows: &[Row], sender: &str) -> Lines {
    let about = format!("nothing can be enforced: {}", why(rows, sender));
    Lines { product, policy: None, about, lines: Vec::new() }
}

fn postfix(Partner { domain, host, sha256 }: Partner, rows: &[Row]) -> Lines {
    let product = "Postfix";
    let lines = |policy, about: String, value: String| Lines {
        product,
        policy: Some(policy),
        about,
        lines: vec![format!("{domain} {value}"), format!("[{host}] {value}")],
    };
    let place = "in the table of smtp_tls_policy_maps, by next hop";
    if delivers(rows, "postfix-secure") {
        return lines("secure", format!("{place}; the roots are those of smtp_tls_CAfile"), format!("secure match={host}"));
    }
    if let Some(sha256) = sha256.filter(|_| delivers(rows, "postfix-fingerprint")) {
        let about = format!(
            "{place}; verification would stop ({}), so the certificate is pinned: the line must change with it",
            why(rows, "postfix-secure")
        );
        // 3.6 and later take SHA-256 by default, smtp_tls_fingerprint_digest.
        return lines("fingerprint", about, format!("fingerprint match={}", colons(sha256)));
    }
    if delivers(rows, "postfix-encrypt") {
        let about = format!("{place}; verification would stop: {}", why(rows, "postfix-secure"));
        return lines("encrypt", about, "encrypt".to_owned());
    }
    none(product, rows, "postfix-encrypt")
}

fn exim(Partner { domain, host, .. }: Partner, rows: &[Row]) -> Lines {
    let lines = |policy, about: String, verify: bool| {
        let mut lines = vec![
            "# routers".to_owned(),
            format!("tls_to_{}:", identifier(domain)),
            "  driver = manualroute".to_owned(),
            format!("  domains = {domain}"),
            format!("  transport = tls_to_{}", identifier(domain)),
            format!("  route_list = * {host} byname"),
            "# transports".to_owned(),
            format!("tls_to_{}:", identifier(domain)),
            "  driver = smtp".to_owned(),
            "  hosts_require_tls = *".to_owned(),
        ];
        lines.push(if verify { "  tls_verify_hosts = *" } else { "  tls_try_verify_hosts =" }.to_owned());
        Lines { product: "Exim", policy: Some(policy), about, lines }
    };
    let place = "a router before dnslookup, and its transport";
    if delivers(rows, "exim-verify-hosts") {
        return lines("tls_verify_hosts", place.to_owned(), true);
    }
    if delivers(rows, "exim-require-tls") {
        let about = format!("{place}; verification would stop: {}", why(rows, "exim-verify-hosts"));
        return lines("hosts_require_tls", about, false);
    }
    none("Exim", rows, "exim-require-tls")
}

fn exchange(Partner { domain, host, .. }: Partner, rows: &[Row]) -> Lines {
    let lines = |policy: &'static str, about: String| {
        let mut line = format!(
            "New-SendConnector -Name \"TLS to {domain}\" -AddressSpaces \"{domain}\" -RequireTLS $true -TlsAuthLevel {policy}"
        );
        if policy == "DomainValidation" {
            let _ = write!(line, " -TlsDomain \"{host}\"");
        }
        Lines { product: "Exchange", policy: Some(policy), about, lines: vec![line] }
    };
    let place = "in the Exchange Management Shell";
    if delivers(rows, "exchange-domain-validation") {
        return lines("DomainValidation", place.to_owned());
    }
    if delivers(rows, "exchange-certificate-validation") {
        let about = format!("{place}; DomainValidation would stop: {}", why(rows, "exchange-domain-validation"));
        return lines("CertificateValidation", about);
    }
    if delivers(rows, "exchange-encryption-only") {
        let about = format!("{place}; validation would stop: {}", why(rows, "exchange-certificate-validation"));
        return lines("EncryptionOnly", about);
    }
    none("Exchange", rows, "exchange-encryption-only")
}

/// `AB:CD`, as `postfix tls fingerprint` and openssl write it.
fn colons(hex: &str) -> String {
    let pairs: Vec<String> = hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase()).collect();
    pairs.join(":")
}

/// A domain as part of a name in Exim's configuration.
fn identifier(domain: &Name) -> String {
    domain.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::senders::{self, Demand};

    fn rows(fate: impl Fn(&str) -> Fate) -> Vec<Row> {
        let row = |sender: &'static senders::Sender| Row {
            sender: sender.id,
            product: sender.product,
            policy: sender.policy,
            demand: sender.demand,
            fate: fate(sender.id),
            why: "it is expired".to_owned(),
            result_type: None,
            views: vec![0],
            source: sender.source,
        };
        senders::of_hosts().map(row).collect()
    }

    fn lines(rows: &[Row]) -> Vec<Lines> {
        let (domain, host) = (Name::parse("example.test").unwrap(), Name::parse("mx.example.test").unwrap());
        enforce(Partner { domain: &domain, host: &host, sha256: Some("abcd") }, rows)
    }

    #[test]
    fn the_strictest_that_delivers_is_written() {
        let all = lines(&rows(|_| Fate::Authenticated));
        assert_eq!(all[0].lines[0], "example.test secure match=mx.example.test");
        assert_eq!(
            all.iter().filter_map(|lines| lines.policy).collect::<Vec<_>>(),
            ["secure", "tls_verify_hosts", "DomainValidation"]
        );
        let is_verifying = |id: &str| senders::find(id).unwrap().demand == Demand::Verification;
        let all = lines(&rows(|id| if is_verifying(id) { Fate::Defers } else { Fate::Encrypted }));
        assert_eq!(all[0].lines[0], "example.test fingerprint match=AB:CD");
        assert!(all[0].about.contains("it is expired"));
        assert_eq!(
            all.iter().filter_map(|lines| lines.policy).collect::<Vec<_>>(),
            ["fingerprint", "hosts_require_tls", "EncryptionOnly"]
        );
    }

    #[test]
    fn where_nothing_can_be_enforced_it_says_why() {
        for lines in lines(&rows(|_| Fate::Defers)) {
            assert!(lines.lines.is_empty() && lines.about.contains("it is expired"), "{lines:?}");
        }
    }
}
