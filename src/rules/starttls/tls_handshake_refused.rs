use std::collections::BTreeSet;

use super::Offer;
use crate::{
    facts::{Failure, Observed, View},
    rules::{Context, Outcome, ResultType, Violation, each_view, rule, short, tried, why_not},
};

rule! {
    /// STARTTLS is accepted, and the TLS handshake fails.
    ///
    /// ## What it checks
    ///
    /// The server answered STARTTLS with 220, and the TLS handshake with a client that speaks TLS 1.2
    /// and 1.3 and has no certificate ended in a fatal alert of the server, or in a choice of an older version.
    ///
    /// The alerts `handshake_failure` and `insufficient_security` leave it open: the server may know
    /// suites or groups that other senders offer, and this checker does not. So does a connection that is
    /// dropped, falls silent or makes no sense.
    ///
    /// ## Why it matters
    ///
    /// Senders of today have the same trouble. Many go on in clear text or defer the mail. The usual
    /// cause is a server that knows no TLS above 1.1, or one that demands certificates of its clients.
    ///
    /// ## Remedy
    ///
    /// Offer TLS 1.2 and 1.3 with ECDHE key exchange, and demand no certificate on port 25.
    ///
    /// - Postfix: `smtpd_tls_protocols = >=TLSv1.2` on Postfix 3.6 or later; leave `smtpd_tls_ciphers` at `medium`.
    /// - Exim: with OpenSSL, `openssl_options = +no_sslv2 +no_sslv3 +no_tlsv1 +no_tlsv1_1`; with GnuTLS, remove
    ///   limits from `tls_require_ciphers`.
    /// - Exchange: TLS 1.2 must be on in Schannel, under `SCHANNEL\Protocols\TLS 1.2\Server` of the registry.
    ///
    /// ## References
    ///
    /// - RFC 8446, 6.2
    /// - RFC 8996
    /// - RFC 9325, 3.1.1
    "tls-handshake-refused" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    let outcome = each_view(context, |view| match Offer::of(view) {
        Offer::Unknown(why) => Outcome::Undetermined(why),
        Offer::Absent | Offer::Masked(_) => Outcome::NotApplicable("STARTTLS is not offered".to_owned()),
        Offer::Offered => match (&view.session.starttls, &view.session.tls) {
            // In TLS 1.3 a server that demands a client certificate says so after the handshake (RFC 8446, 4.4.2.4).
            (_, Observed::Seen(_)) => match &view.session.ehlo_after {
                Observed::Failed(Failure::Tls(why)) => match alert(why) {
                    Some(alert) => Outcome::Violated(vec![refusal(why, alert)]),
                    None => Outcome::Passed(String::new()),
                },
                _ => Outcome::Passed(String::new()),
            },
            (Observed::Seen(reply), Observed::Failed(Failure::Tls(why))) if reply.is_positive() => match alert(why) {
                // Other senders offer more than this checker; only that it offers too little is known.
                Some("handshake_failure" | "insufficient_security") => Outcome::Undetermined(format!(
                    "{} shares no cipher suite or group with this checker, which offers TLS 1.2 and 1.3 with ECDHE and AEAD on x25519, \
                     P-256 and P-384: {}",
                    view.address,
                    short(why)
                )),
                Some(alert) => {
                    Outcome::Violated(vec![refusal(why, alert).evidence(format!("reply to STARTTLS: {}", short(&reply.to_string())))])
                }
                None if why == OLDER_VERSION => {
                    let violation = Violation::new("the server answers with a version of TLS below 1.2".to_owned());
                    Outcome::Violated(vec![violation.evidence(format!("reply to STARTTLS: {}", short(&reply.to_string())))])
                }
                None => Outcome::Undetermined(format!("nothing came of the TLS handshake with {}: {}", view.address, short(why))),
            },
            (_, tls) => Outcome::Undetermined(format!("the TLS handshake with {} was not finished: {}", view.address, why_not(view, tls))),
        },
    });
    match outcome {
        Outcome::Passed(_) => Outcome::Passed(works(context)),
        other => other,
    }
}

/// How this end gives up where the server chose an older version, as those do that know no newer way to refuse.
const OLDER_VERSION: &str = "peer is incompatible: ServerDoesNotSupportTls12Or13";

fn refusal(why: &str, alert: &str) -> Violation {
    Violation::new(match alert {
        "certificate_required" => format!("the server demands a client certificate: {}", short(why)),
        _ => format!("the server refuses the TLS handshake: {}", short(why)),
    })
}

/// The alert that the server sent, by its name in RFC 8446, 6; none where this end gave up.
fn alert(why: &str) -> Option<&str> {
    why.strip_prefix("the server sent the alert ")
}

/// Where STARTTLS was seen to work.
fn works(context: &Context) -> String {
    let finished: Vec<&View> = tried(context).map(|(_, view)| view).filter(|view| view.session.tls.seen().is_some()).collect();
    let vantage_points = finished.iter().map(|view| view.vantage_text()).collect::<BTreeSet<_>>().len();
    let addresses = finished.iter().map(|view| view.address).collect::<BTreeSet<_>>().len();
    let at = if addresses > 1 { format!(" at {addresses} addresses") } else { String::new() };
    match vantage_points {
        1 => format!("STARTTLS is offered and works{at} from one vantage point"),
        count => format!("STARTTLS is offered and works{at} from {count} vantage points"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind, messages};

    fn failed(why: &str) -> Failure {
        Failure::Tls(why.to_owned())
    }

    #[rstest]
    #[case("the server sent the alert protocol_version")]
    #[case("the server sent the alert internal_error")]
    fn an_alert_is_a_refusal(#[case] why: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failed(why)));
        assert_eq!(messages(&outcome), [format!("the server refuses the TLS handshake: {why}")]);
    }

    /// It may offer suites and groups that other senders know; or this end gave up.
    #[rstest]
    #[case("the server sent the alert handshake_failure")]
    #[case("the server sent the alert insufficient_security")]
    #[case("peer misbehaved: TooManyWarningAlertsReceived")]
    #[case("received corrupt message of type InvalidContentType")]
    fn what_this_checker_cannot_do_is_no_refusal(#[case] why: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failed(why)));
        assert_eq!(kind(&outcome), "undetermined");
    }

    #[test]
    fn an_alert_after_the_handshake_is_a_refusal_too() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.ehlo_after = Observed::Failed(failed("the server sent the alert certificate_required"));
        });
        assert_eq!(messages(&outcome), ["the server demands a client certificate: the server sent the alert certificate_required"]);
    }

    /// After the handshake only an alert is an answer to it.
    #[test]
    fn other_troubles_after_the_handshake_are_not_its_own() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.ehlo_after = Observed::Failed(failed("received corrupt message of type InvalidContentType"));
        });
        assert_eq!(kind(&outcome), "passed");
    }

    /// OpenSSL before 1.1.1 ignores `supported_versions` and chooses what it knows. The words are rustls's own.
    #[test]
    fn an_older_version_is_a_refusal() {
        use rustls::{Error, PeerIncompatible};
        let why = Error::from(PeerIncompatible::ServerDoesNotSupportTls12Or13).to_string();
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failed(&why)));
        assert_eq!(messages(&outcome), ["the server answers with a version of TLS below 1.2"]);
    }

    #[rstest]
    #[case(Failure::Closed)]
    #[case(Failure::Reset)]
    #[case(Failure::TimedOut { millis: 30_000 })]
    fn a_drop_shows_nothing(#[case] failure: Failure) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.tls = Observed::Failed(failure));
        assert_eq!(kind(&outcome), "undetermined");
    }

    #[test]
    fn a_finished_handshake_passes_with_the_count() {
        let world = World::correct();
        let words = |count| world.judge_from(count, &RULE, |_| {});
        assert_eq!(words(1), Outcome::Passed("STARTTLS is offered and works from one vantage point".to_owned()));
        assert_eq!(words(2), Outcome::Passed("STARTTLS is offered and works from 2 vantage points".to_owned()));
    }

    #[test]
    fn without_an_offer_it_does_not_apply() {
        let outcome = World::correct().judge_from(1, &RULE, |views| World::without_starttls(&mut views[0]));
        assert_eq!(kind(&outcome), "not-applicable");
    }
}
