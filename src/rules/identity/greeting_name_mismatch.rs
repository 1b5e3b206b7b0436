use super::{greeting_word, host_name};
use crate::rules::{Context, Outcome, Violation, each_view, rule};

rule! {
    /// The greeting names another host.
    ///
    /// ## What it checks
    ///
    /// The first word of the 220 greeting is a qualified host name, and it is not the name that senders
    /// look up. `greeting-name-unqualified` looks at greetings that name no such host.
    ///
    /// ## Why it matters
    ///
    /// Some partners compare the greeting with the MX and with the certificate before they rely on TLS.
    /// Another name also tells the world what the host is called inside, or that mail goes elsewhere
    /// than the MX record says.
    ///
    /// ## Remedy
    ///
    /// Let the greeting begin with the name in the MX record.
    ///
    /// - Postfix: `myhostname = mx.example.org` and `smtpd_banner = $myhostname ESMTP $mail_name`.
    /// - Exim: `primary_hostname`, or `smtp_banner` beginning with `$smtp_active_hostname`.
    /// - Sendmail: `confDOMAIN_NAME`, with `confSMTP_LOGIN_MSG` beginning with `$j`.
    /// - OpenSMTPD: `hostname mx.example.org` in the `listen` line.
    /// - Exchange: `Set-ReceiveConnector -Banner "220 mx.example.org"`.
    ///
    /// ## References
    ///
    /// - RFC 5321, 4.3.1
    "greeting-name-mismatch" { practice: Identity, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let host = &context.facts.target.name;
    each_view(context, |view| {
        let word = match greeting_word(view) {
            Ok(word) => word,
            Err(why) => return Outcome::Undetermined(why),
        };
        match host_name(&word) {
            None => Outcome::NotApplicable("the greeting does not begin with a qualified host name".to_owned()),
            Some(name) if name == *host => Outcome::Passed(format!("the greeting names {host}")),
            Some(name) => Outcome::Violated(vec![Violation::new(format!("the greeting names {name} instead of {host}"))]),
        }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Observed,
        rules::test_facts::{World, kind, messages, reply},
    };

    /// Of the two rules on the greeting, at most one fires.
    #[rstest]
    #[case(220, "mx.example.test ESMTP", "passed", "passed")]
    #[case(220, "MX.Example.Test", "passed", "passed")]
    #[case(220, "ex01.corp.test Microsoft ESMTP MAIL Service ready", "violated", "passed")]
    #[case(220, "EX01 Microsoft ESMTP MAIL Service ready", "not-applicable", "violated")]
    #[case(220, "ESMTP ready", "not-applicable", "violated")]
    #[case(220, "[192.0.2.1] ESMTP", "not-applicable", "violated")]
    #[case(220, "192.0.2.1 ESMTP", "not-applicable", "violated")]
    #[case(220, "", "not-applicable", "violated")]
    #[case(220, "*****************2****", "undetermined", "undetermined")]
    #[case(250, "mx.example.test ESMTP", "undetermined", "undetermined")]
    #[case(220, " mx.example.test ESMTP", "passed", "passed")]
    #[case(220, "\t EX01", "not-applicable", "violated")]
    #[case(554, "go away", "undetermined", "undetermined")]
    fn the_first_word_counts(#[case] code: u16, #[case] text: &str, #[case] own: &str, #[case] unqualified: &str) {
        let world = World::correct();
        let judge = |rule| world.judge_from(1, rule, |views| views[0].session.greeting = Observed::Seen(reply(code, text)));
        assert_eq!(kind(&judge(&RULE)), own);
        assert_eq!(kind(&judge(&crate::rules::identity::greeting_name_unqualified::RULE)), unqualified);
    }

    /// RFC 5321, 4.2: only replies of 4xx and 5xx refuse.
    #[test]
    fn a_wrong_code_is_no_refusal() {
        let world = World::correct();
        let judge = |code| world.judge_from(1, &RULE, |views| views[0].session.greeting = Observed::Seen(reply(code, "mx")));
        let why = |what: &str| Outcome::Undetermined(format!("the greeting seen from 192.0.2.1 is {what}"));
        assert_eq!(judge(250), why("not a 220: 250 mx"));
        assert_eq!(judge(354), why("not a 220: 354 mx"));
        assert_eq!(judge(554), why("a refusal: 554 mx"));
    }

    #[test]
    fn the_greeting_is_enough() {
        let outcome = World::correct().judge_from(1, &RULE, |views| World::without_starttls(&mut views[0]));
        assert_eq!(kind(&outcome), "passed");
    }

    #[test]
    fn both_names_are_told() {
        let greeting = Observed::Seen(reply(220, "a.test"));
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.greeting = greeting);
        assert_eq!(messages(&outcome), ["the greeting names a.test instead of mx.example.test"]);
    }
}
