use super::{each_end, fetching, not_trusted};
use crate::rules::{Context, Outcome, ResultType, Violation, certificate_text, path::End, rule, short};

rule! {
    /// A certificate is missing in the middle of the chain.
    ///
    /// ## What it checks
    ///
    /// The certification path ends at a certificate whose issuer was not sent, although another CA
    /// certificate was sent that leads to a trust anchor. So the server means to send a chain, and a
    /// link of it is missing.
    ///
    /// ## Why it matters
    ///
    /// Mail servers do not fetch a missing certificate. Senders that verify do not deliver, except
    /// those that happen to hold the missing one from elsewhere: the fault comes and goes with the sender.
    ///
    /// ## Remedy
    ///
    /// Send every intermediate between the server's certificate and the root. After a change of the
    /// CA's intermediate, the old one often stays in the file: replace it.
    ///
    /// - Postfix: put key, certificate and intermediates, in that order, into a file of `smtpd_tls_chain_files`.
    /// - Exim: append the intermediates to the file of `tls_certificate`.
    /// - Sendmail: put the intermediates into the file of `confCACERT`.
    /// - OpenSMTPD: append the intermediates to the file of `pki mx.example.org cert`.
    /// - Exchange: import the intermediates into the computer's store "Intermediate Certification
    ///   Authorities", then restart the transport service.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.4.2
    /// - RFC 5246, 7.4.2
    "incomplete-chain" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        let End::Gap { index, issuer, witness, store } = &judgement.end else { return Outcome::Passed(String::new()) };
        let (what, other) = (certificate_text(chain, *index), certificate_text(chain, *witness));
        let violation = Violation::new(format!("the issuer of {what} was not sent: {issuer}"))
            .evidence(format!("{other} was sent, leads to a root in {store}, and did not sign any certificate of the path"));
        // A CA that has renewed its key, for example.
        let namesake = |index: &usize| chain[*index].details().is_ok_and(|details| short(details.subject.as_str()) == *issuer);
        let violation = match (1..chain.len()).find(namesake) {
            Some(index) => violation.evidence(format!(
                "{} has that name, and its key made no such signature: the CA may have another key now",
                certificate_text(chain, index)
            )),
            None => violation,
        };
        let violation = fetching(context, chain, *index).lines.into_iter().fold(violation, Violation::evidence);
        not_trusted(context, chain, judgement, violation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{Authority, World, kind, messages};

    #[test]
    fn a_root_without_its_intermediate_shows_the_gap() {
        let mut world = World::correct();
        world.chain = vec![world.chain[0].clone(), world.root.certificate.clone()];
        assert_eq!(messages(&world.judge(&RULE)), ["the issuer of the server's certificate was not sent: CN=Issuing CA"]);
    }

    #[test]
    fn the_wrong_intermediate_of_a_public_ca_shows_it_too() {
        let mut world = World::correct();
        let other = world.root.intermediate("Other Issuing CA");
        world.chain = vec![world.chain[0].clone(), other.certificate.clone()];
        assert_eq!(kind(&world.judge(&RULE)), "violated");
    }

    #[test]
    fn a_root_that_nobody_trusts_shows_nothing() {
        let mut world = World::correct();
        world.chain = vec![world.chain[0].clone(), Authority::root("Stray CA").certificate];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[test]
    fn a_certificate_alone_shows_nothing() {
        let mut world = World::correct();
        world.chain.truncate(1);
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }
}
