use super::{ahead, date, each_issuer};
use crate::rules::{Context, Outcome, ResultType, Violation, rule};

rule! {
    /// The certificate is not valid yet.
    ///
    /// ## What it checks
    ///
    /// The validity of the server's certificate, or of an intermediate above it, begins after the
    /// moment of the check.
    ///
    /// ## Why it matters
    ///
    /// Senders that verify treat it like an expired one. Either it was put to use too early, or the
    /// clock of the CA, or of the machine that runs this check, is wrong.
    ///
    /// ## Remedy
    ///
    /// Compare the clocks first. If they are right, go back to the former certificate until then, or
    /// have a new one issued.
    ///
    /// - Postfix: the former file in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: the former file in `tls_certificate`.
    /// - Sendmail: the former file in `confSERVER_CERT`.
    /// - OpenSMTPD: the former file in `pki mx.example.org cert`.
    /// - Exchange: `Enable-ExchangeCertificate -Services SMTP` with the former thumbprint.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.1.2.5
    "not-yet-valid" { practice: Renewal, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_issuer(context, |leaf, issuers| {
        let own = std::iter::once(("the certificate", leaf));
        let all = own.chain(issuers.iter().map(|(what, issuer)| (what.as_str(), *issuer)));
        let early = all.filter(|(_, certificate)| certificate.not_before > context.now);
        let violations: Vec<Violation> = early
            .map(|(what, certificate)| {
                let begin = certificate.not_before;
                Violation::new(format!("{what} becomes valid {} only", ahead(begin - context.now)))
                    .evidence(format!("valid from {}", date(begin, context.now)))
            })
            .collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::Duration;

    use super::*;
    use crate::rules::test_facts::{NOW, World, kind, messages};

    #[rstest]
    #[case(Duration::ZERO, "passed")]
    #[case(Duration::SECOND, "violated")]
    #[case(Duration::days(2), "violated")]
    fn the_first_second_counts(#[case] ahead: Duration, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_leaf(&RULE, |params| params.not_before = NOW + ahead)), expected);
    }

    #[test]
    fn an_intermediate_is_named() {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Next CA", |params| params.not_before = NOW + Duration::days(2));
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        assert_eq!(messages(&world.judge(&RULE)), ["certificate 2 (CN=Next CA) becomes valid in 2 days only"]);
    }
}
