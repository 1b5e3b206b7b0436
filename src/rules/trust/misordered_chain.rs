use super::each_end;
use crate::{
    facts::Certificate,
    rules::{
        Context, Outcome, Violation, certificate_text,
        path::{Judgement, Relation},
        rule,
    },
};

rule! {
    /// The certificates are sent in the wrong order.
    ///
    /// ## What it checks
    ///
    /// The certificates of the path were sent in another order than bottom up: the server's own,
    /// its issuer, that one's issuer, and so on; or another certificate of a CA further up stands between two of them.
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
        let climb: Vec<usize> = judgement.path.iter().copied().chain(judgement.root).collect();
        if judgement.is_in_order() && !climb.windows(2).any(|link| is_interrupted(chain, judgement, link[0], link[1])) {
            return Outcome::Passed(String::new());
        }
        let texts: Vec<String> = climb.into_iter().map(|index| certificate_text(chain, index)).collect();
        let violation = Violation::new("the certificates are not sent in the order of the path");
        Outcome::Violated(vec![violation.evidence(format!("the path is: {}", texts.join(", then ")))])
    })
}

/// Whether a cross-certificate stands between a certificate and its issuer. Another certificate of that issuer does no harm:
/// it has the same name and key.
fn is_interrupted(chain: &[Certificate], judgement: &Judgement, child: usize, issuer: usize) -> bool {
    let subject = |index: usize| chain.get(index).and_then(|certificate| certificate.details().ok()).map(|details| &details.subject);
    judgement.extra.iter().any(|(index, relation)| {
        *relation == Relation::Alternative && (child..issuer).contains(index) && subject(*index) != subject(issuer)
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

    #[test]
    fn a_cross_certificate_stands_behind_the_path() {
        let mut world = World::correct();
        let cross = crate::rules::test_facts::Authority::root("Former Root CA").certify(&world.root);
        world.chain.push(cross.clone());
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain = vec![world.chain[0].clone(), cross, world.chain[1].clone()];
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }
}
