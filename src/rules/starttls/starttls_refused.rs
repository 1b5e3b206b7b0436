use super::{Offer, answers};
use crate::{
    facts::{Observed, Turns},
    rules::{Context, Outcome, ResultType, Violation, each_view, rule, short, why_not},
};

rule! {
    /// STARTTLS is offered, and refused when asked for.
    ///
    /// ## What it checks
    ///
    /// The reply to EHLO lists STARTTLS, and the reply to the command STARTTLS is 454 or a permanent
    /// refusal, in each of several connections or in some of them. A 421, or a 454 that speaks of too many sessions, asks to
    /// come back later and is no refusal; other temporary replies say nothing about TLS, and leave it open.
    ///
    /// ## Why it matters
    ///
    /// Opportunistic senders go on in clear text or try again without TLS; others defer the mail.
    /// The usual cause is a certificate or key that the server cannot read.
    ///
    /// ## Remedy
    ///
    /// Look into the server's log at the time of the refusal.
    ///
    /// - Postfix: 454 means that the TLS engine could not start, and the log says why: no key and certificate,
    ///   `smtpd_tls_chain_files = /etc/postfix/chain.pem`, a file that cannot be read, or a key that does not
    ///   belong to the certificate.
    /// - Exim: 454 likewise; `tls_certificate` and `tls_privatekey` must be readable by the Exim user.
    /// - Sendmail: 454 likewise; `STARTTLS=server, error` in the log says which file.
    /// - Exchange: the service account must be able to read the private key; import certificate and key anew.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4
    /// - RFC 8460, 4.3.1
    "starttls-refused" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match Offer::of(view) {
        Offer::Unknown(why) => Outcome::Undetermined(why),
        Offer::Absent | Offer::Masked(_) => Outcome::NotApplicable("STARTTLS is not offered".to_owned()),
        Offer::Offered => match (answers(view), &view.session.starttls) {
            ((Turns { yes, no }, Some(reply)), _) => {
                let violation = Violation::new(match yes {
                    0 => "STARTTLS is offered, and refused when asked for".to_owned(),
                    _ => format!("STARTTLS is offered, and refused in {no} of {} connections", yes + no),
                });
                Outcome::Violated(vec![violation.evidence(format!("reply to STARTTLS: {}", short(&reply.to_string())))])
            }
            (_, Observed::Seen(reply)) if reply.is_positive() => Outcome::Passed(String::new()),
            (_, Observed::Seen(reply)) if reply.asks_to_come_back() => {
                Outcome::Undetermined(format!("the server asks to come back later: {}", short(&reply.to_string())))
            }
            (_, Observed::Seen(reply)) => Outcome::Undetermined(format!(
                "STARTTLS is put off with another reply than 454 (RFC 3207, 4), which says nothing about TLS: {}",
                short(&reply.to_string())
            )),
            (_, other) => Outcome::Undetermined(format!("no reply to STARTTLS was seen: {}", why_not(view, other))),
        },
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Depth, Failure, Offers},
        rules::test_facts::{World, kind, messages, reply},
    };

    #[rstest]
    #[case(220, "2.0.0 Ready to start TLS", "passed")]
    #[case(454, "4.7.0 TLS not available due to local problem", "violated")]
    #[case(502, "5.5.1 command not implemented", "violated")]
    #[case(554, "5.7.0 no", "violated")]
    #[case(354, "go ahead", "violated")]
    #[case(250, "ok", "passed")]
    #[case(454, "4.3.0 TLS not available: too many open files", "violated")]
    #[case(421, "4.7.0 too many connections", "undetermined")]
    #[case(451, "4.3.0 later", "undetermined")]
    #[case(450, "4.2.0 mailbox busy", "undetermined")]
    #[case(454, "4.7.0 Error: too many new TLS sessions from mx.other.test", "undetermined")]
    fn replies_are_told_apart(#[case] code: u16, #[case] text: &str, #[case] expected: &str) {
        let answer = Observed::Seen(reply(code, text));
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.starttls = answer);
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn the_reply_is_quoted() {
        let answer = Observed::Seen(reply(454, "4.7.0 TLS not available due to local problem"));
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.starttls = answer);
        assert!(format!("{outcome:?}").contains("reply to STARTTLS: 454 4.7.0 TLS not available due to local problem"));
    }

    #[test]
    fn refusals_in_some_connections_are_counted() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let mut refused = views[0].session.clone();
            refused.starttls = Observed::Seen(reply(454, "4.7.0 TLS not available"));
            views[0].earlier = vec![refused];
        });
        assert_eq!(messages(&outcome), ["STARTTLS is offered, and refused in 1 of 2 connections"]);
    }

    /// The session was taken, and what was asked besides was not always.
    #[test]
    fn refusals_besides_the_session_are_counted() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let refusal = Some(reply(454, "4.7.0 TLS not available"));
            views[0].offers = Observed::Seen(Offers { accepted: Turns { yes: 20, no: 9 }, refusal, ..Offers::unasked(Depth::Standard) });
        });
        assert_eq!(messages(&outcome), ["STARTTLS is offered, and refused in 9 of 30 connections"]);
        assert!(format!("{outcome:?}").contains("reply to STARTTLS: 454 4.7.0 TLS not available"));
    }

    #[test]
    fn silence_is_no_refusal_and_no_offer_is_another_rule() {
        let silence = Observed::Failed(Failure::TimedOut { millis: 30_000 });
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.starttls = silence);
        assert_eq!(kind(&outcome), "undetermined");
        let outcome = World::correct().judge_from(1, &RULE, |views| World::without_starttls(&mut views[0]));
        assert_eq!(kind(&outcome), "not-applicable");
    }
}
