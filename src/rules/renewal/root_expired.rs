use super::{ago, date};
use crate::rules::{Context, Outcome, ResultType, Violation, each_path, known_path, rule};

rule! {
    /// The root has expired.
    ///
    /// ## What it checks
    ///
    /// The trust anchor that the path ends at is one whose own validity is over or has not begun, and no other path was sent.
    ///
    /// ## Why it matters
    ///
    /// Trust stores keep roots beyond their end or drop them, and verifiers differ: OpenSSL and Schannel refuse
    /// an expired root, rustls does not look at its dates. When the root of a large CA ended in 2020 and
    /// another in 2021, mail stopped between servers whose own certificates were in order.
    ///
    /// ## Remedy
    ///
    /// Get a certificate that leads to a root which is valid for years: most CAs have one and give out
    /// another intermediate for it.
    ///
    /// - Postfix: put key, certificate and the other intermediate into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: put certificate and intermediate into the file of `tls_certificate`.
    /// - Sendmail: put the intermediate into the file of `confCACERT`.
    /// - OpenSMTPD: put certificate and intermediate into the file of `pki mx.example.org cert`.
    /// - Exchange: import the intermediate into the computer's store "Intermediate Certification Authorities",
    ///   and restart the transport service.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1.1
    "root-expired" { practice: Renewal, severity: Fail, result_type: Some(ResultType::CertificateExpired) }
}

fn judge(context: &Context) -> Outcome {
    each_path(context, |_, judgement| {
        let Some(Ok(root)) = judgement.anchor.as_ref().map(|anchor| anchor.details()) else {
            return known_path(judgement, Outcome::NotApplicable("the path does not reach a trust anchor".to_owned()));
        };
        // A store may also hold certificates that are no roots; OpenSSL and GnuTLS look at their dates as well.
        let what = if root.subject == root.issuer { "root" } else { "certificate in the trust store" };
        let (when, bound) = if root.not_after < context.now {
            (format!("expired {}", ago(context.now - root.not_after)), format!("valid until {}", date(root.not_after, context.now)))
        } else if root.not_before > context.now {
            ("is not valid yet".to_owned(), format!("valid from {}", date(root.not_before, context.now)))
        } else {
            return Outcome::Passed(String::new());
        };
        let violation = Violation::new(format!("the {what} ({}) {when}", root.subject));
        Outcome::Violated(vec![violation.evidence(format!("{bound}; OpenSSL refuses it, rustls does not look"))])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{NOW, World, kind, messages};

    #[test]
    fn an_expired_root_is_named() {
        let mut world = World::correct();
        let root = world.root.until(NOW - time::Duration::days(3));
        world.stores[0].anchors = vec![root.der().to_vec().into()];
        assert_eq!(messages(&world.judge(&RULE)), ["the root (CN=World Root CA) expired 3 days ago"]);
    }

    #[test]
    fn a_root_of_tomorrow_is_none_today() {
        let mut world = World::correct();
        let issuing = world.root.certificate.details().unwrap().not_before;
        let facts = world.facts(1);
        let context = crate::rules::Context { now: issuing - time::Duration::days(1), ..world.context(&facts) };
        assert!(messages(&RULE.judge(&context))[0].ends_with("is not valid yet"));
        world.stores.clear();
    }

    #[test]
    fn a_path_to_a_root_that_is_valid_counts() {
        let mut world = World::correct();
        let expired = world.root.until(NOW - time::Duration::days(3));
        world.stores[0].anchors.insert(0, expired.der().to_vec().into());
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }
}
