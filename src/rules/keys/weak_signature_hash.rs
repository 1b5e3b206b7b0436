use super::each_link;
use crate::{
    facts::SignatureHash,
    rules::{Context, Outcome, ResultType, Violation, rule, short},
};

rule! {
    /// A certificate is signed with a broken hash.
    ///
    /// ## What it checks
    ///
    /// The signature on the server's certificate, or on an intermediate above it, uses MD5 or SHA-1.
    /// The signatures of roots, and of a certificate signed by its own key, are not looked at: nothing
    /// rests on them.
    ///
    /// ## Why it matters
    ///
    /// Two certificates with the same MD5 or SHA-1 hash can be made, so a CA that signs one signs the
    /// other too. Current TLS libraries refuse both hashes.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew; every public CA signs with SHA-256 or better. If the signature
    /// on an intermediate is at fault, send the CA's current intermediate.
    ///
    /// - A CA of your own on OpenSSL: `default_md = sha256`.
    /// - Active Directory Certificate Services: `certutil -setreg ca\csp\CNGHashAlgorithm SHA256`.
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -key mx.key -out mx.csr`, and the CA signs it anew.
    /// - Exchange: `Get-ExchangeCertificate -Thumbprint ... | New-ExchangeCertificate -GenerateRequest`, likewise.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.4.2.4
    /// - RFC 9155
    "weak-signature-hash" { practice: StrongKeys, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let signed = || links.iter().filter(|link| link.is_signed_by_another);
        let weak = signed().filter_map(|link| match link.details.signature_hash {
            SignatureHash::Md5 => Some((link, "MD5")),
            SignatureHash::Sha1 => Some((link, "SHA-1")),
            SignatureHash::Sha224 | SignatureHash::Strong | SignatureHash::Unknown => None,
        });
        let violations: Vec<Violation> = weak
            .map(|(link, hash)| {
                Violation::new(format!("{} is signed with {hash}", link.what))
                    .evidence(format!("signature algorithm: {}", short(&link.details.signature_algorithm)))
            })
            .collect();
        if !violations.is_empty() {
            return Outcome::Violated(violations);
        }
        if let Some(link) = signed().find(|link| link.details.signature_hash == SignatureHash::Unknown) {
            let algorithm = short(&link.details.signature_algorithm);
            return Outcome::Undetermined(format!("the hash in the signature on {} is not known here: {algorithm}", link.what));
        }
        Outcome::Passed(signed().next().map_or_else(String::new, |leaf| words(&leaf.details.signature_algorithm)))
    })
}

/// `signed with SHA-256` for `sha256WithRSAEncryption` and its like.
fn words(algorithm: &str) -> String {
    let lower = algorithm.to_ascii_lowercase();
    let bits = lower.split_once("sha").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    match bits.filter(|bits| !bits.is_empty()) {
        Some(bits) => format!("signed with SHA-{bits}"),
        None => format!("signed with {algorithm}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{Authority, Hash, Key, World, kind, messages};

    #[rstest]
    #[case(Hash::Md5, "the server's certificate is signed with MD5")]
    #[case(Hash::Sha1, "the server's certificate is signed with SHA-1")]
    fn old_hashes_are_found(#[case] hash: Hash, #[case] message: &str) {
        let mut world = World::correct();
        let issuing = world.root.intermediate_of(Key::Rsa(1024), "Old CA", |_| {});
        world.chain = vec![hash.resign(issuing.leaf(|_| {}), &issuing), issuing.certificate.clone()];
        assert_eq!(messages(&world.judge(&RULE)), [message]);
    }

    #[test]
    fn the_hash_of_a_root_does_not_matter() {
        let mut world = World::correct();
        let root = Authority::root_with(Key::Rsa(1024), "Old Root CA");
        let certificate = Hash::Sha1.resign(root.certificate.clone(), &root);
        world.chain = vec![root.leaf(|_| {}), certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.stores[0].anchors = vec![certificate.der().to_vec().into()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[rstest]
    #[case("sha256WithRSAEncryption", "signed with SHA-256")]
    #[case("ecdsa-with-SHA384", "signed with SHA-384")]
    #[case("Ed25519", "signed with Ed25519")]
    #[case("rsassaPss", "signed with rsassaPss")]
    fn good_ones_are_named(#[case] algorithm: &str, #[case] expected: &str) {
        assert_eq!(words(algorithm), expected);
    }

    #[test]
    fn a_certificate_of_its_own_key_has_no_signature_that_matters() {
        let mut world = World::correct();
        world.chain = vec![World::self_signed()];
        assert_eq!(world.judge(&RULE), Outcome::Passed(String::new()));
    }
}
