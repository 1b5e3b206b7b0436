use super::{Offer, not_finished};
use crate::{
    facts::{Failure, Observed},
    rules::{Context, Outcome, ResultType, Violation, each_view, rule, short},
};

rule! {
    /// After its 220 the server goes on in the clear.
    ///
    /// ## What it checks
    ///
    /// With the reply to STARTTLS, or right behind it, more bytes come before the client has begun the handshake. A 421 there
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
        (_, Observed::Seen(reply), Observed::Failed(failure)) if let Some(text) = failure.in_clear() => {
            let violation = Violation::new(match reply.code {
                220 => "the server goes on in the clear after it said that TLS may begin".to_owned(),
                code => format!("the server answers STARTTLS with {code} where 220 is due, and goes on in the clear"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{World, kind};

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
}
