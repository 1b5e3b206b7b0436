use super::each_end;
use crate::rules::{Context, Outcome, Violation, certificate_text, path::Relation, rule};

rule! {
    /// Certificates are sent that have nothing to do with the path.
    ///
    /// ## What it checks
    ///
    /// A certificate was sent that is not part of the certification path, is no other certificate of
    /// a CA on it, or was sent twice. A trusted root that is sent along is not held against the server.
    ///
    /// ## Why it matters
    ///
    /// It costs bytes in each handshake, TLS 1.2 does not allow it, and it shows that the file was put
    /// together by hand: often the intermediate of a former CA is still in it.
    ///
    /// ## Remedy
    ///
    /// Remove the certificate from the file.
    ///
    /// - Postfix: edit the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: edit the file of `tls_certificate`.
    /// - Sendmail: edit the file of `confCACERT`.
    /// - OpenSMTPD: edit the file of `pki mx.example.org cert`.
    /// - Exchange: Schannel builds the path itself; look at the proxy before it.
    ///
    /// ## References
    ///
    /// - RFC 5246, 7.4.2
    /// - RFC 8446, 4.4.2
    "unrelated-certificate" { practice: PublicCa, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        let violation = |(index, relation): &(usize, Relation)| {
            let what = certificate_text(chain, *index);
            match relation {
                Relation::Unrelated => Some(Violation::new(format!("{what} has nothing to do with the path"))),
                Relation::Repeats(earlier) => Some(Violation::new(format!("certificate {} repeats certificate {}", index + 1, earlier + 1))),
                Relation::Alternative | Relation::Misleading | Relation::BeyondTheGap | Relation::Unclear => None,
            }
        };
        let violations: Vec<Violation> = judgement.extra.iter().filter_map(violation).collect();
        if !violations.is_empty() {
            return Outcome::Violated(violations);
        }
        match judgement.extra.iter().any(|(_, relation)| *relation == Relation::Unclear) {
            true => Outcome::NotApplicable("the path ends too early to say what belongs to it".to_owned()),
            false => Outcome::Passed(String::new()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{Authority, World, kind, messages};

    #[test]
    fn a_stranger_is_named() {
        let mut world = World::correct();
        world.chain.push(Authority::root("Stray CA").certificate);
        assert_eq!(messages(&world.judge(&RULE)), ["certificate 3 (CN=Stray CA) has nothing to do with the path"]);
    }

    #[test]
    fn a_repetition_is_named() {
        let mut world = World::correct();
        world.chain.push(world.chain[0].clone());
        assert_eq!(messages(&world.judge(&RULE)), ["certificate 3 repeats certificate 1"]);
    }

    #[test]
    fn a_trusted_root_may_be_sent() {
        let mut world = World::correct();
        world.chain.push(world.root.certificate.clone());
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[test]
    fn a_cross_certificate_of_the_root_is_no_stranger() {
        let mut world = World::correct();
        world.chain.push(Authority::root("Older Root CA").certify(&world.root));
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[test]
    fn above_a_gap_nothing_is_called_unrelated() {
        let mut world = World::correct();
        world.chain = vec![world.chain[0].clone(), world.root.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain[1] = Authority::root("Stray CA").certificate;
        assert_eq!(kind(&world.judge(&RULE)), "not-applicable");
    }
}
