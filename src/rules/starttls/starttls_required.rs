use crate::{
    facts::Observed,
    rules::{Context, Outcome, Violation, each_view, rule, short},
    smtp::Reply,
};

rule! {
    /// Mail is refused without TLS.
    ///
    /// ## What it checks
    ///
    /// From `--probe standard` on: MAIL is sent in the clear, and the server answers that STARTTLS comes first. No recipient is
    /// named and no message follows. Ports other than 25 are not for everyone, and not meant.
    ///
    /// ## Why it matters
    ///
    /// A server that DNS names for everybody must not insist: senders without TLS, and those whose TLS has nothing in common
    /// with the server's, cannot deliver at all. Between partners who agreed on it, it is right.
    ///
    /// ## Remedy
    ///
    /// Offer TLS to everyone and insist on it for named partners only; MTA-STS and DANE let those insist who can.
    ///
    /// - Postfix: `smtpd_tls_security_level = may`; for partners `reject_plaintext_session` in a restriction class.
    /// - Exim: no `encrypted = *` for all hosts in `acl_smtp_mail`; name the partners' hosts.
    /// - Sendmail: no `TLS_Clt:` entry for everyone in the access map; name the partners.
    /// - OpenSMTPD: `tls` instead of `tls-require` in the `listen` line.
    /// - Exchange: `RequireTLS` on a connector whose `RemoteIPRanges` are the partner's, not on the one for the internet.
    ///
    /// ## References
    ///
    /// - RFC 3207, 4
    "starttls-required" { practice: OpportunisticTls, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    if context.facts.target.port != 25 {
        return Outcome::NotApplicable("senders from elsewhere come to port 25".to_owned());
    }
    each_view(context, |view| match &view.mail_in_clear {
        Observed::Seen(reply) if reply.demands_tls() => Outcome::Violated(vec![
            Violation::new("mail is refused without TLS").evidence(format!("the reply to MAIL: {}", short(&reply.to_string()))),
        ]),
        Observed::Seen(reply) if reply.is_transient() => {
            Outcome::Undetermined(format!("whether mail is taken without TLS is not known: {}", short(&reply.to_string())))
        }
        Observed::Seen(reply) if reply.is_positive() || minds_something_else(reply) => Outcome::Passed(String::new()),
        Observed::Seen(reply) => Outcome::Undetermined(format!("why mail is refused is not known: {}", short(&reply.to_string()))),
        Observed::Failed(failure) => Outcome::Undetermined(format!("whether mail is taken without TLS is not known: {failure}")),
        Observed::NotAttempted(why) => Outcome::NotApplicable(why.clone()),
    })
}

/// The sender's address (X.1.N of RFC 3463), or who sends.
fn minds_something_else(reply: &Reply) -> bool {
    let text = reply.to_string().to_ascii_lowercase();
    // TLS may be demanded besides.
    let names_tls = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "tls" | "starttls" | "ssl"));
    if text.contains("authentica") && names_tls && !reply.calls_tls_optional() {
        return false;
    }
    ["5.1.", "authentica", "5.7.8", "5.7.60"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Failure,
        rules::test_facts::{World, kind, reply},
    };

    #[rstest]
    #[case(530, "5.7.0 Must issue a STARTTLS command first", "violated")]
    #[case(451, "5.7.3 STARTTLS is required to send mail", "violated")]
    #[case(250, "2.1.0 Ok", "passed")]
    #[case(503, "5.5.1 Must issue a STARTTLS command first", "violated")]
    #[case(503, "5.5.1 need MAIL first; encryption is optional", "undetermined")]
    #[case(454, "4.7.0 Encryption required; use STARTTLS", "violated")]
    #[case(530, "5.7.1 Authentication required", "passed")]
    #[case(530, "5.7.10 Encryption required", "violated")]
    #[case(550, "5.7.1 Session encryption is required", "violated")]
    #[case(523, "5.7.10 Encryption Needed", "violated")]
    #[case(530, "5.7.0 STARTTLS first", "violated")]
    #[case(530, "5.7.1 Authentication is needed (STARTTLS optional)", "passed")]
    #[case(554, "5.7.1 blocked, you need to see https://ssl.example/tls", "undetermined")]
    #[case(554, "5.7.1 you must not send: STARTTLSfail.example.org/starttls", "undetermined")]
    #[case(550, "5.7.1 Sender domain must have SPF; TLS report sent", "undetermined")]
    #[case(530, "5.7.0 Authentication required. Only with TLS", "undetermined")]
    #[case(554, "5.7.1 You must use TLS to send mail here", "violated")]
    #[case(550, "5.7.1 whistles need permission", "undetermined")]
    #[case(550, "5.1.8 sender domain tlsrequired.example does not exist", "passed")]
    #[case(550, "Administrative prohibition", "undetermined")]
    #[case(550, "5.1.7 no bounces here", "passed")]
    #[case(450, "4.7.1 greylisted", "undetermined")]
    fn only_who_names_starttls_insists_on_it(#[case] code: u16, #[case] text: &str, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].mail_in_clear = Observed::Seen(reply(code, text)));
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn what_was_not_asked_or_answered_is_not_known() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "not-applicable");
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].mail_in_clear = Observed::Failed(Failure::Closed));
        assert_eq!(kind(&outcome), "undetermined");
    }
}
