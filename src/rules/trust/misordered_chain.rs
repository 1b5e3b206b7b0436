use super::each_end;
use crate::rules::{Context, Outcome, Violation, certificate_text, rule};

rule! {
    /// The certificates are sent in the wrong order.
    ///
    /// ## What it checks
    ///
    /// The certificates of the path were sent in another order than bottom up: the server's own,
    /// its issuer, that one's issuer, and so on.
    ///
    /// ## Why it matters
    ///
    /// TLS 1.2 demands the order, and TLS 1.3 asks for it. Most senders sort the chain themselves;
    /// old appliances do not, and then refuse it.
    ///
    /// ## Remedy
    ///
    /// Sort the file: the server's certificate, its issuer, that one's issuer. The root may be left out.
    ///
    /// - Postfix: the order in each file of `smtpd_tls_chain_files`, after the key, is the order sent.
    /// - Exim: the order in the file of `tls_certificate` is the order sent.
    /// - Sendmail: the order in the file of `confSERVER_CERT` is the order sent.
    /// - OpenSMTPD: the order in the file of `pki mx.example.org cert` is the order sent.
    /// - Exchange: Schannel builds the path itself; look at the proxy before it.
    ///
    /// ## References
    ///
    /// - RFC 5246, 7.4.2
    /// - RFC 8446, 4.4.2
    "misordered-chain" { practice: PublicCa, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        if judgement.is_in_order() {
            return Outcome::Passed(String::new());
        }
        let climb = judgement.path.iter().copied().chain(judgement.root);
        let texts: Vec<String> = climb.map(|index| certificate_text(chain, index)).collect();
        let violation = Violation::new("the certificates are not sent in the order of the path");
        Outcome::Violated(vec![violation.evidence(format!("the path is: {}", texts.join(", then ")))])
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[rstest]
    #[case(&[0, 1], "passed")]
    #[case(&[0, 1, 2], "passed")]
    #[case(&[0, 2, 1], "violated")]
    #[case(&[0, 3, 1], "passed")]
    #[case(&[0], "passed")]
    fn the_order_is_that_of_the_path(#[case] order: &[usize], #[case] expected: &str) {
        let mut world = World::correct();
        let stray = crate::rules::test_facts::Authority::root("Stray CA").certificate;
        let all = [world.chain[0].clone(), world.issuing.certificate.clone(), world.root.certificate.clone(), stray];
        world.chain = order.iter().map(|index| all[*index].clone()).collect();
        assert_eq!(kind(&world.judge(&RULE)), expected);
    }
}
