use super::each_link;
use crate::{
    facts::PublicKey,
    rules::{Context, Outcome, Violation, rule},
};

/// FIPS 186-5, 5.1 and A.1.1: larger than 2^16.
const LEAST: u64 = 65537;

rule! {
    /// The public exponent of the RSA key is small.
    ///
    /// ## What it checks
    ///
    /// The public exponent of the server's key, or of an intermediate's above it, is below 65537. An exponent of one,
    /// or an even one, is the matter of `broken-rsa-key`.
    ///
    /// ## Why it matters
    ///
    /// An exponent of 3 is not broken by itself, and forgives no mistake: verifiers that did not look at the padding
    /// to its end took forged signatures (CVE-2006-4339 and its followers). Public CAs have to refuse it.
    ///
    /// ## Remedy
    ///
    /// Generate a new key with the usual exponent and have a new certificate issued for it.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey rsa:2048 -nodes -keyout mx.key -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 2048 -DomainName mx.example.org`
    ///
    /// ## References
    ///
    /// - FIPS 186-5, A.1.1
    /// - CVE-2006-4339
    "small-rsa-exponent" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let small = links.iter().filter(|link| !link.is_root).filter_map(|link| Some((link, small(&link.details.key)?)));
        let violations: Vec<Violation> =
            small.map(|(link, exponent)| Violation::new(format!("the public exponent of {} is {exponent}", link.what))).collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

fn small(key: &PublicKey) -> Option<u64> {
    let is_usable = |exponent: &u64| *exponent > 1 && exponent % 2 == 1;
    key.exponent.filter(|exponent| key.is_rsa() && *exponent < LEAST && is_usable(exponent))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{Key, World};

    #[rstest]
    #[case(Some(1), None)]
    #[case(Some(2), None)]
    #[case(Some(3), Some(3))]
    #[case(Some(17), Some(17))]
    #[case(Some(65537), None)]
    #[case(None, None)]
    fn an_exponent_below_the_usual_is_small(#[case] exponent: Option<u64>, #[case] expected: Option<u64>) {
        let world = World::correct();
        let leaf = world.issuing.leaf_of(Key::Rsa(2048));
        let key = PublicKey { exponent, ..leaf.details().unwrap().key.clone() };
        assert_eq!(small(&key), expected);
    }
}
