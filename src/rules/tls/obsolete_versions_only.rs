use crate::{
    rules::{
        Context, Outcome, ResultType, rule,
        offers::{Known, each_offers, violated, with_evidence},
    },
    tls::Version,
};

rule! {
    /// Nothing newer than TLS 1.1 is offered.
    ///
    /// ## What it checks
    ///
    /// The server refuses TLS 1.2 and TLS 1.3 and takes an older version. A session that was negotiated with
    /// TLS 1.2 or 1.3 shows that it does not.
    ///
    /// ## Why it matters
    ///
    /// Current TLS libraries no longer speak what is left. Opportunistic senders go on in clear text, those
    /// that enforce TLS defer the mail.
    ///
    /// ## Remedy
    ///
    /// Offer TLS 1.2 and 1.3.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2` on Postfix 3.6 or later; if that changes nothing, the
    ///   OpenSSL below it is older than 1.0.1.
    /// - Exim: remove `+no_tlsv1_2` and `+no_tlsv1_3` from `openssl_options`; update OpenSSL or GnuTLS.
    /// - Sendmail: remove `+SSL_OP_NO_TLSv1_2` and `+SSL_OP_NO_TLSv1_3` from `ServerSSLOptions`; update OpenSSL.
    /// - OpenSMTPD: `protocols "tlsv1.2,tlsv1.3"` in the `listen` line, or none, which means the same.
    /// - Exchange: `Enabled` = 1 and `DisabledByDefault` = 0 under `SCHANNEL\Protocols\TLS 1.2\Server`; Windows
    ///   Server 2008 R2 and 2012 need the updates that bring it.
    ///
    /// ## References
    ///
    /// - RFC 8996
    /// - RFC 9325, 3.1.1
    "obsolete-versions-only" { practice: StrongKeys, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let newer = Known::any([asked.version(Version::Tls13), asked.version(Version::Tls12)]);
        let versions = asked.versions();
        let names = versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let obsolete = || match versions.last() {
            Some(highest) => {
                let message = format!("the server takes {highest} at most");
                violated(with_evidence(message, asked.suite_lines(|_| true)).evidence("TLSv1.2 and TLSv1.3 are refused"))
            }
            None => Outcome::Undetermined(format!("{} refuses TLS 1.2 and 1.3, and took no older version", asked.view.address)),
        };
        // Whoever refused the usual hello may take an old version at most: without an answer it is not known.
        if matches!(newer, Known::Unasked) && asked.session_version().is_none() {
            return Outcome::Undetermined("whether TLS 1.2 or 1.3 is taken was not asked: no connection was left for it".to_owned());
        }
        asked.outcome(newer, || Outcome::Passed(names.clone()), obsolete)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Failure, Observed, Offers},
        rules::{
            offers::OLDER_VERSION,
            test_facts::{World, kind, messages},
        },
    };

    /// A server with which this end has no version in common.
    fn judge_old(why: &str, offers: Offers) -> Outcome {
        World::correct().judge_from(1, &RULE, |views| {
            views[0].session.tls = Observed::Failed(Failure::Tls(why.to_owned()));
            views[0].offers = Observed::Seen(offers);
        })
    }

    fn old() -> Offers {
        Offers::good().refuse(Version::Tls12).refuse(Version::Tls13).accept(Version::Tls10, &["TLS_RSA_WITH_AES_128_CBC_SHA"])
    }

    #[test]
    fn both_newer_versions_must_be_refused() {
        let outcome = judge_old("the server sent the alert handshake_failure", old());
        assert_eq!(messages(&outcome), ["the server takes TLSv1.0 at most"]);
        assert_eq!(kind(&judge_old("the server sent the alert handshake_failure", old().lose(Version::Tls13))), "undetermined");
        assert_eq!(kind(&judge_old("", Offers::good())), "passed");
        assert_eq!(kind(&judge_old("", Offers::unanswered())), "undetermined");
    }

    /// The one raw question of a quick check offers nothing above TLS 1.2.
    #[test]
    fn the_session_counts() {
        let quick = || {
            Offers::unasked(Depth::Quick)
                .accept(Version::Ssl3, &["TLS_RSA_WITH_RC4_128_SHA"])
                .with(|offers| offers.versions[1].suites.complete.clear())
        };
        assert_eq!(messages(&judge_old(OLDER_VERSION, quick())), ["the server takes SSLv3 at most"]);
        assert_eq!(kind(&judge_old("the server sent the alert protocol_version", quick())), "violated");
        assert_eq!(kind(&judge_old("the server sent the alert handshake_failure", quick())), "undetermined");
        assert_eq!(kind(&World::correct().judge_offers(&RULE, quick())), "passed");
    }

    #[test]
    fn without_any_version_nothing_is_known() {
        assert_eq!(kind(&judge_old("", Offers::good().refuse(Version::Tls12).refuse(Version::Tls13))), "undetermined");
    }
}
