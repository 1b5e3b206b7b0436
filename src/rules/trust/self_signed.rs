use super::{each_end, not_trusted};
use crate::rules::{Context, Outcome, ResultType, Violation, path::End, rule, short};

rule! {
    /// The certificate is signed by its own key.
    ///
    /// ## What it checks
    ///
    /// The server's certificate names itself as its issuer, its own key made the signature, and no
    /// trust store holds it.
    ///
    /// ## Why it matters
    ///
    /// Nobody but the server vouches for it. Opportunistic senders encrypt to whoever answers;
    /// senders that verify (MTA-STS, Postfix `verify` and `secure`, Exchange with `CertificateValidation`
    /// or `DomainValidation`) do not deliver. Mail servers make such certificates when they are
    /// installed, so this is often what is left when the right one was never assigned to SMTP.
    ///
    /// ## Remedy
    ///
    /// Get a certificate from a public CA for the name of the MX.
    ///
    /// - Postfix: name key, certificate and intermediates in `smtpd_tls_chain_files`.
    /// - Exim: set `tls_certificate` and `tls_privatekey`.
    /// - Sendmail: name certificate, key and intermediates in `confSERVER_CERT`, `confSERVER_KEY` and `confCACERT`.
    /// - OpenSMTPD: `pki mx.example.org cert` and `key`, and `pki mx.example.org` in the `listen` line.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 8461, 4.2
    /// - RFC 5280, 6.1
    "self-signed" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        if judgement.end != End::SelfSigned {
            return Outcome::Passed(String::new());
        }
        let subject = chain[0].details().map_or_else(str::to_owned, |details| short(details.subject.as_str()));
        let violation = Violation::new("the certificate is signed by its own key, and no CA vouches for it");
        not_trusted(context, chain, judgement, violation.evidence(format!("subject and issuer: {subject}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{World, kind, messages};

    #[test]
    fn a_certificate_of_its_own_key_is_found() {
        let mut world = World::correct();
        world.chain = vec![World::self_signed()];
        let outcome = world.judge(&RULE);
        assert_eq!(messages(&outcome), ["the certificate is signed by its own key, and no CA vouches for it"]);
    }

    #[test]
    fn a_trusted_one_passes() {
        let mut world = World::correct();
        world.chain = vec![World::self_signed()];
        world.stores[0].anchors.push(world.chain[0].der().to_vec().into());
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }

    #[test]
    fn without_a_trust_store_nothing_is_said() {
        let mut world = World::correct();
        world.chain = vec![World::self_signed()];
        world.stores.clear();
        assert_eq!(kind(&world.judge(&RULE)), "undetermined");
    }
}
