use crate::rules::{Context, Outcome, ResultType, Violation, each_chain, rule};

rule! {
    /// The server's certificate is one of a CA.
    ///
    /// ## What it checks
    ///
    /// The basic constraints of the server's own certificate say that it is a CA.
    ///
    /// ## Why it matters
    ///
    /// Whoever takes the server's key can sign certificates that trust in it covers. Senders built on rustls
    /// refuse such a certificate for a server, others take it. It is usually the work of a script that makes
    /// a self-signed certificate with the settings of a CA.
    ///
    /// ## Remedy
    ///
    /// Have a certificate for a server issued: `basicConstraints=CA:FALSE`, or none at all.
    ///
    /// - Postfix: put it into the file of `smtpd_tls_chain_files`, then `postfix reload`.
    /// - Exim: name it in `tls_certificate`.
    /// - Sendmail: name it in `confSERVER_CERT`.
    /// - OpenSMTPD: name it in `pki mx.example.org cert`.
    /// - Exchange: `Import-ExchangeCertificate`, then `Enable-ExchangeCertificate -Services SMTP`.
    ///
    /// ## References
    ///
    /// - RFC 5280, 4.2.1.9
    "leaf-is-ca" { practice: PublicCa, severity: Warn, result_type: Some(ResultType::CertificateNotTrusted) }
}

fn judge(context: &Context) -> Outcome {
    each_chain(context, |_, chain| {
        let leaf = match chain[0].details() {
            Ok(leaf) => leaf,
            Err(why) => return Outcome::Undetermined(format!("the certificate cannot be read: {why}")),
        };
        let is_trusted = context.stores.iter().flat_map(|store| &store.anchors).any(|anchor| anchor.as_ref() == chain[0].der());
        // A self-signed certificate of an old tool says so by habit, and `self-signed` speaks of it where nobody trusts it.
        if !leaf.is_ca || (leaf.subject == leaf.issuer && !is_trusted) {
            return Outcome::Passed(String::new());
        }
        Outcome::Violated(vec![Violation::new("the server's certificate may sign certificates: it is one of a CA")])
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, IsCa};
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[rstest]
    #[case(IsCa::NoCa, "passed")]
    #[case(IsCa::ExplicitNoCa, "passed")]
    #[case(IsCa::Ca(BasicConstraints::Unconstrained), "violated")]
    #[case(IsCa::Ca(BasicConstraints::Constrained(0)), "violated")]
    fn the_basic_constraints_decide(#[case] is_ca: IsCa, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_leaf(&RULE, |params| params.is_ca = is_ca)), expected);
    }
}
