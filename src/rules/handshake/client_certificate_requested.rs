use crate::{
    facts::{ClientCertificate, Observed},
    rules::{
        Context, Outcome, Violation, each_view, rule,
        offers::{passed, violated},
    },
};

rule! {
    /// A client certificate is asked for.
    ///
    /// ## What it checks
    ///
    /// The server sends a CertificateRequest. Whether it goes on without one is another rule's question.
    ///
    /// ## Why it matters
    ///
    /// Most senders have none and go on. Some libraries stumble over the request, above all over a list of CA
    /// names that is longer than one record; and the answer tells who the sender is before the handshake is
    /// encrypted, in TLS 1.2.
    ///
    /// ## Remedy
    ///
    /// Ask only where the answer is used.
    ///
    /// - Postfix: `smtpd_tls_ask_ccert = no` and `smtpd_tls_req_ccert = no` in `main.cf`; where relay clients
    ///   need it, set it for the submission service in `master.cf`.
    /// - Exim: `tls_verify_hosts` and `tls_try_verify_hosts` name only the hosts that are meant.
    /// - Sendmail: `TLSSrvOptions=V` (`confTLS_SRV_OPTIONS` in `sendmail.mc`).
    /// - OpenSMTPD: `tls` in the `listen` line, without `tls-require verify`.
    /// - Exchange: `Set-ReceiveConnector -DomainSecureEnabled $false` on the connector that faces the world,
    ///   where Domain Security is not used.
    ///
    /// ## References
    ///
    /// - RFC 5246, 7.4.4
    /// - RFC 8446, 4.3.2
    "client-certificate-requested" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match view.client_certificate() {
        Observed::Seen(ClientCertificate::NotRequested) => passed(),
        Observed::Seen(ClientCertificate::Requested { ca_bytes }) => {
            let violation = Violation::new("the server asks for a client certificate");
            violated(violation.evidence(format!("with {ca_bytes} bytes of CA names")))
        }
        Observed::Failed(failure) => {
            Outcome::Undetermined(format!("whether a client certificate is asked for is not known: {failure}"))
        }
        Observed::NotAttempted(_) => Outcome::NotApplicable("no handshake shows it".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Observed, Offers},
        rules::test_facts::{World, kind},
    };

    /// A session that did not get far enough to show it.
    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_from(1, &RULE, |views| {
            views[0].session.client_certificate = Observed::NotAttempted("the handshake failed".to_owned());
            views[0].offers = Observed::Seen(offers);
        })
    }

    #[test]
    fn the_session_shows_it_by_itself() {
        let requested = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.client_certificate = Observed::Seen(ClientCertificate::Requested { ca_bytes: 0 });
        });
        assert_eq!(kind(&requested), "violated");
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }

    #[test]
    fn the_request_is_seen_in_the_flight() {
        let request = |request| Offers::good().with(|offers| offers.client_certificate = Observed::Seen(request));
        let outcome = judged(request(ClientCertificate::Requested { ca_bytes: 17_000 }));
        assert!(format!("{outcome:?}").contains("with 17000 bytes of CA names"), "{outcome:?}");
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Quick))), "not-applicable");
    }
}
