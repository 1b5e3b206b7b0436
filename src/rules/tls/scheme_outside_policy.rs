use super::policy::{graded, not_judged};
use crate::{
    facts::SchemeList,
    rules::{
        Context, Outcome, rule,
        offers::{Known, asked as known, each_offers, passed},
    },
    tls::Version,
};

rule! {
    /// Key exchanges are signed in a way that the policy does not allow.
    ///
    /// ## What it checks
    ///
    /// The schemes that the server signs its key exchange with in TLS 1.2 stand in the list of the policy that
    /// judges; `full` asks for all of them. MD5 and SHA-1 have a rule of their own (`weak-handshake-signature`).
    /// What is listed as to be phased out warns; whatever is not listed fails. Not applicable under a policy without
    /// such a list, as `mtalab` is.
    ///
    /// ## Why it matters
    ///
    /// Guidelines disagree on what is still good enough for mail. This rule says where the server departs from
    /// the one that was asked for; whether that is a fault is for the guideline's readers to decide.
    ///
    /// ## Remedy
    ///
    /// Read the lists that the policy names: `mtalab policies` tells where they come from.
    ///
    /// - Postfix, Exim with OpenSSL, Sendmail, OpenSMTPD: `SignatureAlgorithms` in `openssl.cnf`.
    /// - Exim with GnuTLS: `SIGN-` words of `tls_require_ciphers`.
    /// - Exchange: the pairs of `Functions` under `Cryptography\Configuration\Local\SSL\00010003` of the registry.
    ///
    /// ## References
    ///
    /// - NCSC-NL TLS guidelines 2025-05, 3.3.5
    "scheme-outside-policy" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let Some(list) = &context.policy.schemes else { return not_judged(context.policy, "signature schemes") };
    each_offers(context, |asked| {
        let schemes = &asked.offers.schemes;
        let judged = schemes.accepted.iter().filter(|scheme| !scheme.has_weak_hash());
        if let Some(found) = graded(judged.map(|scheme| (list.standing(scheme), scheme)), context.policy, "signs with") {
            return found;
        }
        if asked.version(Version::Tls12) == Known::No {
            return Outcome::NotApplicable("TLS 1.2 is refused".to_owned());
        }
        let covers = |list| matches!(list, SchemeList::All);
        let unanswered =
            |failure: &_| Known::Unanswered(format!("which schemes the server signs with is not known: {failure}"));
        asked.outcome(known(schemes, covers, unanswered), passed, passed)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Offers,
        finding::Severity,
        rules::{
            policy::find,
            test_facts::{World, kind},
        },
        tls::SignatureScheme,
    };

    fn judged(policy: &str, offers: Offers) -> Outcome {
        World::correct().judge_by(find(policy).unwrap(), &RULE, offers)
    }

    #[rstest]
    #[case("rsa_pkcs1_sha256", "passed")]
    #[case("rsa_pkcs1_sha224", "violated")]
    #[case("rsa_pkcs1_sha1", "passed")]
    #[case("dsa_sha256", "violated")]
    fn schemes_are_compared_with_the_list(#[case] scheme: &str, #[case] expected: &str) {
        let scheme = SignatureScheme::from_name(scheme).unwrap();
        let offers = || Offers::good().with(|offers| offers.schemes.accepted.push(scheme));
        assert_eq!(kind(&judged("ncsc-nl-2025", offers())), expected);
        assert_eq!(kind(&judged("mozilla-intermediate", offers())), "not-applicable");
    }

    #[test]
    fn what_is_phased_out_warns() {
        let scheme = SignatureScheme::from_name("rsa_pkcs1_sha224").unwrap();
        let outcome = judged("ncsc-nl-2025", Offers::good().with(|offers| offers.schemes.accepted.push(scheme)));
        let Outcome::Violated(violations) = outcome else { panic!("{outcome:?}") };
        assert_eq!(violations[0].severity, Some(Severity::Warn));
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::good().refuse(Version::Tls12))), "not-applicable");
    }
}
