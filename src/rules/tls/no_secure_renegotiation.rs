use super::each_features;
use crate::rules::{Context, Outcome, rule};

rule! {
    /// Secure renegotiation is not supported.
    ///
    /// ## What it checks
    ///
    /// The server does not answer `renegotiation_info` in TLS 1.2 or older. TLS 1.3 has no renegotiation.
    ///
    /// ## Why it matters
    ///
    /// Whoever sits between can put commands of their own before those of the sender, inside one encrypted
    /// session (CVE-2009-3555). Clients with OpenSSL 3 refuse such servers.
    ///
    /// ## Remedy
    ///
    /// Update the TLS library: every one since 2010 confirms it.
    ///
    /// - Postfix, Exim: OpenSSL 0.9.8m or GnuTLS 2.10 and later.
    /// - Exim: remove `+allow_unsafe_legacy_renegotiation` and `%UNSAFE_RENEGOTIATION` where they stand.
    /// - Sendmail: as OpenSSL has it; update it.
    /// - OpenSMTPD: as LibreSSL or OpenSSL has it; update it.
    /// - Exchange: Windows since the update MS10-049; remove `AllowInsecureRenegoClients` from `SCHANNEL` of
    ///   the registry.
    ///
    /// ## References
    ///
    /// - RFC 5746, 3.6
    /// - RFC 9325, 3.5
    /// - CVE-2009-3555
    "no-secure-renegotiation" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_features(context, |features| features.secure_renegotiation, "the server does not confirm secure renegotiation")
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
            features.secure_renegotiation = false;
        });
        assert_eq!(kind(&judged(bad)), "violated");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
        let newest = Offers::good().refuse(Version::Tls12).with(|offers| offers.features = Observed::NotAttempted(String::new()));
        assert_eq!(kind(&judged(newest)), "passed");
    }
}
