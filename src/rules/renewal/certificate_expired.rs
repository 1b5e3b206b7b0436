use super::{ago, date, span};
use crate::rules::{Context, Outcome, ResultType, Violation, each_leaf, rule, tried};

rule! {
    /// The certificate has expired.
    ///
    /// ## What it checks
    ///
    /// The end of validity of the server's own certificate lies before the moment of the check.
    ///
    /// ## Why it matters
    ///
    /// Senders that enforce TLS (MTA-STS, Postfix `verify` and `secure`, Exchange with certificate
    /// validation) stop delivering at that moment. Opportunistic senders go on without noticing, so
    /// the fault shows as "only some partners cannot reach us".
    ///
    /// ## Remedy
    ///
    /// Renew the certificate and make the server load it.
    ///
    /// - Postfix: replace the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: replace the file of `tls_certificate`; the next connection uses it.
    /// - Sendmail: replace the file of `confSERVER_CERT`, then restart it.
    /// - OpenSMTPD: replace the file of `pki mx.example.org cert`, then restart it.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.1.2.5
    /// - RFC 8461, 4.2
    "certificate-expired" { practice: Renewal, severity: Fail, result_type: Some(ResultType::CertificateExpired) }
}

fn judge(context: &Context) -> Outcome {
    let outcome = each_leaf(context, |_, leaf| {
        if leaf.not_after >= context.now {
            return Outcome::Passed(String::new());
        }
        let message = format!("the certificate expired {}", ago(context.now - leaf.not_after));
        Outcome::Violated(vec![Violation::new(message).evidence(format!("valid until {}", date(leaf.not_after, context.now)))])
    });
    match outcome {
        Outcome::Passed(_) => Outcome::Passed(days_left(context)),
        other => other,
    }
}

/// The time that is left of the certificate that expires first.
fn days_left(context: &Context) -> String {
    let chains = tried(context).flat_map(|(index, _)| context.chains(index)).filter_map(|chain| chain.certificates.first());
    let ends = chains.filter_map(|certificate| Some(certificate.details().ok()?.not_after));
    ends.min().map_or_else(String::new, |end| format!("the certificate is valid for {}", span(end - context.now).replacen(' ', " more ", 1)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::Duration;

    use super::*;
    use crate::{
        facts::Observed,
        rules::test_facts::{NOW, World, kind, messages},
    };

    #[rstest]
    #[case(Duration::ZERO, "passed")]
    #[case(-Duration::SECOND, "violated")]
    #[case(Duration::days(1), "passed")]
    fn the_last_second_still_counts(#[case] left: Duration, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_leaf(&RULE, |params| params.not_after = NOW + left)), expected);
    }

    #[rstest]
    #[case(Duration::minutes(5), "the certificate expired 5 minutes ago")]
    #[case(Duration::hours(5), "the certificate expired 5 hours ago")]
    #[case(Duration::days(1), "the certificate expired 24 hours ago")]
    #[case(Duration::hours(80), "the certificate expired 3 days ago")]
    fn days_are_floored(#[case] since: Duration, #[case] message: &str) {
        let outcome = World::correct().judge_leaf(&RULE, |params| params.not_after = NOW - since);
        assert_eq!(messages(&outcome), [message]);
    }

    #[test]
    fn the_first_to_expire_is_told() {
        let world = World::correct();
        let earlier = vec![world.issuing.leaf(|params| params.not_after = NOW + Duration::days(40))];
        let outcome = world.judge_from(2, &RULE, |views| views[1].session.certificates = Observed::Seen(earlier));
        assert_eq!(outcome, Outcome::Passed("the certificate is valid for 40 more days".to_owned()));
    }

    #[test]
    fn an_expired_certificate_of_one_view_counts() {
        let world = World::correct();
        let expired = vec![world.issuing.leaf(|params| params.not_after = NOW - Duration::days(3))];
        let outcome = world.judge_from(2, &RULE, |views| views[1].session.certificates = Observed::Seen(expired));
        let Outcome::Violated(found) = outcome else { panic!("{outcome:?}") };
        assert_eq!(found[0].views, [1]);
    }
}
