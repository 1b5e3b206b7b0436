//! Practice 2: strong keys.

use super::{
    Context, Outcome, each_path, known_path,
    path::{End, links},
    rules,
};
use crate::facts::{Certificate, CertificateDetails};

mod factoring;

rules! {
    broken_rsa_key,
    weak_rsa_key,
    weak_ec_key,
    factorable_rsa_key,
    small_rsa_exponent,
    published_key,
    uncommon_key,
    weak_signature_hash,
    shared_key,
    key_shared_by_hosts,
    key_of_issuer,
    key_possession_refuted,
}

/// One certificate of the path, as these rules look at it.
pub struct Link<'a> {
    /// Which one, in words.
    pub what: String,
    /// What it says.
    pub details: &'a CertificateDetails,
    /// Whether its signature matters: that of a certificate signed by itself protects nothing.
    pub is_signed_by_another: bool,
    /// Whether it is the root above the path: a server does not choose it as it chooses its key.
    pub is_root: bool,
}

/// Judges the server's certificate and what stands above it in each view. A root is trusted whatever its signature,
/// and whoever breaks its key signs what it is trusted for: OpenSSL and GnuTLS hold it to the same strength.
pub fn each_link(context: &Context, judge: impl Fn(&[Link]) -> Outcome) -> Outcome {
    each_path(context, |chain, judgement| {
        let link = |(place, (what, certificate))| {
            let details = Certificate::details(certificate)?;
            let is_root = place >= judgement.path.len();
            let is_signed_by_another = !is_root && judgement.end != End::SelfSigned;
            Ok(Link { what, details, is_signed_by_another, is_root })
        };
        let outcome = match links(chain, judgement).into_iter().enumerate().map(link).collect::<Result<Vec<_>, &str>>() {
            Ok(links) => judge(&links),
            Err(why) => Outcome::Undetermined(format!("a certificate of the path cannot be read: {why}")),
        };
        known_path(judgement, outcome)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        facts::Certificate,
        rules::{
            Rule, find,
            test_facts::{Key, World, kind},
        },
    };

    /// The same certificate, said to be signed with ECDSA and SHA-224, which this build cannot verify on P-256.
    fn unverifiable(certificate: &Certificate) -> Certificate {
        const ECDSA_WITH_SHA256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        let mut der = certificate.der().to_vec();
        let places: Vec<usize> = (0..der.len() - 10).filter(|at| der[*at..].starts_with(&ECDSA_WITH_SHA256)).collect();
        assert_eq!(places.len(), 2, "inside and outside of the signed part");
        for at in places {
            der[at + 9] = 1;
        }
        Certificate::from_der(&der)
    }

    /// The intermediate that was sent may be the issuer: nobody knows, so it is not left out either.
    #[rstest]
    #[case("broken-rsa-key")]
    #[case("weak-rsa-key")]
    #[case("weak-signature-hash")]
    #[case("issuer-expired")]
    #[case("not-yet-valid")]
    #[case("issuer-expires-first")]
    fn an_unknown_path_is_not_a_right_one(#[case] id: &str) {
        let rule: &Rule = find(id).unwrap();
        let mut world = World::correct();
        assert_eq!(kind(&world.judge(rule)), "passed");
        world.chain[0] = unverifiable(&world.chain[0]);
        assert_eq!(kind(&world.judge(rule)), "undetermined");
    }

    #[test]
    fn what_is_wrong_with_the_certificate_itself_stays_wrong() {
        let mut world = World::correct();
        world.chain[0] = unverifiable(&world.issuing.leaf_of(Key::Rsa(1024)));
        assert_eq!(kind(&world.judge(find("weak-rsa-key").unwrap())), "violated");
    }
}
