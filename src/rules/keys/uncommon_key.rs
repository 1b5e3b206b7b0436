use crate::{
    facts::{KeyAlgorithm, PublicKey},
    rules::{Context, Outcome, ResultType, Violation, each_leaf, rule},
};

rule! {
    /// The key is of a kind that most senders do not take.
    ///
    /// ## What it checks
    ///
    /// The key of the server's certificate is on a curve other than P-256, P-384 and P-521 (secp256k1, a Brainpool
    /// curve, P-192, P-224, one that is written out instead of named), or is a DSA or Ed448 key, an RSA key that signs
    /// with PSS alone, or of an unknown kind.
    ///
    /// ## Why it matters
    ///
    /// A sender offers the curves and signatures that it knows. OpenSSL offers none of these by default, and neither
    /// do GnuTLS, Schannel and rustls all of them. The handshake fails, and an opportunistic sender delivers in
    /// clear text.
    ///
    /// ## Remedy
    ///
    /// Generate a key on P-256, or an RSA key, and have a certificate issued for it; a rare one may stand beside it.
    ///
    /// - Postfix: `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout mx.key -out mx.csr`; list
    ///   several chains in `smtpd_tls_chain_files`.
    /// - Exim: the same, with lists of files in `tls_certificate` and `tls_privatekey`.
    /// - Sendmail, OpenSMTPD: the same, and one certificate only.
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 2048 -DomainName mx.example.org`
    ///
    /// ## References
    ///
    /// - RFC 8422, 5.1
    /// - RFC 8446, 9.1
    /// - RFC 5480, 2.1.1
    /// - RFC 4055, 1.2
    "uncommon-key" { practice: StrongKeys, severity: Warn, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        if is_common(&leaf.key) {
            return Outcome::Passed(String::new());
        }
        Outcome::Violated(vec![Violation::new(format!("most senders do not take a key of this kind: {}", leaf.key))])
    })
}

fn is_common(key: &PublicKey) -> bool {
    match key.algorithm {
        KeyAlgorithm::Rsa | KeyAlgorithm::Ed25519 => true,
        KeyAlgorithm::Ec => key.is_on_common_curve(),
        KeyAlgorithm::RsaPss | KeyAlgorithm::Ed448 | KeyAlgorithm::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{Key, World, kind};

    #[rstest]
    #[case(Key::P256)]
    #[case(Key::P384)]
    #[case(Key::P521)]
    #[case(Key::Ed25519)]
    #[case(Key::Rsa(2048))]
    fn what_senders_take_passes(#[case] key: Key) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf_of(key);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[rstest]
    #[case(KeyAlgorithm::Ec, Some("secp256k1"))]
    #[case(KeyAlgorithm::Ec, None)]
    #[case(KeyAlgorithm::RsaPss, None)]
    #[case(KeyAlgorithm::Ed448, None)]
    #[case(KeyAlgorithm::Other, None)]
    fn the_rest_does_not(#[case] algorithm: KeyAlgorithm, #[case] curve: Option<&'static str>) {
        let key = PublicKey { algorithm, curve, ..World::correct().chain[0].details().unwrap().key.clone() };
        assert!(!is_common(&key));
    }
}
