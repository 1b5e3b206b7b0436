use super::each_link;
use crate::{
    facts::{KeyAlgorithm, PublicKey},
    rules::{Context, Outcome, ResultType, Violation, rule},
};

rule! {
    /// The RSA key is too short.
    ///
    /// ## What it checks
    ///
    /// The server's certificate, an intermediate above it or the root has an RSA key of 1024 to 2047 bits.
    ///
    /// ## Why it matters
    ///
    /// Public CAs have issued no such certificate since 2014. Senders whose TLS library asks for 112 bits
    /// of security (OpenSSL 3 from security level 2 on, as Debian and others set it) break off the
    /// handshake; what then happens depends on the sender: clear text, or no delivery.
    ///
    /// ## Remedy
    ///
    /// Generate a new key (RSA with 2048 bits or more, or ECDSA on P-256) and have a new certificate
    /// issued for it. If it
    /// is the key of a CA, get the certificate from another one.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:2048 -nodes -keyout mx.key -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 2048 -DomainName mx.example.org`
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.5
    /// - NIST SP 800-52 Rev. 2
    "weak-rsa-key" { practice: StrongKeys, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let is_weak = |key: &PublicKey| key.is_rsa() && (1024..2048).contains(&key.bits);
        let weak = links.iter().filter(|link| is_weak(&link.details.key));
        let violations: Vec<Violation> =
            weak.map(|link| Violation::new(format!("the key of {} is too short: {}", link.what, link.details.key))).collect();
        if !violations.is_empty() {
            return Outcome::Violated(violations);
        }
        if let Some(link) = links.iter().find(|link| !is_judged(&link.details.key)) {
            return Outcome::Undetermined(format!("how strong the key of {} is cannot be told: {}", link.what, link.details.key));
        }
        Outcome::Passed(links.first().map_or_else(String::new, |leaf| leaf.details.key.to_string()))
    })
}

/// Whether this rule, [`super::broken_rsa_key`] or [`super::weak_ec_key`] knows how strong the key is. What neither
/// knows must not pass as strong.
fn is_judged(key: &PublicKey) -> bool {
    match key.algorithm {
        KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss => key.bits > 0,
        KeyAlgorithm::Ec => key.bits > 0,
        KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448 => true,
        KeyAlgorithm::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{Key, World, kind, messages};

    #[rstest]
    #[case(Key::Rsa(512), "passed")]
    #[case(Key::Rsa(1024), "violated")]
    #[case(Key::Rsa(2047), "violated")]
    #[case(Key::Rsa(2048), "passed")]
    #[case(Key::P384, "passed")]
    #[case(Key::Ed25519, "passed")]
    fn the_server_key_is_judged_by_its_bits(#[case] key: Key, #[case] expected: &str) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf_of(key);
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }

    #[test]
    fn the_key_is_named() {
        let mut world = World::correct();
        assert_eq!(world.judge(&RULE), Outcome::Passed("EC P-256".to_owned()));
        world.chain[0] = world.issuing.leaf_of(Key::Rsa(1024));
        assert_eq!(messages(&world.judge(&RULE)), ["the key of the server's certificate is too short: RSA 1024 bits"]);
    }

    #[rstest]
    #[case(KeyAlgorithm::Ec, 0)]
    #[case(KeyAlgorithm::Other, 0)]
    #[case(KeyAlgorithm::Rsa, 0)]
    fn unknown_strength_is_not_called_strong(#[case] algorithm: KeyAlgorithm, #[case] bits: usize) {
        let key = World::correct().chain[0].details().unwrap().key.clone();
        assert!(!is_judged(&PublicKey { algorithm, bits, curve: None, ..key }));
    }
}
