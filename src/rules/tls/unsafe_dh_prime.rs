use super::{Modulus, bits, dh_violation, each_modulus};
use crate::rules::{Context, Outcome, rule};

rule! {
    /// The Diffie-Hellman prime is no safe prime.
    ///
    /// ## What it checks
    ///
    /// The modulus p of a finite-field Diffie-Hellman group is prime, (p - 1) / 2 is not, and the group is none
    /// whose standard names a large prime order of the generator (RFC 5114, the DSA parameters of Java).
    ///
    /// ## Why it matters
    ///
    /// The generator may lie in a small subgroup, in which secrets can be found piece by piece; TLS before 1.3
    /// does not tell the client the order, so no client can check it.
    ///
    /// ## Remedy
    ///
    /// Use a group with a safe prime, as `openssl dhparam` makes them and RFC 7919 lists them.
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
    /// - RFC 7919, 5.1
    "unsafe-dh-prime" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_modulus(context, |group, modulus| {
        let message = || format!("the prime of the finite-field Diffie-Hellman group of {} is no safe prime", bits(group));
        matches!(modulus, Modulus::Unsafe).then(|| dh_violation(message(), group))
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
    #[case(5, "1d", "violated")]
    #[case(5, "17", "passed")]
    #[case(5, "15", "passed")]
    #[case(2048, digits("MODP group 24"), "passed")]
    #[case(9000, &"f".repeat(2250), "undetermined")]
    fn the_modulus_is_looked_at(#[case] bits: u32, #[case] prime: &str, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_offers(&RULE, Offers::good().dh(bits, prime))), expected);
    }
}
