use super::{each_end, not_trusted};
use crate::rules::{Context, Outcome, ResultType, Violation, certificate_text, path::End, rule};

rule! {
    /// The signature of a certificate is wrong.
    ///
    /// ## What it checks
    ///
    /// A certificate names its issuer and the key that signed it; a certificate of that name and key is there,
    /// and the signature is not one of that key. So the certificate was changed after it was signed, or its
    /// issuer's name and key identifier were put together with another key.
    ///
    /// ## Why it matters
    ///
    /// Every sender that verifies refuses it, most without saying more than "not trusted". A file that lost a
    /// byte in an editor or in a transfer looks like this, and so does a forgery.
    ///
    /// ## Remedy
    ///
    /// Fetch the certificate from the CA again and replace the file; if it is the same, have it issued anew.
    /// `openssl verify -untrusted chain.pem mx.pem` names the certificate.
    ///
    /// - Postfix: replace the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: replace the file of `tls_certificate`.
    /// - Sendmail: replace the files of `confSERVER_CERT` and `confCACERT`, then restart it.
    /// - OpenSMTPD: replace the file of `pki mx.example.org cert`, then restart it.
    /// - Exchange: import it with `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 6.1.3
    /// - RFC 5280, 4.2.1.1
    "bad-signature" { practice: PublicCa, severity: Fail, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_end(context, |chain, judgement| {
        let End::WrongSignature { index, issuer } = &judgement.end else { return Outcome::Passed(String::new()) };
        let what = certificate_text(chain, *index);
        let violation = Violation::new(format!("the signature on {what} was not made by the issuer that it names"))
            .evidence(format!("issuer: {issuer}; the key identifiers agree, the signature does not"));
        not_trusted(context, chain, judgement, violation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Certificate;
    use crate::rules::test_facts::{World, kind, messages};

    /// The same certificate with its last bit changed, which is one of the signature.
    fn changed(certificate: &Certificate) -> Certificate {
        let mut der = certificate.der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        Certificate::from_der(&der)
    }

    fn with_key_identifiers() -> World {
        let mut world = World::correct();
        world.issuing = world.root.intermediate_with("Issuing CA", |p| p.use_authority_key_identifier_extension = true);
        let leaf = world.issuing.leaf(|p| p.use_authority_key_identifier_extension = true);
        world.chain = vec![leaf, world.issuing.certificate.clone()];
        world
    }

    #[test]
    fn a_changed_bit_is_found_and_named() {
        let mut world = with_key_identifiers();
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain[0] = changed(&world.chain[0]);
        let message = "the signature on the server's certificate was not made by the issuer that it names";
        assert_eq!(messages(&world.judge(&RULE)), [message]);
    }

    #[test]
    fn so_is_one_of_the_intermediate() {
        let mut world = with_key_identifiers();
        world.chain[1] = changed(&world.chain[1]);
        assert!(messages(&world.judge(&RULE))[0].contains("certificate 2 (CN=Issuing CA)"));
    }

    /// A CA with a new key keeps its name: what the old key signed is not wrong, its issuer is missing.
    #[test]
    fn another_key_of_that_name_is_no_wrong_signature() {
        let mut world = with_key_identifiers();
        world.chain[1] = world.root.intermediate("Issuing CA").certificate;
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }
}
