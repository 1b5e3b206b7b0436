use crate::{
    facts::{Session, Speaker},
    rules::{Context, Outcome, Violation, each_view, rule},
};

/// What is told of, in seconds: clients that wait less than each of them go away.
const STEPS: [u64; 4] = [60, 30, 10, 5];

rule! {
    /// The greeting takes its time.
    ///
    /// ## What it checks
    ///
    /// The greeting is complete only five seconds or more after the connection was opened.
    ///
    /// ## Why it matters
    ///
    /// RFC 5321 has clients wait for five minutes, and mail servers do. Many a checker, monitor and firewall does not, and
    /// calls the server dead or without TLS. Waiting is a filter of spam that some servers use on purpose.
    ///
    /// ## Remedy
    ///
    /// Nothing needs to be done where it is on purpose. Else look for slow lookups of DNS and block lists.
    ///
    /// - Postfix: `postscreen_greet_wait`; sleeps in `smtpd_client_restrictions` and slow entries there.
    /// - Exim: a `delay` in `acl_smtp_connect`, and `rfc1413_query_timeout = 0s`.
    /// - Sendmail: `greet_pause`, and `confTO_IDENT` at 0.
    /// - OpenSMTPD: slow filters in the `connect` phase.
    /// - Exchange: `TarpitInterval` of the receive connector; slow DNS.
    ///
    /// ## References
    ///
    /// - RFC 5321, 4.5.3.2.1
    "slow-greeting" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| {
        let Some(millis) = greeted_after(&view.session) else {
            return Outcome::Undetermined(format!("there was no greeting: {}", crate::rules::why_not(view, &view.session.greeting)));
        };
        match STEPS.into_iter().find(|step| millis >= step * 1000) {
            Some(step) => Outcome::Violated(vec![Violation::new(format!("the greeting comes after more than {step} s"))]),
            None => Outcome::Passed(String::new()),
        }
    })
}

/// When the last line of the greeting came, in milliseconds after the connection was opened.
fn greeted_after(session: &Session) -> Option<u64> {
    let lines = session.greeting.seen()?.lines.len();
    let mut said = session.transcript.iter().filter(|line| line.from == Speaker::Server);
    // Reports without a transcript tell nothing of time.
    Some(said.nth(lines.saturating_sub(1)).map_or(0, |line| line.millis))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Line,
        rules::test_facts::{World, kind, messages},
    };

    #[rstest]
    #[case(4_999, None)]
    #[case(5_000, Some("the greeting comes after more than 5 s"))]
    #[case(31_000, Some("the greeting comes after more than 30 s"))]
    fn seconds_count(#[case] millis: u64, #[case] expected: Option<&str>) {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.transcript = vec![Line { from: Speaker::Server, text: "220 mx".into(), millis }];
        });
        match expected {
            Some(message) => assert_eq!(messages(&outcome), [message]),
            None => assert_eq!(kind(&outcome), "passed"),
        }
    }
}
