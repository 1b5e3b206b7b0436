use super::{bits, dh_violation, each_dh_group};
use crate::rules::{Context, Outcome, rule};

rule! {
    /// The Diffie-Hellman group can be broken.
    ///
    /// ## What it checks
    ///
    /// The server sends a finite-field Diffie-Hellman group whose modulus has fewer than 1024 bits, for any
    /// suite, export suites included.
    ///
    /// ## Why it matters
    ///
    /// The discrete logarithm in a group of 512 bits takes minutes after a week of preparation, and 768 bits
    /// were done by academics. Senders with a current TLS library break off the handshake.
    ///
    /// ## Remedy
    ///
    /// Use a group of 2048 bits or more.
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
    /// - RFC 9325, 4.5
    /// - CVE-2015-4000
    "broken-dh-group" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_dh_group(context, |group| {
        let is_violated = group.bits < 1024;
        is_violated.then(|| dh_violation(format!("the finite-field Diffie-Hellman group has {}", bits(group)), group))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Offers,
        rules::test_facts::{World, kind},
    };

    #[rstest]
    #[case(512, "violated")]
    #[case(1023, "violated")]
    #[case(1024, "passed")]
    #[case(2048, "passed")]
    fn the_size_decides(#[case] bits: u32, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_offers(&RULE, Offers::good().dh(bits, "17"))), expected);
    }
}
