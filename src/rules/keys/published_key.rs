use std::{collections::HashMap, sync::LazyLock};

use super::each_link;
use crate::rules::{Context, Outcome, Violation, rule};

rule! {
    /// The private key is published.
    ///
    /// ## What it checks
    ///
    /// The key of the server's certificate, of an intermediate above it or of the root is one that comes with the sources of a TLS
    /// library, a mail server or another program, as an example or for tests, or stands in RFC 9500.
    ///
    /// ## Why it matters
    ///
    /// Everybody has the private key. Who can reach the connection poses as the server, and no sender notices; without
    /// forward secrecy, what was recorded can be read too.
    ///
    /// ## Remedy
    ///
    /// Generate a key of your own and have a certificate issued for it. A CA has to revoke the old one within a day.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:2048 -nodes -keyout mx.key -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 2048 -DomainName mx.example.org`
    ///
    /// ## References
    ///
    /// - RFC 9500
    /// - CA/Browser Forum Baseline Requirements, 4.9.1.1 and 6.1.1.3
    "published-key" { practice: StrongKeys, severity: Fail, result_type: None }
}

/// The SHA-256 of each known key's SubjectPublicKeyInfo, and where its private half is found.
static PUBLISHED: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("published.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let published = links.iter().filter_map(|link| Some((link, PUBLISHED.get(link.details.key.sha256.as_str())?)));
        let violations: Vec<Violation> = published
            .map(|(link, place)| {
                let violation = Violation::new(format!("the private key of {} is published", link.what));
                violation.evidence(format!("the key {} comes with: {place}", link.details.key.sha256))
            })
            .collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[test]
    fn the_list_is_sorted_and_well_formed() {
        let text = include_str!("published.txt");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.is_sorted() && lines.len() == PUBLISHED.len() && lines.len() > 500, "{}", lines.len());
        for line in lines {
            let (fingerprint, place) = line.split_once(' ').unwrap_or((line, ""));
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            assert!(fingerprint.len() == 64 && fingerprint.bytes().all(is_hex) && !place.is_empty(), "{line}");
        }
    }

    #[test]
    fn a_fresh_key_is_not_on_the_list() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }
}
