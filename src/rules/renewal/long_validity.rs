use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    facts::CertificateDetails,
    rules::{Context, Outcome, Violation, each_path, known_path, path::End, rule},
};

/// What public CAs may issue, by the day of issue, the newest first: from when, and for how many days.
const LIMITS: [(OffsetDateTime, i64); 5] = [
    (datetime!(2029-03-15 0:00 UTC), 47),
    (datetime!(2027-03-15 0:00 UTC), 100),
    (datetime!(2026-03-15 0:00 UTC), 200),
    (datetime!(2020-09-01 0:00 UTC), 398),
    (datetime!(2018-03-01 0:00 UTC), 825),
];

rule! {
    /// The certificate is valid for longer than public CAs may issue.
    ///
    /// ## What it checks
    ///
    /// The server's certificate leads to a public root, and is valid for longer than the CA/Browser Forum allowed on the
    /// day of its issue: 398 days from September 2020, 200 from March 2026, 100 from March 2027, 47 from March 2029.
    ///
    /// ## Why it matters
    ///
    /// Mail servers do not count the days, so mail flows. A public CA that issues it breaks its own rules, and what is
    /// renewed every ten years is renewed by somebody who has forgotten how.
    ///
    /// ## Remedy
    ///
    /// Have certificates issued for the usual time, by a machine: `certbot`, `acme.sh`, `win-acme` and others renew and
    /// reload by themselves.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - CA/Browser Forum Baseline Requirements, 6.3.2
    "long-validity" { practice: Renewal, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |chain, judgement| {
        let Some(Ok(leaf)) = chain.first().map(|leaf| leaf.details()) else {
            return Outcome::Undetermined("the server's certificate cannot be read".to_owned());
        };
        let outcome = match (&judgement.end, excess(leaf)) {
            (End::Trusted { public: true, .. }, Some((days, limit))) => {
                let message = format!("the certificate is valid for {days} days; public CAs could issue it for {limit}");
                Outcome::Violated(vec![Violation::new(message)])
            }
            _ => Outcome::Passed(String::new()),
        };
        known_path(judgement, outcome)
    })
}

/// The days of validity and the limit, where they are more.
fn excess(leaf: &CertificateDetails) -> Option<(i64, i64)> {
    let (_, limit) = LIMITS.into_iter().find(|(since, _)| leaf.not_before >= *since)?;
    let lifetime = leaf.not_after - leaf.not_before;
    // The last second counts too (RFC 5280, 4.1.2.5).
    (lifetime > Duration::days(limit)).then(|| (lifetime.whole_days(), limit))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::World;

    #[rstest]
    #[case(datetime!(2017-01-01 0:00 UTC), 1000, None)]
    #[case(datetime!(2019-01-01 0:00 UTC), 826, Some((826, 825)))]
    #[case(datetime!(2026-01-01 0:00 UTC), 398, None)]
    #[case(datetime!(2026-01-01 0:00 UTC), 399, Some((399, 398)))]
    #[case(datetime!(2026-04-01 0:00 UTC), 200, None)]
    #[case(datetime!(2026-04-01 0:00 UTC), 398, Some((398, 200)))]
    #[case(datetime!(2030-01-01 0:00 UTC), 90, Some((90, 47)))]
    fn the_limit_is_that_of_the_day_of_issue(
        #[case] not_before: OffsetDateTime,
        #[case] days: i64,
        #[case] expected: Option<(i64, i64)>,
    ) {
        let leaf = World::correct().chain[0].details().unwrap().clone();
        let leaf = CertificateDetails { not_before, not_after: not_before + Duration::days(days), ..leaf };
        assert_eq!(excess(&leaf), expected);
    }
}
