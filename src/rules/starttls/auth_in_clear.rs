use super::Offer;
use crate::rules::{Context, Outcome, Violation, each_view, listed, rule};

rule! {
    /// Passwords are taken in the clear.
    ///
    /// ## What it checks
    ///
    /// The first reply to EHLO, before TLS, offers AUTH with PLAIN or LOGIN.
    ///
    /// ## Why it matters
    ///
    /// Between servers nobody logs in. A client that is set up carelessly sends its password in clear text, and whoever
    /// suppresses STARTTLS gets it even from careful ones.
    ///
    /// ## Remedy
    ///
    /// Offer AUTH inside TLS only, or on the submission port only.
    ///
    /// - Postfix: `smtpd_tls_auth_only = yes`, and `smtpd_sasl_auth_enable = no` for the `smtp` service.
    /// - Exim: `server_advertise_condition = ${if def:tls_in_cipher}` in each authenticator.
    /// - Sendmail: `define(`confAUTH_OPTIONS', `A p y')` in `sendmail.mc`.
    /// - OpenSMTPD: `auth` in `listen` lines with `tls-require` only.
    /// - Exchange: `BasicAuthRequireTLS` in the `AuthMechanism` of the receive connector.
    ///
    /// ## References
    ///
    /// - RFC 4954, 4
    /// - RFC 8314, 4.1
    "auth-in-clear" { practice: OpportunisticTls, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_view(context, |view| {
        let Some(ehlo) = view.session.ehlo.seen() else {
            return match Offer::of(view) {
                Offer::Unknown(why) => Outcome::Undetermined(why),
                _ => Outcome::Passed(String::new()),
            };
        };
        // `AUTH=LOGIN` was the form before RFC 2554.
        let mechanisms = ehlo.keywords.iter().filter_map(|keyword| {
            let (name, first) = keyword.name.as_str().split_once('=').unwrap_or((keyword.name.as_str(), ""));
            let words = std::iter::once(first).chain(keyword.parameters.iter().map(|word| word.as_str()));
            name.eq_ignore_ascii_case("AUTH").then(|| words.map(str::to_ascii_uppercase).collect::<Vec<_>>())
        });
        let mut clear: Vec<String> = mechanisms.flatten().filter(|word| matches!(word.as_str(), "PLAIN" | "LOGIN")).collect();
        clear.sort_unstable();
        clear.dedup();
        if clear.is_empty() {
            return Outcome::Passed(String::new());
        }
        Outcome::Violated(vec![Violation::new(format!("before TLS, AUTH is offered with {}", listed(clear.iter(), 4, ", ")))])
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{HOST, World, ehlo, kind};

    #[rstest]
    #[case("AUTH PLAIN LOGIN", "violated")]
    #[case("auth=login", "violated")]
    #[case("AUTH CRAM-MD5", "passed")]
    #[case("AUTH NTLM", "passed")]
    #[case("X-AUTH PLAIN", "passed")]
    fn what_shows_the_password_counts(#[case] keyword: &str, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.ehlo = ehlo(HOST, &[keyword, "STARTTLS"]));
        assert_eq!(kind(&outcome), expected);
    }
}
