use super::date;
use crate::rules::{Context, Outcome, ResultType, Violation, each_leaf, rule};

rule! {
    /// The certificate ends before it begins.
    ///
    /// ## What it checks
    ///
    /// The end of the server certificate's validity lies before its beginning.
    ///
    /// ## Why it matters
    ///
    /// It was valid at no moment and never will be; every sender that verifies refuses it. "Expired" would be the
    /// wrong diagnosis: what issued it is at fault, and a renewal by the same means gives the same.
    ///
    /// ## Remedy
    ///
    /// Have the certificate issued anew, with the clock of the CA set right.
    ///
    /// - Postfix: name the chain in `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name it in `confSERVER_CERT` and `confSERVER_KEY`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert` and `key`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.1.2.5
    "validity-inverted" { practice: Renewal, severity: Fail, result_type: Some(ResultType::CertificateExpired) }
}

fn judge(context: &Context) -> Outcome {
    each_leaf(context, |_, leaf| {
        if leaf.not_before <= leaf.not_after {
            return Outcome::Passed(String::new());
        }
        let violation = Violation::new("the certificate ends before it begins");
        Outcome::Violated(vec![violation.evidence(format!("valid from {} to {}", date(leaf.not_before, context.now), date(leaf.not_after, context.now)))])
    })
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[test]
    fn the_order_of_the_dates_decides() {
        let judged = |days: i64| kind(&World::correct().judge_leaf(&RULE, |p| p.not_after = p.not_before + Duration::days(days)));
        assert_eq!((judged(-1), judged(0), judged(90)), ("violated", "passed", "passed"));
    }
}
