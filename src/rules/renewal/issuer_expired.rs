use super::{ago, date, each_above};
use crate::rules::{Context, Outcome, ResultType, Violation, rule, trust};

rule! {
    /// An intermediate certificate has expired.
    ///
    /// ## What it checks
    ///
    /// An intermediate of the certification path expired before the moment of the check. The root is not
    /// looked at: trust stores keep it or drop it. Where another path without expired certificates was
    /// sent, that one counts. With `--fetch-issuers` the place that the certificate below it names is asked for the
    /// current one, and the evidence says whether it would help; mail servers do not fetch it.
    ///
    /// ## Why it matters
    ///
    /// Senders that verify refuse the whole path. The server's own certificate looks right, so the fault
    /// is looked for elsewhere; reminders and monitors watch the own certificate only.
    ///
    /// ## Remedy
    ///
    /// Send the CA's current intermediate, and renew it along with each certificate.
    ///
    /// - Postfix: replace the intermediate in the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: replace it in the file of `tls_certificate`.
    /// - Sendmail: replace it in the file of `confCACERT`, then restart it.
    /// - OpenSMTPD: replace it in the file of `pki mx.example.org cert`, then restart it.
    /// - Exchange: import the new one into the computer's store "Intermediate Certification Authorities",
    ///   remove the old one, and restart the transport service.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1.3
    "issuer-expired" { practice: Renewal, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_above(context, |line| {
        let expired = line.issuers().iter().zip(&line.judgement.path).filter(|((_, issuer), _)| issuer.not_after < context.now);
        let violations: Vec<Violation> = expired
            .map(|((what, issuer), below)| {
                let end = issuer.not_after;
                let violation = Violation::new(format!("the intermediate {what} expired {}", ago(context.now - end)))
                    .evidence(format!("valid until {}", date(end, context.now)));
                trust::fetched_lines(context, line.chain, *below).into_iter().fold(violation, Violation::evidence)
            })
            .collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::rules::test_facts::{NOW, World, kind, messages};

    #[test]
    fn the_intermediate_is_named() {
        let mut world = World::correct();
        let issuing = world.root.intermediate_with("Old CA", |params| params.not_after = NOW - Duration::days(3));
        world.chain = vec![issuing.leaf(|_| {}), issuing.certificate.clone()];
        assert_eq!(messages(&world.judge(&RULE)), ["the intermediate certificate 2 (CN=Old CA) expired 3 days ago"]);
    }

    #[test]
    fn an_expired_anchor_is_not_looked_at() {
        let mut world = World::correct();
        let anchor = world.root.intermediate_with("Anchor CA", |params| params.not_after = NOW - Duration::days(3));
        world.chain = vec![anchor.leaf(|_| {}), anchor.certificate.clone()];
        world.stores[0].anchors = vec![anchor.certificate.der().to_vec().into()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    /// After a renewal of the intermediate both may be sent; the current one counts.
    #[test]
    fn a_valid_path_is_preferred() {
        let mut world = World::correct();
        let expired = world.root.certify_until(&world.issuing, NOW - Duration::days(3));
        world.chain = vec![world.chain[0].clone(), expired.clone(), world.issuing.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain = vec![world.chain[0].clone(), expired];
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }
}
