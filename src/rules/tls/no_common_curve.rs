use crate::{
    facts::GroupList,
    rules::{
        Context, Outcome, Violation, rule,
        offers::{each_offers, names, passed, violated},
    },
    tls::Group,
};

rule! {
    /// None of the usual elliptic curves is taken.
    ///
    /// ## What it checks
    ///
    /// The server does elliptic-curve key exchange, and takes none of x25519, secp256r1 and secp384r1, in TLS
    /// 1.3 or before.
    ///
    /// ## Why it matters
    ///
    /// These three are what senders offer. Without one of them the handshake ends, or falls back to a key
    /// exchange without forward secrecy.
    ///
    /// ## Remedy
    ///
    /// Take at least secp256r1, which every implementation must have, and x25519.
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
    /// - RFC 8446, 9.1
    /// - RFC 8422, 5.1.1
    "no-common-curve" { practice: StrongKeys, severity: Warn, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let in_session = asked.view.session.tls.seen().and_then(|tls| Group::from_name(tls.group.as_deref()?));
        if in_session.is_some_and(is_common) {
            return passed();
        }
        let none = || match asked.accepted_groups() {
            taken if taken.is_empty() => Outcome::NotApplicable("no elliptic-curve key exchange is taken".to_owned()),
            taken => violated(Violation::new(format!(
                "the server takes none of x25519, secp256r1 and secp384r1, but {}",
                names(&taken)
            ))),
        };
        asked.outcome(asked.group(GroupList::All, is_common), passed, none)
    })
}

fn is_common(group: Group) -> bool {
    matches!(group.name(), Some("x25519" | "secp256r1" | "secp384r1"))
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
    fn one_of_three_is_enough() {
        let outcome = judged(Offers::good().groups(&["secp521r1"]).curves(&["secp521r1"]));
        assert_eq!(messages(&outcome), ["the server takes none of x25519, secp256r1 and secp384r1, but secp521r1"]);
        assert_eq!(kind(&judged(Offers::good().groups(&["secp521r1"]).curves(&["x25519"]))), "passed");
        assert_eq!(kind(&judged(Offers::good().groups(&[]).curves(&[]))), "not-applicable");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Full))), "not-applicable");
    }

    #[test]
    fn the_session_counts() {
        let outcome = World::correct().judge_from(1, &RULE, |views| {
            let crate::facts::Observed::Seen(tls) = &mut views[0].session.tls else { panic!() };
            tls.group = Some("x25519".to_owned());
            views[0].offers = crate::facts::Observed::Seen(Offers::unanswered());
        });
        assert_eq!(kind(&outcome), "passed");
    }
}
