use crate::{
    facts::SchemeList,
    rules::{
        Context, Outcome, Violation, rule,
        offers::{Known, asked as known, each_offers, names, passed, violated},
    },
    tls::{SignatureScheme, Version},
};

rule! {
    /// The handshake is signed with MD5 or SHA-1 on demand.
    ///
    /// ## What it checks
    ///
    /// In TLS 1.2, the server signs its key exchange with MD5 or SHA-1 if the client offers nothing else. TLS
    /// 1.0 and 1.1 know no other hashes and are not looked at.
    ///
    /// ## Why it matters
    ///
    /// Whoever can find collisions of the hash fast enough can pass as the server (SLOTH, CVE-2015-7575).
    /// Senders that offer better hashes get better ones, so this shows what the library allows more than what
    /// happens.
    ///
    /// ## Remedy
    ///
    /// Let the TLS library refuse SHA-1 signatures.
    ///
    /// - Postfix, Exim with OpenSSL: `MinProtocol = TLSv1.2` and `SignatureAlgorithms` without SHA1 in
    ///   `openssl.cnf`; security level 2 of OpenSSL 3 refuses SHA-1.
    /// - Exim with GnuTLS: `-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1` in `tls_require_ciphers`.
    /// - Sendmail: as Postfix.
    /// - OpenSMTPD: as Postfix, where it is built with OpenSSL.
    /// - Exchange: remove the SHA1 pairs from `Functions` under `Cryptography\Configuration\Local\SSL\00010003`
    ///   of the registry.
    ///
    /// ## References
    ///
    /// - RFC 9155
    /// - CVE-2015-7575
    "weak-handshake-signature" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let schemes = &asked.offers.schemes;
        let weak: Vec<SignatureScheme> = schemes.accepted.iter().copied().filter(|scheme| scheme.has_weak_hash()).collect();
        if !weak.is_empty() {
            return violated(Violation::new(format!("in TLS 1.2 the server signs with {}", names(&weak))));
        }
        if asked.version(Version::Tls12) == Known::No {
            return Outcome::NotApplicable("TLS 1.2 is refused".to_owned());
        }
        let covers = |list| matches!(list, SchemeList::All | SchemeList::WeakHash);
        let unanswered = |failure: &_| Known::Unanswered(format!("which hashes the server signs with is not known: {failure}"));
        asked.outcome(known(schemes, covers, unanswered), passed, passed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Offers, Taken},
        rules::test_facts::{World, kind, messages},
    };

    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_offers(&RULE, offers)
    }

    #[test]
    fn weak_hashes_are_named() {
        let weak = SignatureScheme::from_name("rsa_pkcs1_sha1").unwrap();
        let outcome = judged(Offers::good().with(|offers| offers.schemes.accepted.push(weak)));
        assert_eq!(messages(&outcome), ["in TLS 1.2 the server signs with rsa_pkcs1_sha1"]);
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::good().with(|offers| offers.schemes = Taken::default()))), "not-applicable");
        assert_eq!(kind(&judged(Offers::good().refuse(Version::Tls12))), "not-applicable");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Standard))), "not-applicable");
    }
}
