use super::{dh_violation, each_dh_group, is_for_anonymous_suites};
use crate::rules::{Context, Outcome, rule};

rule! {
    /// The Diffie-Hellman group is too small.
    ///
    /// ## What it checks
    ///
    /// The server sends a finite-field Diffie-Hellman group whose modulus has 1024 to 2047 bits, for a suite with a
    /// certificate. OpenSSL by itself takes 1024 bits for some suites without one; whoever settles for those has no
    /// protection from an active attacker, whatever the group, and `anonymous-suites` speaks of them.
    ///
    /// ## Why it matters
    ///
    /// 1024 bits are thought to be within reach of states. Senders that ask for 112 bits of security (OpenSSL
    /// from security level 2 on, as Debian sets it) break off the handshake where they do not offer ECDHE.
    ///
    /// ## Remedy
    ///
    /// Use a group of 2048 bits or more, or leave the suites with finite-field Diffie-Hellman out.
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
    /// - RFC 7919, 1
    /// - CVE-2015-4000
    "weak-dh-group" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_dh_group(context, |group| {
        let is_violated = (1024..2048).contains(&group.bits) && !is_for_anonymous_suites(group);
        is_violated.then(|| dh_violation(format!("the finite-field Diffie-Hellman group has {} bits only", group.bits), group))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        facts::Offers,
        rules::test_facts::{World, kind},
        tls::Suite,
    };

    #[rstest]
    #[case(1023, "passed")]
    #[case(1024, "violated")]
    #[case(2047, "violated")]
    #[case(2048, "passed")]
    fn the_size_decides(#[case] bits: u32, #[case] expected: &str) {
        assert_eq!(kind(&World::correct().judge_offers(&RULE, Offers::good().dh(bits, "17"))), expected);
    }

    #[rstest]
    #[case(&["TLS_DH_anon_WITH_AES_128_CBC_SHA"], "passed")]
    #[case(&["TLS_DH_anon_WITH_AES_128_CBC_SHA", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA"], "violated")]
    fn suites_without_a_certificate_are_another_matter(#[case] suites: &[&str], #[case] expected: &str) {
        let suites: Vec<Suite> = suites.iter().map(|name| Suite::from_name(name).unwrap()).collect();
        let offers = Offers::good().dh(1024, "17").with(|offers| offers.dh[0].suites = suites);
        assert_eq!(kind(&World::correct().judge_offers(&RULE, offers)), expected);
    }
}
