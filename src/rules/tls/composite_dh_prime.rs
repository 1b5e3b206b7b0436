use super::{Modulus, bits, dh_violation, each_modulus};
use crate::rules::{Context, Outcome, rule};

rule! {
    /// The Diffie-Hellman modulus is no prime.
    ///
    /// ## What it checks
    ///
    /// The modulus of a finite-field Diffie-Hellman group that the server sends is tested for being prime.
    /// Moduli of more than 8192 bits are not judged.
    ///
    /// ## Why it matters
    ///
    /// Discrete logarithms modulo a product of small primes are easy: whoever knows the factors reads the
    /// sessions. It comes from a broken generator, from a copying mistake, or from intent.
    ///
    /// ## Remedy
    ///
    /// Replace the group by one whose origin is known.
    ///
    /// - Postfix: `openssl dhparam -out /etc/postfix/dh.pem 2048`, and `smtpd_tls_dh1024_param_file =
    ///   /etc/postfix/dh.pem`; despite its name the parameter takes any size.
    /// - Exim: `tls_dhparam = ffdhe2048` with OpenSSL; GnuTLS since 3.6 chooses by itself.
    /// - Sendmail: `DHParameters=2` (`confDH_PARAMETERS` in `sendmail.mc`), or the file of a group.
    /// - OpenSMTPD: `pki mx.example.org dhe auto`, or `none`.
    /// - Exchange: `ServerMinKeyBitLength` = 2048 under `SCHANNEL\KeyExchangeAlgorithms\Diffie-Hellman` of the
    ///   registry; better, disable the suites `TLS_DHE_*`.
    ///
    /// ## References
    ///
    /// - RFC 7919, 1
    /// - RFC 9325, 4.5
    "composite-dh-prime" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_modulus(context, |group, modulus| {
        let message = || format!("the modulus of the finite-field Diffie-Hellman group of {} is no prime", bits(group));
        matches!(modulus, Modulus::Composite).then(|| dh_violation(message(), group))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Offers,
        rules::{
            test_facts::{World, kind},
            tls::primes::digits,
        },
    };

    #[rstest]
    #[case(5, "15", "violated")]
    #[case(5, "17", "passed")]
    #[case(5, "1d", "passed")]
    #[case(1024, digits("Oakley group 2"), "passed")]
    #[case(9000, &"f".repeat(2250), "undetermined")]
    fn the_modulus_is_looked_at(#[case] bits: u32, #[case] prime: &str, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_offers(&RULE, Offers::good().dh(bits, prime))), expected);
    }
}
