use super::{Offer, PutOff, answers, put_off};
use crate::{
    facts::{Failure, Observed, Turns},
    rules::{Context, Outcome, ResultType, Violation, each_view, rule, short, why_not},
};

rule! {
    /// STARTTLS is offered, and refused when asked for.
    ///
    /// ## What it checks
    ///
    /// The reply to EHLO lists STARTTLS, and the reply to the command STARTTLS is 454 or a permanent
    /// refusal, in each of several connections or in some of them. A 421, or whatever speaks of too many sessions, asks to
    /// come back later and is no refusal; other temporary replies say nothing about TLS, and leave it open. So do words about
    /// the client itself, whatever their code: a list that its address is on, or the name that DNS has not for it. Where some
    /// connections are put off and others are not, it stays open too, unless a limit explains it: that lets a client in first.
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
            (_, Observed::Seen(_)) if let Some(PutOff { turns, reply }) = put_off(view) => Outcome::Undetermined(format!(
                "STARTTLS is put off in {} of {} connections: {}",
                turns.no,
                turns.all(),
                short(&reply.to_string())
            )),
            (_, Observed::Seen(reply)) if reply.is_positive() => Outcome::Passed(String::new()),
            (_, Observed::Seen(reply)) if reply.turns_the_client_away() => {
                Outcome::Undetermined(short(&Failure::Blocked(reply.clone()).to_string()))
            }
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
        facts::{Beginning, Beginnings, Session},
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
    #[case(550, "5.7.1 Service unavailable, Client host [192.0.2.1] blocked using zen.spamhaus.org", "undetermined")]
    #[case(554, "5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied", "undetermined")]
    #[case(450, "4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", "undetermined")]
    #[case(550, "5.7.0 rate limit exceeded", "undetermined")]
    #[case(554, "5.7.1 Too many connections, slow down", "undetermined")]
    #[case(550, "5.7.0 TLS is blocked by policy", "violated")]
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
            let starttls = Observed::Seen(reply(454, "4.7.0 TLS not available"));
            let session = Session { starttls, ..views[0].session.clone() };
            views[0].beginnings = Beginnings { ready: 20, others: vec![Beginning { times: 9, first: 4, session }], ..Beginnings::default() };
        });
        assert_eq!(messages(&outcome), ["STARTTLS is offered, and refused in 9 of 30 connections"]);
        assert!(format!("{outcome:?}").contains("reply to STARTTLS: 454 4.7.0 TLS not available"));
    }

    /// What puts off in turns is no limit that a client meets by coming often; who has met one was let in first, or is not again.
    #[rstest]
    #[case::without_words(451, "4.3.0 local error", 2, 40, "undetermined")]
    #[case::without_words_and_late(451, "4.3.0 local error", 12, 11, "undetermined")]
    #[case::in_turns(454, "4.7.0 Error: too many new TLS sessions from 192.0.2.1", 2, 40, "undetermined")]
    #[case::a_limit(454, "4.7.0 Error: too many new TLS sessions from 192.0.2.1", 12, 40, "passed")]
    #[case::a_limit_that_lasts(454, "4.7.0 Error: too many new TLS sessions from 192.0.2.1", 3, 2, "passed")]
    #[case::listed_in_turns(550, "5.7.1 Your IP is on our blocklist", 2, 40, "undetermined")]
    #[case::listed_meanwhile(550, "5.7.1 Your IP is on our blocklist", 9, 8, "passed")]
    fn who_is_put_off_in_turns(
        #[case] code: u16,
        #[case] text: &str,
        #[case] first: u32,
        #[case] last_ready: u32,
        #[case] expected: &str,
        #[values(4, 20)] times: u32,
    ) {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let session = Session { starttls: Observed::Seen(reply(code, text)), ..views[0].session.clone() };
            let others = vec![Beginning { times, first, session }];
            views[0].beginnings = Beginnings { ready: 20, last_ready, others, ..Beginnings::default() };
        });
        assert_eq!(kind(&outcome), expected);
        if expected == "undetermined" {
            let count = format!("put off in {times} of {} connections: {code}", times + 21);
            assert!(format!("{outcome:?}").contains(&count), "{outcome:?}");
        }
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
