use super::each_features;
use crate::rules::{Context, Outcome, rule};

rule! {
    /// TLS compression is offered.
    ///
    /// ## What it checks
    ///
    /// The server chooses a compression method in TLS 1.2 or older, where the client offers one beside none.
    /// TLS 1.3 has none.
    ///
    /// ## Why it matters
    ///
    /// The length of what is compressed tells about its content (CRIME, CVE-2012-4929). Senders no longer offer
    /// compression; the library below the server is old.
    ///
    /// ## Remedy
    ///
    /// Switch compression off.
    ///
    /// - Postfix: `tls_ssl_options = NO_COMPRESSION` (Postfix 2.11 or later).
    /// - Exim: with OpenSSL, `+no_compression` in `openssl_options`; with GnuTLS, `-COMP-ALL:+COMP-NULL` in
    ///   `tls_require_ciphers`.
    /// - Sendmail: add `+SSL_OP_NO_COMPRESSION` to `ServerSSLOptions`.
    /// - OpenSMTPD: LibreSSL and its libtls have no compression; look at what terminates TLS before it.
    /// - Exchange: Schannel has no compression.
    ///
    /// ## References
    ///
    /// - RFC 9325, 3.3
    /// - CVE-2012-4929
    "tls-compression" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_features(context, |features| !features.compression, "the server takes TLS compression")
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
            features.compression = true;
        });
        assert_eq!(kind(&judged(bad)), "violated");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
        let newest = Offers::good().refuse(Version::Tls12).with(|offers| offers.features = Observed::NotAttempted(String::new()));
        assert_eq!(kind(&judged(newest)), "passed");
    }
}
