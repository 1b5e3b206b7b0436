use super::{dh_violation, each_dh_group, is_for_anonymous_suites, known};
use crate::rules::{Context, Outcome, rule};

rule! {
    /// The Diffie-Hellman prime is small and common.
    ///
    /// ## What it checks
    ///
    /// The finite-field Diffie-Hellman group for a suite with a certificate has at most 1024 bits, and its prime is one
    /// that a standard or a program gives to everyone.
    ///
    /// ## Why it matters
    ///
    /// Most of the work of breaking such a group is done once for the prime, and then serves against every
    /// server that uses it. For 1024 bits that work is thought to be within reach of states.
    ///
    /// ## Remedy
    ///
    /// Use a group of 2048 bits or more; it may be a common one.
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
    /// - CVE-2015-4000
    "common-dh-prime" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_dh_group(context, |group| {
        let prime = known(group).filter(|_| group.bits <= 1024 && !is_for_anonymous_suites(group))?;
        let message = format!("the finite-field Diffie-Hellman group is {}, which many servers have in common", prime.name);
        Some(dh_violation(message, group))
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
    #[case(1024, digits("Oakley group 2"), "violated")]
    #[case(1024, digits("the 1024-bit prime of Postfix before 3.1"), "violated")]
    #[case(2048, digits("MODP group 14"), "passed")]
    #[case(5, "17", "passed")]
    fn the_modulus_is_looked_at(#[case] bits: u32, #[case] prime: &str, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_offers(&RULE, Offers::good().dh(bits, prime))), expected);
    }
}
