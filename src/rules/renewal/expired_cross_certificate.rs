use super::{ago, date};
use crate::rules::{Context, Outcome, Violation, certificate_text, each_path, path::Relation, rule};

rule! {
    /// An expired certificate of another path is still sent.
    ///
    /// ## What it checks
    ///
    /// Beside a valid path the server sends another certificate of one of its CAs, a cross-certificate for
    /// example, that has expired.
    ///
    /// ## Why it matters
    ///
    /// Current verifiers find the valid path. Old ones, OpenSSL before 1.1.0 among them, follow the certificates
    /// as sent and refuse when they meet the expired one, though the root that they trust would do.
    ///
    /// ## Remedy
    ///
    /// Send the certificate and the intermediates of the valid path only.
    ///
    /// - Postfix: remove it from the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: remove it from the file of `tls_certificate`.
    /// - Sendmail: remove it from the file of `confCACERT`.
    /// - OpenSMTPD: remove it from the file of `pki mx.example.org cert`.
    /// - Exchange: remove it from the computer's store "Intermediate Certification Authorities", and restart
    ///   the transport service.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1
    /// - RFC 4158, 2.4
    "expired-cross-certificate" { practice: Renewal, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let others = judgement.extra.iter().filter(|(_, relation)| *relation == Relation::Alternative);
        let expired = others.filter_map(|(index, _)| {
            let end = chain[*index].details().ok()?.not_after;
            (end < context.now).then(|| {
                let message = format!("{} is not needed and expired {}", certificate_text(chain, *index), ago(context.now - end));
                Violation::new(message).evidence(format!("valid until {}", date(end)))
            })
        });
        let violations: Vec<Violation> = expired.collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::Duration;

    use super::*;
    use crate::rules::test_facts::{Authority, NOW, World, kind};

    #[rstest]
    #[case(-3, "violated")]
    #[case(3, "passed")]
    fn only_an_expired_one_is_found(#[case] days: i64, #[case] expected: &str) {
        let mut world = World::correct();
        let former = Authority::root("Former Root CA");
        world.chain.push(former.certify_until(&world.root, NOW + Duration::days(days)));
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }
}
