use crate::{
    name::Name,
    rules::{Context, Outcome, Violation, each_view, rule, short, why_not},
};

rule! {
    /// The reply to EHLO names another host.
    ///
    /// ## What it checks
    ///
    /// The first word of the reply to EHLO is not the name that senders look up.
    ///
    /// ## Why it matters
    ///
    /// Senders do not act on it, but people who look for the cause of a certificate fault read it, and
    /// with several hosts behind one address it shows that another one answered than was expected.
    ///
    /// ## Remedy
    ///
    /// Let the server call itself by the name in the MX record.
    ///
    /// - Postfix: `myhostname = mx.example.org`.
    /// - Exim: `primary_hostname`, or `smtp_active_hostname` where one Exim serves several names.
    /// - Sendmail: `confDOMAIN_NAME`, which becomes the macro `j`.
    /// - OpenSMTPD: `hostname mx.example.org` in the `listen` line.
    /// - Exchange: `Set-ReceiveConnector -Fqdn mx.example.org`; a connector whose `AuthMechanism`
    ///   includes `ExchangeServer` keeps the server's own name, so give the internet a connector without it.
    ///
    /// ## References
    ///
    /// - RFC 5321, 4.1.1.1
    "ehlo-name-mismatch" { practice: Identity, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let host = &context.facts.target.name;
    each_view(context, |view| {
        let Some(ehlo) = view.session.ehlo.seen() else {
            let why = why_not(view, &view.session.ehlo);
            return Outcome::Undetermined(format!("no reply to EHLO was seen from {}: {why}", view.vantage_text()));
        };
        let domain = ehlo.domain.as_str();
        if Name::parse(domain).is_ok_and(|name| name == *host) {
            return Outcome::Passed(String::new());
        }
        let named = if domain.is_empty() { "no host".to_owned() } else { short(domain) };
        Outcome::Violated(vec![Violation::new(format!("the reply to EHLO names {named} instead of {host}"))])
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::{Failure, Observed},
        rules::test_facts::{World, ehlo, kind},
    };

    #[rstest]
    #[case("mx.example.test", "passed")]
    #[case("MX.EXAMPLE.TEST", "passed")]
    #[case("mx.example.test Hello [192.0.2.1]", "passed")]
    #[case("ex01.corp.test", "violated")]
    #[case("EX01", "violated")]
    #[case("", "violated")]
    fn the_first_word_counts(#[case] line: &str, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.ehlo = ehlo(line, &["STARTTLS"]));
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn without_a_reply_nothing_is_said() {
        let missing = Observed::Failed(Failure::Closed);
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.ehlo = missing);
        assert_eq!(kind(&outcome), "undetermined");
    }
}
