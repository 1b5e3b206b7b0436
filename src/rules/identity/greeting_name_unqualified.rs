use super::{greeting_word, host_name};
use crate::rules::{Context, Outcome, Violation, each_view, rule, short};

rule! {
    /// The greeting does not begin with a qualified host name.
    ///
    /// ## What it checks
    ///
    /// The first word of the 220 greeting is not a host name with a domain: `EX01`, `ESMTP` or an
    /// address, for example.
    ///
    /// ## Why it matters
    ///
    /// SMTP wants the server's full name there, and partners who compare the greeting with the MX find
    /// nothing to compare. Mail goes through all the same.
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
    /// - RFC 5321, 4.2
    /// - RFC 5321, 4.3.1
    "greeting-name-unqualified" { practice: Identity, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| match greeting_word(view) {
        Err(why) => Outcome::Undetermined(why),
        Ok(word) if host_name(&word).is_some() => Outcome::Passed(String::new()),
        Ok(word) => {
            let violation = Violation::new("the greeting does not begin with a qualified host name");
            let line = view.session.greeting.seen().map(ToString::to_string).unwrap_or_default();
            let first = if word.is_empty() { "it is empty".to_owned() } else { format!("its first word is {}", short(&word)) };
            Outcome::Violated(vec![violation.evidence(format!("greeting: {}", short(&line))).evidence(first)])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::Observed,
        rules::test_facts::{World, messages, reply},
    };

    #[test]
    fn spaces_before_the_name_are_none_of_its_business() {
        let greeting = Observed::Seen(reply(220, " mx.example.test ESMTP"));
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.greeting = greeting);
        assert_eq!(outcome, Outcome::Passed(String::new()));
    }

    // The table of both rules together is in `greeting_name_mismatch`.
    #[test]
    fn a_bare_name_is_quoted() {
        let greeting = Observed::Seen(reply(220, "EX01 ready"));
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.greeting = greeting);
        assert_eq!(messages(&outcome), ["the greeting does not begin with a qualified host name"]);
        assert!(format!("{outcome:?}").contains("greeting: 220 EX01 ready"));
    }
}
