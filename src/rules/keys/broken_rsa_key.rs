use super::each_link;
use crate::{
    facts::PublicKey,
    rules::{Context, Outcome, ResultType, Violation, rule},
};

rule! {
    /// The RSA key can be broken.
    ///
    /// ## What it checks
    ///
    /// The server's certificate, an intermediate above it or the root has an RSA key of less than 1024 bits, or one whose
    /// public exponent is one or even.
    ///
    /// ## Why it matters
    ///
    /// Keys of 512 bits are factored in hours on rented computers, and one of 768 bits was factored in
    /// 2009. Whoever does that can pose as the server. Today's TLS libraries refuse such keys, so
    /// senders either fall back to clear text or do not deliver.
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
    "broken-rsa-key" { practice: StrongKeys, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let rsa = || links.iter().filter(|link| link.details.key.is_rsa());
        if let Some(link) = rsa().find(|link| link.details.key.bits == 0) {
            return Outcome::Undetermined(format!("the RSA key of {} cannot be read", link.what));
        }
        let is_broken = |key: &PublicKey| key.bits < 1024 || key.exponent.is_some_and(|exponent| exponent == 1 || exponent % 2 == 0);
        let broken = rsa().filter(|link| is_broken(&link.details.key));
        let violations: Vec<Violation> =
            broken.map(|link| Violation::new(format!("the key of {} can be broken: {}", link.what, link.details.key))).collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{Authority, Key, World, kind, messages};

    #[rstest]
    #[case(Key::Rsa(512), "violated")]
    #[case(Key::Rsa(1016), "violated")]
    #[case(Key::Rsa(1024), "passed")]
    #[case(Key::P256, "passed")]
    fn the_server_key_is_judged_by_its_bits(#[case] key: Key, #[case] expected: &str) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf_of(key);
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }

    #[test]
    fn an_intermediate_counts_and_a_root_too() {
        let mut world = World::correct();
        let issuing = world.root.intermediate_of(Key::Rsa(512), "Old CA", |_| {});
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        assert_eq!(messages(&world.judge(&RULE)), ["the key of certificate 2 (CN=Old CA) can be broken: RSA 512 bits"]);
        let root = Authority::root_with(Key::Rsa(512), "Old Root CA");
        world.chain = vec![root.leaf(|_| {})];
        world.stores[0].anchors = vec![root.certificate.der().to_vec().into()];
        assert_eq!(messages(&world.judge(&RULE)), ["the key of the root (CN=Old Root CA) can be broken: RSA 512 bits"]);
        world.chain.push(root.certificate.clone());
        assert_eq!(messages(&world.judge(&RULE)), ["the key of certificate 2 (CN=Old Root CA) can be broken: RSA 512 bits"]);
    }
}
