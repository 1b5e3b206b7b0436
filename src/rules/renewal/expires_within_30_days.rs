use time::Duration;

use super::{ahead, date, is_short_lived};
use crate::rules::{Context, Outcome, Violation, each_leaf, rule};

rule! {
    /// The certificate expires within a month.
    ///
    /// ## What it checks
    ///
    /// The server's certificate is valid for more than 7 and at most 30 more days, and for at most a third of its whole validity:
    /// one that is issued for 47 days is renewed in its last 15. Certificates that are issued for 10 days or less are left out.
    ///
    /// ## Why it matters
    ///
    /// Where people renew certificates, it is time to order the next one. Where a machine does, it may be
    /// about to: most clients renew when a third of the validity is left.
    ///
    /// ## Remedy
    ///
    /// Order the next certificate, or see that the renewal is scheduled and makes the server load it.
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
    "expires-within-30-days" { practice: Renewal, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        let left = leaf.not_after - context.now;
        if left.is_negative() {
            return Outcome::NotApplicable("the certificate has expired".to_owned());
        }
        if is_short_lived(leaf) {
            return Outcome::NotApplicable("the certificate is short-lived: a machine renews it".to_owned());
        }
        let margin = Duration::days(30).min((leaf.not_after - leaf.not_before) / 3);
        if left <= Duration::days(7) || left > margin {
            return Outcome::Passed(String::new());
        }
        let violation = Violation::new(format!("the certificate expires {}", ahead(left)));
        Outcome::Violated(vec![violation.evidence(format!("valid until {}", date(leaf.not_after, context.now)))])
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{NOW, World, kind, messages};

    // The table of the three rules together is in `expires_within_7_days`.
    #[test]
    fn the_days_are_told() {
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            params.not_before = NOW - Duration::days(40);
            params.not_after = NOW + Duration::days(20);
        });
        assert_eq!(messages(&outcome), ["the certificate expires in 20 days"]);
    }

    #[rstest]
    #[case(15, "violated")]
    #[case(16, "passed")]
    fn what_lasts_for_weeks_is_renewed_in_its_last_third(#[case] left: i64, #[case] expected: &str) {
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            params.not_after = NOW + Duration::days(left);
            params.not_before = params.not_after - Duration::days(47);
        });
        assert_eq!(kind(&outcome), expected);
    }

    #[test]
    fn short_lived_certificates_are_left_out() {
        let outcome = World::correct().judge_leaf(&RULE, |params| {
            params.not_before = NOW - Duration::HOUR;
            params.not_after = NOW + Duration::days(9);
        });
        assert_eq!(kind(&outcome), "not-applicable");
    }
}
