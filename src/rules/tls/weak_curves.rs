use crate::{
    facts::GroupList,
    rules::{
        Context, Outcome, Violation, rule,
        offers::{each_offers, names, passed, violated},
    },
    tls::Group,
};

rule! {
    /// Weak elliptic curves are taken.
    ///
    /// ## What it checks
    ///
    /// The server takes an elliptic curve of fewer than 224 bits, which is less than 112 bits of strength, in
    /// TLS 1.3 or before.
    ///
    /// ## Why it matters
    ///
    /// Senders that also offer a strong curve may be given the weak one, and guidelines ask for 112 bits at the
    /// least. Current libraries know none of these curves.
    ///
    /// ## Remedy
    ///
    /// Take strong curves only.
    ///
    /// - Postfix: `tls_eecdh_auto_curves = X25519 prime256v1 secp384r1`.
    /// - Exim: with OpenSSL, `tls_eccurve = X25519:prime256v1:secp384r1` (a list from 4.97 on, one name
    ///   before); with GnuTLS, `+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1` in `tls_require_ciphers`.
    /// - Sendmail: `Groups` in `openssl.cnf` decides.
    /// - OpenSMTPD: the TLS library decides; update it.
    /// - Exchange: `Enable-TlsEccCurve` and `Disable-TlsEccCurve` (Windows Server 2016 or later);
    ///   `Get-TlsEccCurve` lists them.
    ///
    /// ## References
    ///
    /// - RFC 8422, 5.1.1
    /// - NIST SP 800-57 Part 1 Rev. 5, 5.6.1
    "weak-curves" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let taken = || {
            let weak: Vec<Group> = asked.accepted_groups().into_iter().filter(|group| is_weak(*group)).collect();
            violated(Violation::new(format!("the server takes weak elliptic curves: {}", names(&weak))))
        };
        asked.outcome(asked.group(GroupList::All, is_weak), taken, passed)
    })
}

/// Whether it has less than the 112 bits that are the least today.
fn is_weak(group: Group) -> bool {
    group.strength().is_some_and(|strength| strength < 112)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Offers},
        rules::test_facts::{World, kind, messages},
    };

    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_offers(&RULE, offers)
    }

    #[test]
    fn the_strength_decides() {
        let outcome = judged(Offers::good().curves(&["secp256r1", "secp192r1", "sect163k1"]));
        assert_eq!(messages(&outcome), ["the server takes weak elliptic curves: secp192r1, sect163k1"]);
        assert_eq!(kind(&judged(Offers::good().curves(&["secp224r1"]))), "passed");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Full))), "not-applicable");
    }
}
