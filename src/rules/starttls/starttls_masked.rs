use super::{Offer, accepted, at_the_server, count, dialogs, masked_starttls};
use crate::{
    facts::View,
    rules::{Context, Outcome, ResultType, Violation, each_view, rule},
};

rule! {
    /// A middlebox hides STARTTLS.
    ///
    /// ## What it checks
    ///
    /// STARTTLS is not in the reply to EHLO, and the dialog bears the mark of a Cisco ASA or PIX that
    /// inspects SMTP: a keyword of seven X and one more letter, or of eight asterisks; or STARTTLS, sent all the same, reached the server as
    /// XXXX, which may be so though the keyword is there; or EHLO itself
    /// did not get through, and the greeting is one of asterisks. A greeting of asterisks before keywords that can be read is no such mark.
    ///
    /// ## Why it matters
    ///
    /// The server offers TLS and nobody behind that firewall can use it: mail is sent in clear text, or
    /// not at all. The server's own logs and settings look right.
    ///
    /// ## Remedy
    ///
    /// Let the firewall pass TLS, or do not let it inspect SMTP. The firewall may be on either side.
    ///
    /// - Cisco ASA: `allow-tls` under `parameters` of the `policy-map type inspect esmtp`, or
    ///   `no inspect esmtp` in the global policy.
    ///
    /// ## References
    ///
    /// - RFC 3207, 6
    /// - Cisco ASA Series Firewall CLI Configuration Guide, SMTP and Extended SMTP Inspection
    "starttls-masked" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match Offer::of(view) {
        Offer::Masked(mark) if masked_starttls(&view.session).is_some() => Outcome::Violated(vec![written_over(view, mark)]),
        Offer::Offered if let Some(reply) = dialogs(view).find_map(|(session, _)| masked_starttls(session)) => {
            Outcome::Violated(vec![written_over(view, at_the_server(reply))])
        }
        Offer::Masked(mark) => {
            let from = view.vantage_text();
            let violation = Violation::new("a middlebox inspects SMTP, and STARTTLS is not to be seen behind it").evidence(format!("from {from}: {mark}"));
            Outcome::Violated(vec![violation])
        }
        Offer::Unknown(why) => Outcome::Undetermined(why),
        Offer::Offered | Offer::Absent => Outcome::Passed(String::new()),
    })
}

/// The keyword passes, and the command does not.
fn written_over(view: &View, mark: String) -> Violation {
    let times = count(view, |session| masked_starttls(session).is_some());
    let violation = Violation::new(match accepted(view) {
        0 => "STARTTLS is offered, and a middlebox that inspects SMTP writes over the command".to_owned(),
        yes => format!("a middlebox that inspects SMTP writes over the command STARTTLS in {times} of {} connections", times + yes),
    });
    violation.evidence(format!("from {}: {mark}", view.vantage_text()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Beginning, Observed, Session},
        rules::test_facts::{World, ehlo, kind, messages, reply},
    };

    #[rstest]
    #[case("mx.example.test ESMTP", &["PIPELINING", "XXXXXXXA"], "violated")]
    #[case("**************************", &["PIPELINING", "XXXXXXXA"], "violated")]
    #[case("**************************", &["PIPELINING"], "passed")]
    #[case("**************************", &["STARTTLS"], "passed")]
    #[case("mx.example.test ESMTP", &["XXXXXXXA", "STARTTLS"], "passed")]
    #[case("mx.example.test ESMTP", &["PIPELINING"], "passed")]
    #[case("mx.example.test ESMTP", &["PIPELINING", "XXXA"], "passed")]
    fn the_mark_counts_where_starttls_is_missing(#[case] greeting: &str, #[case] keywords: &[&str], #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session = Session {
                connection: views[0].session.connection.clone(),
                greeting: Observed::Seen(reply(220, greeting)),
                ehlo: ehlo("mx.example.test", keywords),
                ..Session::not_attempted("STARTTLS is not offered")
            };
        });
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn the_command_is_written_over_though_the_keyword_is_there() {
        let masked = Observed::Seen(reply(500, "5.5.1 Command unrecognized: \"XXXXXXXX\""));
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.starttls = masked.clone();
            views[0].session.tls = Observed::NotAttempted("refused".to_owned());
        });
        assert_eq!(messages(&outcome), ["STARTTLS is offered, and a middlebox that inspects SMTP writes over the command"]);
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].beginnings.ready = 9;
            let session = Session { starttls: masked.clone(), ..views[0].session.clone() };
            views[0].beginnings.others = vec![Beginning { times: 10, first: 2, session }];
        });
        let expected = "a middlebox that inspects SMTP writes over the command STARTTLS in 10 of 20 connections";
        assert_eq!(messages(&outcome), [expected]);
    }
}
