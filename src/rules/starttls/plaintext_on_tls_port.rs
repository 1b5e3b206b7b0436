use crate::{
    facts::Observed,
    rules::{Context, Outcome, ResultType, Violation, each_view, rule, short},
};

rule! {
    /// The port for TLS speaks in the clear.
    ///
    /// ## What it checks
    ///
    /// On port 465 the server does not answer a ClientHello, and greets a client that says nothing.
    ///
    /// ## Why it matters
    ///
    /// Clients of that port begin with TLS and never get an answer. Those that go on in the clear all the same send
    /// passwords for everyone to read.
    ///
    /// ## Remedy
    ///
    /// Begin with TLS on port 465, or close it; STARTTLS belongs to port 587.
    ///
    /// - Postfix: `-o smtpd_tls_wrappermode=yes` at the service `smtps` in master.cf.
    /// - Exim: `tls_on_connect_ports = 465`.
    /// - Sendmail: `M=s` in `DAEMON_OPTIONS` of that port.
    /// - OpenSMTPD: `smtps` instead of `tls` in the `listen` line.
    /// - Exchange: does not offer that port for mail clients; look at the proxy before it.
    ///
    /// ## References
    ///
    /// - RFC 8314, 3.3
    "plaintext-on-tls-port" { practice: OpportunisticTls, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    if !context.facts.target.is_implicit() {
        return Outcome::NotApplicable("TLS does not begin with the first byte on this port".to_owned());
    }
    each_view(context, |view| match &view.session.tls {
        Observed::Seen(_) => Outcome::Passed(String::new()),
        // Only who is ready to go on in the clear is no TLS server: a limiter before one turns away in the clear, too.
        Observed::Failed(failure) if let Some(greeting) = failure.in_clear().filter(|text| text.as_str().starts_with('2')) => {
            Outcome::Violated(vec![Violation::new("the server speaks in the clear").evidence(format!("it says first: {}", short(greeting.as_str())))])
        }
        Observed::Failed(failure) => Outcome::Undetermined(format!("whether TLS begins with the first byte is not known: {failure}")),
        Observed::NotAttempted(why) => Outcome::Undetermined(why.clone()),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{facts::Failure, rules::test_facts::{World, kind}};

    #[rstest]
    #[case(465, None, "passed")]
    #[case(465, Some(Failure::Unsolicited("220 mx".into())), "violated")]
    #[case(465, Some(Failure::NotTls("220 mx".into())), "violated")]
    #[case(465, Some(Failure::NotTls("421 4.7.0 too many".into())), "undetermined")]
    #[case(465, Some(Failure::NotTls("SSH-2.0".into())), "undetermined")]
    #[case(465, Some(Failure::Closed), "undetermined")]
    #[case(25, Some(Failure::Unsolicited("220 mx".into())), "not-applicable")]
    fn only_a_greeting_shows_it(#[case] port: u16, #[case] failure: Option<Failure>, #[case] expected: &str) {
        let world = World::correct();
        let mut facts = world.facts(1);
        facts.target.port = port;
        if let Some(failure) = failure {
            facts.views[0].session.tls = Observed::Failed(failure);
        }
        assert_eq!(kind(&RULE.judge(&world.context(&facts))), expected);
    }
}
