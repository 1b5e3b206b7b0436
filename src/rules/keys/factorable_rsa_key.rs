use super::{
    each_link,
    factoring::{Factored, TooLarge, factored},
};
use crate::rules::{Context, Outcome, Violation, rule};

rule! {
    /// The RSA key can be factored, for all its length.
    ///
    /// ## What it checks
    ///
    /// The modulus of the server's certificate, of an intermediate above it or of the root is a product of two neighbouring
    /// primes, or bears the mark of a library whose primes were not random enough. The public key alone shows it.
    ///
    /// ## Why it matters
    ///
    /// Neighbouring primes are found within a second (CVE-2022-26320, printers and a crypto module). Primes of
    /// Infineon's library take days to weeks of rented computers for 2048 bits (CVE-2017-15361, smart cards and
    /// TPMs). Whoever does that can pose as the server, and no sender notices.
    ///
    /// ## Remedy
    ///
    /// Generate a new key (RSA with 2048 bits or more, or ECDSA on P-256) and have a new certificate
    /// issued for it. If it
    /// is the key of a CA, get the certificate from another one.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:2048 -nodes -keyout mx.key -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 2048 -DomainName mx.example.org`
    ///
    /// ## References
    ///
    /// - CVE-2022-26320
    /// - CVE-2017-15361
    /// - RFC 9325, 4.5
    "factorable-rsa-key" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let mut violations = Vec::new();
        let mut doubt = None;
        for link in links {
            let (message, evidence) = match factored(&link.details.key.modulus) {
                Ok(Some(Factored::ClosePrimes)) => ("its primes are neighbours", "Fermat's method finds them in a few steps"),
                Ok(Some(Factored::Roca)) => (
                    "it comes from a library with predictable primes",
                    "it is a power of 65537 modulo every odd prime up to 167",
                ),
                Ok(None) => continue,
                Err(TooLarge) => {
                    doubt = Some(format!("the key of {} is too large to try: {}", link.what, link.details.key));
                    continue;
                }
            };
            let violation = Violation::new(format!("the key of {} can be factored: {message}", link.what));
            violations.push(violation.evidence(evidence));
        }
        match (violations.is_empty(), doubt) {
            (false, _) => Outcome::Violated(violations),
            (true, Some(doubt)) => Outcome::Undetermined(doubt),
            (true, None) => Outcome::Passed(String::new()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::test_facts::{Key, World, kind};

    #[test]
    fn one_that_is_too_large_to_try_is_not_right() {
        let mut modulus = vec![0xff; 3000];
        modulus[0] = 0x7f;
        assert_eq!(factored(&modulus.iter().map(|byte| format!("{byte:02x}")).collect::<String>()), Err(TooLarge));
    }

    /// What is found is in the corpus: such keys take long to make.
    #[test]
    fn usual_keys_pass() {
        let mut world = World::correct();
        for key in [Key::P256, Key::Rsa(1024), Key::Rsa(2048)] {
            world.chain[0] = world.issuing.leaf_of(key);
            assert_eq!(kind(&world.judge(&RULE)), "passed");
        }
    }
}
