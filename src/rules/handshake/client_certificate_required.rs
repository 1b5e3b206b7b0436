use crate::{
    facts::{ClientCertificate, Failure, Observed, View},
    rules::{
        Context, Outcome, ResultType, Violation, each_view, rule, short, starttls::alert,
        offers::{passed, violated},
    },
    smtp::Reply,
};

rule! {
    /// A client certificate is required.
    ///
    /// ## What it checks
    ///
    /// The server ends the handshake because the client has no certificate: with the alert
    /// `certificate_required`, or, having asked for a certificate, with another alert about it, or with a reply to the
    /// first command that says so.
    ///
    /// ## Why it matters
    ///
    /// Mail servers that send to strangers have no certificate that the stranger would know. Senders go on in
    /// clear text or defer the mail.
    ///
    /// ## Remedy
    ///
    /// Ask for client certificates on port 25 of nobody, or take the handshake without one.
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
    /// - RFC 3207, 4
    /// - RFC 8446, 4.4.2.4
    /// - RFC 5246, 7.4.6
    "client-certificate-required" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| {
        let session = &view.session;
        let failure = match (&session.tls, &session.ehlo_after) {
            // In TLS 1.3 the server says so after the handshake (RFC 8446, 4.4.2.4).
            (Observed::Seen(_), Observed::Failed(Failure::Tls(why))) | (Observed::Failed(Failure::Tls(why)), _) => why,
            (Observed::Seen(_), Observed::Seen(_)) => return passed(),
            // Postfix takes the handshake, and says so to the first command: `421 4.7.1 ... No client certificate presented`.
            (Observed::Seen(_), Observed::Failed(Failure::Throttled(reply) | Failure::EhloRefused(reply)))
                if is_requested(view) && speaks_of_certificates(reply) =>
            {
                let violation = Violation::new("the server demands a client certificate");
                return violated(violation.evidence(short(&reply.to_string())));
            }
            _ => return Outcome::NotApplicable("no handshake shows it".to_owned()),
        };
        match alert(failure) {
            Some("certificate_required") => {}
            // Before TLS 1.3 there is no alert of its own (RFC 5246, 7.4.6).
            Some("handshake_failure" | "bad_certificate" | "no_certificate" | "certificate_unknown") if is_requested(view) => {}
            _ => return Outcome::NotApplicable("the handshake does not end for want of a client certificate".to_owned()),
        }
        violated(Violation::new("the server demands a client certificate").evidence(short(failure)))
    })
}

/// Whether the server was seen to ask for one, and sent its own first.
fn is_requested(view: &View) -> bool {
    let requested = view.client_certificate();
    view.session.certificates.seen().is_some() && matches!(requested, Observed::Seen(ClientCertificate::Requested { .. }))
}

fn speaks_of_certificates(reply: &Reply) -> bool {
    reply.lines.iter().any(|line| line.as_str().to_ascii_lowercase().contains("client certificate"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Offers,
        rules::test_facts::{World, kind, reply},
    };

    fn failed<T>(alert: &str) -> Observed<T> {
        Observed::Failed(Failure::Tls(format!("the server sent the alert {alert}")))
    }

    #[test]
    fn the_alert_of_tls13_is_enough() {
        let world = World::correct();
        let judged = |alert| kind(&world.judge_from(1, &RULE, |views| views[0].session.ehlo_after = failed(alert)));
        assert_eq!(judged("certificate_required"), "violated");
        assert_eq!(judged("internal_error"), "not-applicable");
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[test]
    fn a_reply_that_says_so_is_enough_after_a_request() {
        let judged = |request, text: &str| {
            let reply = Failure::Throttled(reply(421, text));
            let outcome = World::correct().judge_from(1, &RULE, |views| {
                views[0].session.client_certificate = Observed::Seen(request);
                views[0].session.ehlo_after = Observed::Failed(reply);
            });
            kind(&outcome)
        };
        let requested = ClientCertificate::Requested { ca_bytes: 0 };
        assert_eq!(judged(requested, "4.7.1 mx.example.test Error: No client certificate presented"), "violated");
        assert_eq!(judged(requested, "4.3.2 mx.example.test Error: too busy"), "not-applicable");
        assert_eq!(judged(ClientCertificate::NotRequested, "No client certificate presented"), "not-applicable");
    }

    /// A handshake failure alone has many causes.
    #[test]
    fn before_tls13_the_request_must_have_been_seen() {
        let world = World::correct();
        let judged = |request| {
            world.judge_from(1, &RULE, |views| {
                views[0].session.tls = failed("handshake_failure");
                views[0].offers = Observed::Seen(Offers::good().with(|offers| offers.client_certificate = Observed::Seen(request)));
            })
        };
        assert_eq!(kind(&judged(ClientCertificate::Requested { ca_bytes: 0 })), "violated");
        assert_eq!(kind(&judged(ClientCertificate::NotRequested)), "not-applicable");
        let alone = world.judge_from(1, &RULE, |views| views[0].session.tls = failed("handshake_failure"));
        assert_eq!(kind(&alone), "not-applicable");
    }
}
