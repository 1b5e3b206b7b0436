use crate::{
    facts::{Injection, Observed},
    rules::{Context, Outcome, Violation, each_view, handshake::passed, rule, short},
};

rule! {
    /// Commands from before TLS are carried out inside it.
    ///
    /// ## What it checks
    ///
    /// Only with `--active`: NOOP is sent in one piece with STARTTLS. The server must forget it; this one answers it inside
    /// TLS, be it with a refusal, or in the clear after its 220. Where no answer comes in time, EHLO follows: one that
    /// gets two replies was only slow.
    ///
    /// ## Why it matters
    ///
    /// Whoever stands between puts commands in front of those of the client, and the server takes them for the client's own:
    /// a message goes to the attacker's mailbox, or under the client's name to others.
    ///
    /// ## Remedy
    ///
    /// Update the server: all of them have mended it, most in 2011.
    ///
    /// - Postfix, Exim: Postfix 2.8.2, 2.7.3, 2.6.9 or 2.5.12 and later; Exim was not affected.
    /// - Sendmail, OpenSMTPD: any version that is still maintained.
    /// - Exchange: not affected; look at the proxy before it.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4.2 and 6
    /// - CVE-2011-0411
    "command-injection" { practice: OpportunisticTls, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match &view.injection {
        Observed::Seen(Injection::Discarded | Injection::BrokeOff) => passed(),
        Observed::Seen(Injection::AnsweredInTls(answer)) => violated("inside TLS", answer.as_str()),
        Observed::Seen(Injection::AnsweredInClear(answer)) => violated("in the clear, after the 220", answer.as_str()),
        Observed::Failed(failure) => {
            Outcome::Undetermined(format!("what becomes of a command that comes with STARTTLS is not known: {failure}"))
        }
        Observed::NotAttempted(why) => Outcome::NotApplicable(why.clone()),
    })
}

fn violated(place: &str, answer: &str) -> Outcome {
    let violation = Violation::new(format!("a command that came with STARTTLS in one piece is answered {place}"));
    Outcome::Violated(vec![violation.evidence(format!("the answer to NOOP: {}", short(answer)))])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Failure,
        rules::test_facts::{World, kind},
    };

    #[rstest]
    #[case(Observed::Seen(Injection::Discarded), "passed")]
    #[case(Observed::Seen(Injection::BrokeOff), "passed")]
    #[case(Observed::Seen(Injection::AnsweredInTls("250 Ok".into())), "violated")]
    #[case(Observed::Seen(Injection::AnsweredInClear("250 Ok".into())), "violated")]
    #[case(Observed::Failed(Failure::Closed), "undetermined")]
    fn an_answer_shows_it(#[case] injection: Observed<Injection>, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].injection = injection);
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn nobody_is_attacked_unasked() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "not-applicable");
    }
}
