use super::each_features;
use crate::rules::{Context, Outcome, rule};

rule! {
    /// The extended master secret is not supported.
    ///
    /// ## What it checks
    ///
    /// The server does not answer `extended_master_secret` in TLS 1.2 or older. TLS 1.3 binds its keys to the
    /// handshake by itself.
    ///
    /// ## Why it matters
    ///
    /// Without it, a server that is itself a client elsewhere can make two sessions share their keys (triple
    /// handshake). It matters where client certificates or channel binding are used, which is rare between mail
    /// servers.
    ///
    /// ## Remedy
    ///
    /// Update the TLS library.
    ///
    /// - Postfix, Exim with OpenSSL: 1.1.0 or later.
    /// - Exim with GnuTLS: 3.4 or later, without `%NO_SESSION_HASH`.
    /// - Sendmail: as OpenSSL has it; update it.
    /// - OpenSMTPD: as LibreSSL or OpenSSL has it; update it.
    /// - Exchange: Windows Server 2016 or later, and older ones with the updates of 2015 (MS15-121).
    ///
    /// ## References
    ///
    /// - RFC 7627
    /// - RFC 5246, 8.1
    "no-extended-master-secret" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_features(context, |features| features.extended_master_secret, "the server does not confirm the extended master secret")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Observed, Offers},
        rules::test_facts::{World, kind},
        tls::Version,
    };

    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_offers(&RULE, offers)
    }

    #[test]
    fn the_first_answer_shows_it() {
        assert_eq!(kind(&judged(Offers::good())), "passed");
        let bad = Offers::good().with(|offers| {
            let Observed::Seen(features) = &mut offers.features else { panic!() };
            features.extended_master_secret = false;
        });
        assert_eq!(kind(&judged(bad)), "violated");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
        let newest = Offers::good().refuse(Version::Tls12).with(|offers| offers.features = Observed::NotAttempted(String::new()));
        assert_eq!(kind(&judged(newest)), "passed");
    }
}
