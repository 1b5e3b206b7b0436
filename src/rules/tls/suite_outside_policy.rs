use std::collections::BTreeSet;

use super::policy::{graded, not_judged};
use crate::{
    rules::{
        Context, Outcome, rule,
        offers::{each_offers, passed},
    },
    tls::{Suite, Version},
};

rule! {
    /// Suites are taken that the policy does not allow.
    ///
    /// ## What it checks
    ///
    /// Every cipher suite that the server takes, from SSL 3.0 to TLS 1.3, stands in the list of the policy that
    /// judges. What is listed as to be phased out warns; whatever is not listed fails. Not applicable under a
    /// policy without such a list, as `mtalab` is.
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
    /// - Postfix: `smtpd_tls_exclude_ciphers`, or `tls_medium_cipherlist`.
    /// - Exim: `tls_require_ciphers`.
    /// - Sendmail: exclude them in `CipherList` (`confCIPHER_LIST` in `sendmail.mc`).
    /// - OpenSMTPD: exclude them in `ciphers` of the `listen` line; before 7.0 in `smtp ciphers`.
    /// - Exchange: `Disable-TlsCipherSuite`, or the policy SSL Cipher Suite Order.
    ///
    /// ## References
    ///
    /// - NCSC-NL TLS guidelines 2025-05, appendix B
    /// - Mozilla Server Side TLS 6.0
    "suite-outside-policy" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    const VERSIONS: [Version; 5] = [Version::Ssl3, Version::Tls10, Version::Tls11, Version::Tls12, Version::Tls13];
    let Some(list) = &context.policy.suites else { return not_judged(context.policy, "suites") };
    each_offers(context, |asked| {
        let offers = VERSIONS.iter().filter_map(|version| asked.offers.version(*version));
        let taken: BTreeSet<Suite> = offers.flat_map(|offer| offer.suites.accepted.iter().copied()).collect();
        let found = graded(taken.iter().map(|suite| (list.standing(suite), suite)), context.policy, "takes");
        found.unwrap_or_else(|| asked.outcome(asked.more_suites(&VERSIONS), passed, passed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Offers},
        finding::Severity,
        rules::{
            policy::find,
            test_facts::{World, kind},
        },
        tls::Version,
    };

    fn judged(policy: &str, offers: Offers) -> Outcome {
        World::correct().judge_by(find(policy).unwrap(), &RULE, offers)
    }

    #[test]
    fn what_is_to_be_phased_out_warns() {
        let with = |suites: &[&str]| Offers::good().accept(Version::Tls12, suites);
        let mixed = || with(&["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA"]);
        let Outcome::Violated(found) = judged("ncsc-nl-2025", mixed()) else { panic!() };
        let severities: Vec<_> = found.iter().map(|violation| violation.severity).collect();
        assert_eq!(severities, [None, Some(Severity::Warn)]);
        assert_eq!(found[0].message, "the server takes TLS_RSA_WITH_AES_128_CBC_SHA, which ncsc-nl-2025 does not allow");
        let good = || with(&["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
        assert_eq!(kind(&judged("ncsc-nl-2025", good())), "passed");
        assert_eq!(kind(&judged("mozilla-intermediate", good())), "passed");
        assert_eq!(kind(&judged("mozilla-intermediate", good().lose(Version::Tls10))), "undetermined");
        assert_eq!(kind(&judged("mozilla-intermediate", Offers::unasked(Depth::Quick))), "not-applicable");
        assert_eq!(kind(&judged("mtalab", mixed())), "not-applicable");
    }
}
