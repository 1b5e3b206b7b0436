use super::each_link;
use crate::rules::{Context, Outcome, Violation, rule};

rule! {
    /// The server and a CA above it have one key.
    ///
    /// ## What it checks
    ///
    /// The key of the server's certificate is also that of an intermediate above it, or of the root.
    ///
    /// ## Why it matters
    ///
    /// The key of a mail server lies on its disk, where programs read it. Whoever gets hold of this one not only
    /// stands in for the server: it signs certificates for any name that the CA may certify. No sender looks for it.
    ///
    /// ## Remedy
    ///
    /// Generate a key for the server alone and have the CA sign a new certificate. Keep the CA's key elsewhere; if it
    /// was on the server, make a new CA.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:2048 -nodes -keyout mx.key -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 2048 -DomainName mx.example.org`
    ///
    /// ## References
    ///
    /// - NIST SP 800-57 Part 1 Rev. 5, 5.2
    "key-of-issuer" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let Some((leaf, above)) = links.split_first() else { return Outcome::Passed(String::new()) };
        let same = above.iter().filter(|link| link.details.key.sha256 == leaf.details.key.sha256);
        let violations: Vec<Violation> =
            same.map(|link| Violation::new(format!("the server's certificate has the key of its CA, {}", link.what))).collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{World, kind, messages};

    #[test]
    fn a_ca_with_the_key_of_the_server_is_found() {
        let mut world = World::correct();
        assert_eq!(kind(&world.judge(&RULE)), "passed");
        world.chain[0] = world.issuing.leaf_of_its_own_key();
        let words = "the server's certificate has the key of its CA, certificate 2 (CN=Issuing CA)";
        assert_eq!(messages(&world.judge(&RULE)), [words]);
    }

    #[test]
    fn a_certificate_signed_by_its_own_key_has_no_ca() {
        let mut world = World::correct();
        world.chain = vec![World::self_signed()];
        assert_eq!(kind(&world.judge(&RULE)), "passed");
    }
}
