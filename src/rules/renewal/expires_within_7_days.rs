use time::Duration;

use super::{ahead, date, each_above, is_short_lived};
use crate::rules::{Context, Outcome, Violation, rule};

rule! {
    /// The certificate expires within a week.
    ///
    /// ## What it checks
    ///
    /// The server's certificate, or an intermediate above it, is valid for at most 7 more days. A certificate that is issued for
    /// 10 days or less is found in the last quarter of its validity: a machine should have renewed it by then.
    ///
    /// ## Why it matters
    ///
    /// A week ahead is when everyone who can renew the certificate should know of it. What renews itself
    /// would have done so long before, so by now something does not work.
    ///
    /// ## Remedy
    ///
    /// Renew the certificate now, make the server load it, and put a reminder for the next one into
    /// the calendar of the whole team (`mtalab remind NAME:25 -o reminders.ics --attendee MAILBOX`). If it is an intermediate that ends, get the CA's current one and send that;
    /// renewing the server's certificate helps only if the CA issues it from another one.
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
    "expires-within-7-days" { practice: Renewal, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_above(context, |line| {
        let leaf = line.leaf;
        let left = leaf.not_after - context.now;
        if left.is_negative() {
            return Outcome::NotApplicable("the certificate has expired".to_owned());
        }
        let is_short = is_short_lived(leaf);
        if left <= if is_short { (leaf.not_after - leaf.not_before) / 4 } else { Duration::days(7) } {
            let violation = Violation::new(format!("the certificate expires {}", ahead(left)));
            return Outcome::Violated(vec![violation.evidence(format!("valid until {}", date(leaf.not_after, context.now)))]);
        }
        if is_short {
            return Outcome::NotApplicable("the certificate is short-lived: a machine renews it".to_owned());
        }
        // The path ends with the first of its certificates that no other one replaces.
        let soon = line.issuers().iter().enumerate().filter_map(|(place, (what, issuer))| {
            let left = issuer.not_after - context.now;
            let violation = || Violation::new(format!("the path expires {}, with {what}", ahead(left)));
            let is_soon = (Duration::ZERO..=Duration::days(7)).contains(&left);
            (is_soon && !line.is_replaced(context, place)).then(|| violation().evidence(format!("valid until {}", date(issuer.not_after, context.now))))
        });
        let violations: Vec<Violation> = soon.collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::{
        renewal::{certificate_expired, expires_within_30_days},
        test_facts::{NOW, World, kind, messages},
    };

    /// At most one of the three rules on the end of validity fires.
    #[rstest]
    #[case(-Duration::SECOND, ["violated", "not-applicable", "not-applicable"])]
    #[case(Duration::ZERO, ["passed", "violated", "passed"])]
    #[case(Duration::days(7), ["passed", "violated", "passed"])]
    #[case(Duration::days(7) + Duration::SECOND, ["passed", "passed", "violated"])]
    #[case(Duration::days(30), ["passed", "passed", "violated"])]
    #[case(Duration::days(30) + Duration::SECOND, ["passed", "passed", "passed"])]
    fn one_rule_at_a_time(#[case] left: Duration, #[case] expected: [&str; 3]) {
        let world = World::correct();
        let judge = |rule| {
            kind(&world.judge_leaf(rule, |params| {
                params.not_before = NOW - Duration::days(90);
                params.not_after = NOW + left;
            }))
        };
        assert_eq!([judge(&certificate_expired::RULE), judge(&RULE), judge(&expires_within_30_days::RULE)], expected);
    }

    #[test]
    fn the_intermediate_counts_too() {
        let judge = |left: i64| {
            let mut world = World::correct();
            let issuing = world.root.intermediate_with("CA", |params| params.not_after = NOW + Duration::days(left));
            world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
            world.judge(&RULE)
        };
        assert_eq!(messages(&judge(5)), ["the path expires in 5 days, with certificate 2 (CN=CA)"]);
        assert_eq!(kind(&judge(8)), "passed");
    }

    #[test]
    fn days_are_floored() {
        let left = Duration::days(4) - Duration::SECOND;
        let outcome = World::correct().judge_leaf(&RULE, |params| params.not_after = NOW + left);
        assert_eq!(messages(&outcome), ["the certificate expires in 3 days"]);
    }

    #[rstest]
    #[case(3, "not-applicable")]
    #[case(2, "violated")]
    #[case(0, "violated")]
    fn short_lived_certificates_are_found_in_their_last_quarter(#[case] left: i64, #[case] expected: &str) {
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            params.not_before = NOW - Duration::days(8 - left);
            params.not_after = NOW + Duration::days(left);
        });
        assert_eq!(kind(&outcome), expected);
    }
}
