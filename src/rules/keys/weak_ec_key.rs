use super::each_link;
use crate::{
    facts::{KeyAlgorithm, PublicKey},
    rules::{Context, Outcome, ResultType, Violation, rule},
};

rule! {
    /// The elliptic curve of the key is too small.
    ///
    /// ## What it checks
    ///
    /// The server's certificate, an intermediate above it or the root has a key on a curve of less than 224 bits, such as P-192.
    ///
    /// ## Why it matters
    ///
    /// A curve gives half of its bits as security: 96 for P-192, where 112 is the least that guidelines accept. No
    /// public CA issues such certificates, and no sender offers the curve by default.
    ///
    /// ## Remedy
    ///
    /// Generate a key on P-256, and have a new certificate issued for it. If it
    /// is the key of a CA, get the certificate from another one.
    ///
    /// - Postfix, Exim, Sendmail, OpenSMTPD: `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
    ///   -keyout mx.key -out mx.csr`
    /// - Exchange: `New-ExchangeCertificate -GenerateRequest -KeySize 2048 -DomainName mx.example.org`
    ///
    /// ## References
    ///
    /// - RFC 9325, 4.5
    /// - NIST SP 800-52 Rev. 2, 3.2
    /// - RFC 8422, 5.1.1
    "weak-ec-key" { practice: StrongKeys, severity: Fail, result_type: Some(ResultType::ValidationFailure) }
}

/// The least size of a curve, in bits: half of it is the security.
const LEAST: usize = 224;

fn judge(context: &Context) -> Outcome {
    each_link(context, |links| {
        let weak = links.iter().filter(|link| is_weak(&link.details.key));
        let violations: Vec<Violation> =
            weak.map(|link| Violation::new(format!("the key of {} is too short: {}", link.what, link.details.key))).collect();
        if violations.is_empty() { Outcome::Passed(String::new()) } else { Outcome::Violated(violations) }
    })
}

/// What a curve without a known size is worth is asked where RSA keys are judged.
fn is_weak(key: &PublicKey) -> bool {
    key.algorithm == KeyAlgorithm::Ec && (1..LEAST).contains(&key.bits)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules::test_facts::{World, kind};

    #[rstest]
    #[case(KeyAlgorithm::Ec, 192, true)]
    #[case(KeyAlgorithm::Ec, 224, false)]
    #[case(KeyAlgorithm::Ec, 0, false)]
    #[case(KeyAlgorithm::Rsa, 192, false)]
    fn small_curves_are_weak(#[case] algorithm: KeyAlgorithm, #[case] bits: usize, #[case] expected: bool) {
        let key = PublicKey { algorithm, bits, ..World::correct().chain[0].details().unwrap().key.clone() };
        assert_eq!(is_weak(&key), expected);
    }

    #[test]
    fn a_common_curve_is_not() {
        assert_eq!(kind(&World::correct().judge(&RULE)), "passed");
    }
}
