use crate::{
    facts::{Preference, VersionOffer},
    rules::{
        Context, Outcome, Violation, rule,
        offers::{SSL3_TO_TLS12, each_offers, is_weak, names, passed},
    },
    tls::{Authentication, Suite},
};

rule! {
    /// Weak suites are preferred to strong ones.
    ///
    /// ## What it checks
    ///
    /// The server decides the order of the suites, and puts one with NULL, export, RC4, DES or triple DES
    /// encryption before one without such a fault in the same version. Anonymous suites are not counted: for
    /// opportunistic TLS it is no fault to prefer them.
    ///
    /// ## Why it matters
    ///
    /// Every sender that offers both gets the weak one, though the strong one was in common.
    ///
    /// ## Remedy
    ///
    /// Let the client's order decide, or put the strong suites first.
    ///
    /// - Postfix: `tls_preempt_cipherlist = no`, the default; else put the order right in
    ///   `tls_medium_cipherlist`.
    /// - Exim: with OpenSSL, remove `+cipher_server_preference` from `openssl_options`; with GnuTLS, remove
    ///   `%SERVER_PRECEDENCE`.
    /// - Sendmail: remove `+SSL_OP_CIPHER_SERVER_PREFERENCE` from `ServerSSLOptions`.
    /// - OpenSMTPD: put the strong suites first in `ciphers` of the `listen` line.
    /// - Exchange: Schannel always decides; put the suites in order with the policy SSL Cipher Suite Order.
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.1
    /// - RFC 9325, 4.2.1
    "weak-suites-preferred" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let offers = || asked.offers.versions.iter().filter(|offer| offer.suites.accepted.len() > 1);
        let violations: Vec<Violation> = offers().filter_map(violation).collect();
        if !violations.is_empty() {
            return Outcome::Violated(violations);
        }
        // Where all are strong, or all are weak, the order does not matter.
        let is_mixed = |offer: &&VersionOffer| {
            let weak = offer.suites.accepted.iter().filter(|suite| is_weak(**suite)).count();
            (1..offer.suites.accepted.len()).contains(&weak)
        };
        match offers().find(|offer| is_mixed(offer) && offer.preference.seen().is_none()) {
            Some(offer) => asked.observed("whose order of suites decides", &offer.preference, |_| passed()),
            None => asked.outcome(asked.more_suites(&SSL3_TO_TLS12), passed, passed),
        }
    })
}

fn violation(offer: &VersionOffer) -> Option<Violation> {
    if offer.preference.seen() != Some(&Preference::Server) {
        return None;
    }
    let suites = &offer.suites.accepted;
    let weak = suites.iter().position(|suite| is_weak(*suite))?;
    // One without a certificate may be taken for what it is: it is no reason to put a weak one behind it.
    let is_strong = |suite: &&Suite| !is_weak(**suite) && suite.authentication() != Authentication::Anonymous;
    let behind = suites[weak..].iter().find(is_strong)?;
    let message = format!("in {} the server prefers {} to {behind}", offer.version, suites[weak]);
    Some(Violation::new(message).evidence(format!("its order: {}", names(suites))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Failure, Observed, Offers},
        rules::test_facts::{World, kind, messages},
        tls::Version,
    };

    const WEAK_FIRST: [&str; 2] = ["TLS_RSA_WITH_RC4_128_SHA", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"];

    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_offers(&RULE, offers)
    }

    #[test]
    fn a_weak_suite_before_a_strong_one_is_named() {
        let outcome = judged(Offers::good().accept(Version::Tls12, &WEAK_FIRST));
        let expected = "in TLSv1.2 the server prefers TLS_RSA_WITH_RC4_128_SHA to TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        assert_eq!(messages(&outcome), [expected]);
    }

    #[test]
    fn behind_a_strong_one_or_by_the_clients_order_it_is_not() {
        let [weak, strong] = WEAK_FIRST;
        assert_eq!(kind(&judged(Offers::good().accept(Version::Tls12, &[strong, weak]))), "passed");
        assert_eq!(kind(&judged(Offers::good().accept(Version::Tls12, &[weak]))), "passed");
        assert_eq!(kind(&judged(Offers::good().accept(Version::Tls12, &WEAK_FIRST).client_order(Version::Tls12))), "passed");
        let before_anonymous = [weak, "TLS_DH_anon_WITH_AES_128_CBC_SHA"];
        assert_eq!(kind(&judged(Offers::good().accept(Version::Tls12, &before_anonymous))), "passed");
        let anonymous = ["TLS_ECDH_anon_WITH_AES_256_CBC_SHA", strong];
        assert_eq!(kind(&judged(Offers::good().accept(Version::Tls12, &anonymous))), "passed");
    }

    #[test]
    fn an_unknown_order_is_not_a_good_one() {
        let with = |preference| {
            let offers = Offers::good().accept(Version::Tls12, &WEAK_FIRST);
            judged(offers.with(|offers| offers.versions[4].preference = preference))
        };
        assert_eq!(kind(&with(Observed::Failed(Failure::Closed))), "undetermined");
        assert_eq!(kind(&with(Observed::NotAttempted("not asked".to_owned()))), "not-applicable");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
        assert_eq!(kind(&judged(Offers::good())), "passed");
    }
}
