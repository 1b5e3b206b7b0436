use super::{Offer, accepted, count, dialogs, not_finished};
use crate::{
    facts::{Failure, Observed, Session, Turns, View},
    rules::{Context, Outcome, ResultType, Violation, each_view, rule, short},
    smtp::Reply,
    wire::WireText,
};

rule! {
    /// After its 220 the server goes on in the clear.
    ///
    /// ## What it checks
    ///
    /// With the reply to STARTTLS, or right behind it, more bytes come before the client has begun the handshake, in any connection. A 421 there
    /// asks to come back later, and what begins like a record of TLS is no clear text: neither is meant.
    ///
    /// ## Why it matters
    ///
    /// A client that takes them for TLS breaks off. One that keeps them for later is open to an attack: whoever stands in
    /// between puts replies there, and the client believes that they came inside TLS. This checker does not go on. Either
    /// the server or a proxy says more than it should, or somebody attacks.
    ///
    /// ## Remedy
    ///
    /// Ask again from another network. If it is the same from there, update the server or the proxy before it: after 220
    /// nothing may be sent but TLS. None of the usual mail servers does so by itself; look at what stands in front.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4 and 6
    "data-before-handshake" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::StarttlsNotSupported) }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match (Offer::of(view), &view.session.starttls, &view.session.tls) {
        (Offer::Unknown(why), ..) => Outcome::Undetermined(why),
        (Offer::Absent | Offer::Masked(_), ..) => Outcome::NotApplicable("STARTTLS is not offered".to_owned()),
        _ if let Some((reply, text)) = dialogs(view).find_map(|(session, _)| in_clear(session)) => {
            let turns = turns(view);
            let of_how_many = match turns.is_mixed() {
                true => format!(", in {} of {} connections", turns.no, turns.all()),
                false => String::new(),
            };
            let violation = Violation::new(match reply.code {
                220 => format!("the server goes on in the clear after it said that TLS may begin{of_how_many}"),
                code => format!("the server answers STARTTLS with {code} where 220 is due, and goes on in the clear{of_how_many}"),
            });
            let violation = violation.evidence(format!("reply to STARTTLS: {}", short(&reply.to_string())));
            Outcome::Violated(vec![violation.evidence(format!("what came behind it: {}", short(text.as_str())))])
        }
        (_, Observed::Seen(reply), _) if !reply.is_positive() => Outcome::NotApplicable("the server refuses STARTTLS".to_owned()),
        // What came began with TLS, whatever became of it.
        (_, Observed::Seen(_), Observed::Seen(_) | Observed::Failed(Failure::Tls(_))) => Outcome::Passed(String::new()),
        (_, Observed::Seen(_), _) if view.session.certificates.seen().is_some() => Outcome::Passed(String::new()),
        // Clear text may have been cut short, scrambled or lost on the way.
        (_, Observed::Seen(_), unseen) => Outcome::Undetermined(not_finished(view, unseen)),
        (_, unseen, _) => Outcome::Undetermined(format!("STARTTLS was not answered: {}", short(&unseen.why_not()))),
    })
}

/// In how many connections that were accepted nothing was said in the clear behind that, and in how many something.
pub(super) fn turns(view: &View) -> Turns {
    let no = count(view, |session| in_clear(session).is_some());
    Turns { yes: accepted(view).saturating_sub(no), no }
}

/// What was said in the clear behind the reply to STARTTLS, and that reply.
fn in_clear(session: &Session) -> Option<(&Reply, &WireText)> {
    let Observed::Failed(failure) = &session.tls else { return None };
    Some((session.starttls.seen()?, failure.in_clear()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Beginning,
        rules::test_facts::{World, kind, messages},
    };

    #[test]
    fn only_what_comes_behind_the_220_counts() {
        let judge = |failure: Failure| {
            World::correct().judge_from(1, &RULE, |views| {
                views[0].session.tls = Observed::Failed(failure);
                views[0].session.certificates = Observed::NotAttempted(String::new());
            })
        };
        assert_eq!(kind(&judge(Failure::Unsolicited("250 injected".into()))), "violated");
        assert_eq!(kind(&judge(Failure::NotTls("250 2.0.0 Ok\r\n".into()))), "violated");
        assert_eq!(kind(&judge(Failure::NotTls("421 4.3.2 closing\r\n".into()))), "undetermined");
        assert_eq!(kind(&judge(Failure::Unsolicited("421 4.3.2 closing\r\n".into()))), "undetermined");
        assert_eq!(kind(&judge(Failure::NotTls("GET / HTTP/1.1".into()))), "undetermined");
        assert_eq!(kind(&judge(Failure::Closed)), "undetermined");
        assert_eq!(kind(&judge(Failure::Tls("the server sent the alert handshake_failure".to_owned()))), "passed");
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }

    /// The session saw nothing of it, and what was asked besides did.
    #[test]
    fn it_counts_in_every_connection() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let tls = Observed::Failed(Failure::Unsolicited("250 injected".into()));
            let session = Session { tls, ..views[0].session.clone() };
            views[0].beginnings.ready = 20;
            views[0].beginnings.others = vec![Beginning { times: 20, first: 2, session }];
        });
        let expected = "the server goes on in the clear after it said that TLS may begin, in 20 of 41 connections";
        assert_eq!(messages(&outcome), [expected]);
    }
}
