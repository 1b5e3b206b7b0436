use super::Offer;
use crate::{
    facts::{Observed, Session},
    rules::{Context, Outcome, Violation, each_view, rule, short},
    smtp::Reply,
};

rule! {
    /// STARTTLS is taken, though it is not offered.
    ///
    /// ## What it checks
    ///
    /// The reply to EHLO does not list STARTTLS, and the command is answered with 220. Who answers HELP with 220 as well says
    /// so to anything, and it is left open.
    ///
    /// ## Why it matters
    ///
    /// No sender uses what is not offered, so mail comes in clear text. TLS itself is set up: only the keyword is missing,
    /// by a setting of the server, or because something on the way takes it out of the reply.
    ///
    /// ## Remedy
    ///
    /// Offer it, or let nothing between take it away.
    ///
    /// - Postfix: `postconf -X smtpd_discard_ehlo_keywords smtpd_discard_ehlo_keyword_address_maps`.
    /// - Exim: `tls_advertise_hosts = *`.
    /// - Sendmail: no `S` for the clients in `Srv_Features` of the access map.
    /// - Exchange: `Tls` in the `AuthMechanism` of the receive connector.
    /// - Between them: an inspecting firewall or a proxy that edits replies; ask again from inside of it.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4 and 6
    "starttls-hidden" { practice: OpportunisticTls, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match (Offer::of(view), &view.session.unoffered_starttls) {
        (Offer::Unknown(why), _) => Outcome::Undetermined(why),
        (Offer::Offered, _) => Outcome::NotApplicable("STARTTLS is offered".to_owned()),
        (_, Observed::Seen(reply)) if reply.code != 220 => Outcome::Passed(String::new()),
        (_, Observed::Seen(reply)) => match says_it_to_anything(&view.session) {
            None => Outcome::Violated(vec![violation(reply)]),
            Some(help) => Outcome::Undetermined(format!("220 answers STARTTLS, and HELP as well: {}", short(&help.to_string()))),
        },
        (_, unseen) => Outcome::NotApplicable(format!("the command was not tried: {}", short(&unseen.why_not()))),
    })
}

/// What is said to HELP, where that is 220 as well: whatever such a server says to STARTTLS proves nothing.
pub(super) fn says_it_to_anything(session: &Session) -> Option<&Reply> {
    session.help.seen().filter(|reply| reply.code == 220)
}

fn violation(reply: &Reply) -> Violation {
    let violation = Violation::new("STARTTLS is not offered, and taken all the same");
    violation.evidence(format!("reply to STARTTLS: {}", short(&reply.to_string())))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind, reply};

    #[rstest]
    #[case(220, "violated")]
    #[case(502, "passed")]
    fn the_command_tells(#[case] code: u16, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            World::without_starttls(&mut views[0]);
            views[0].session.unoffered_starttls = Observed::Seen(reply(code, "words"));
        });
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn who_says_220_to_anything_is_not_believed() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            World::without_starttls(&mut views[0]);
            views[0].session.help = Observed::Seen(reply(220, "ok"));
            views[0].session.unoffered_starttls = Observed::Seen(reply(220, "ok"));
        });
        assert_eq!(kind(&outcome), "undetermined");
    }

    #[test]
    fn where_it_is_offered_it_does_not_apply() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "not-applicable");
        assert_eq!(kind(&World::correct().judge_from(1, &RULE, |views| World::without_starttls(&mut views[0]))), "not-applicable");
    }
}
