use crate::{
    facts::{Observed, Possession},
    rules::{Context, Outcome, ResultType, Violation, each_possession, rule, short, why_not},
};

rule! {
    /// The server does not hold the key of its certificate.
    ///
    /// ## What it checks
    ///
    /// The server's signature over the TLS handshake is wrong: the key that made it is not the key in
    /// the certificate.
    ///
    /// ## Why it matters
    ///
    /// Every sender breaks off the handshake. Either key and certificate do not belong together, or
    /// something between sender and server shows a certificate that is not its own.
    ///
    /// ## Remedy
    ///
    /// Put the certificate and its own key together again; compare their public keys with
    /// `openssl x509 -in mx.pem -noout -pubkey` and `openssl pkey -in mx.key -pubout`.
    ///
    /// - Postfix: key and certificate stand in one file of `smtpd_tls_chain_files`.
    /// - Exim: `tls_privatekey` must be the key of `tls_certificate`.
    /// - Sendmail: `confSERVER_KEY` must be the key of `confSERVER_CERT`.
    /// - OpenSMTPD: `pki mx.example.org key` must be the key of `pki mx.example.org cert`.
    /// - Exchange: import certificate and key together, as a PFX file.
    ///
    /// ## References
    ///
    /// - RFC 8446, 4.4.3
    /// - RFC 5246, 7.4.3
    "key-possession-refuted" { practice: StrongKeys, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

fn judge(context: &Context) -> Outcome {
    each_possession(context, |view, possession| match possession {
        Observed::Seen(Possession::Refuted(why)) => {
            let violation = Violation::new("the server does not hold the key of its certificate");
            Outcome::Violated(vec![violation.evidence(format!("its signature over the handshake is wrong: {}", short(why)))])
        }
        Observed::Seen(Possession::Proven(_)) => Outcome::Passed(String::new()),
        Observed::Seen(Possession::NotVerified(why)) => {
            Outcome::Undetermined(format!("whether the server holds its key could not be verified: {}", short(why)))
        }
        other => Outcome::Undetermined(format!("the server has not proven that it holds its key: {}", why_not(view, other))),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{facts::Failure, rules::test_facts::{World, kind}};

    #[rstest]
    #[case(Observed::Seen(Possession::Refuted("rsa_pss_rsae_sha256".to_owned())), "violated")]
    #[case(Observed::Seen(Possession::Proven("rsa_pss_rsae_sha256".to_owned())), "passed")]
    #[case(Observed::Seen(Possession::NotVerified("ed448".to_owned())), "undetermined")]
    #[case(Observed::Failed(Failure::Closed), "undetermined")]
    fn a_wrong_signature_is_told_from_a_missing_one(#[case] possession: Observed<Possession>, #[case] expected: &str) {
        let outcome = World::correct().judge_from(1, &RULE, |views| views[0].session.possession = possession);
        assert_eq!(kind(&outcome), expected);
    }
}
