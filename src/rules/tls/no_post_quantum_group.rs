use crate::{
    facts::GroupList,
    rules::{
        Context, Outcome, Violation, rule,
        offers::{Known, each_offers, passed, violated},
    },
    tls::{Group, GroupKind, Version},
};

rule! {
    /// No post-quantum key exchange is taken.
    ///
    /// ## What it checks
    ///
    /// The server takes no group with a post-quantum mechanism, alone or in a hybrid such as X25519MLKEM768.
    /// They exist in TLS 1.3 only.
    ///
    /// ## Why it matters
    ///
    /// Mail that is recorded today can be read by whoever has a large quantum computer one day. Senders of
    /// today still offer ordinary groups beside the hybrid ones, so nothing breaks.
    ///
    /// ## Remedy
    ///
    /// Nothing needs to be done yet. A server gets these groups with its TLS library.
    ///
    /// - Postfix: built with OpenSSL 3.5 or later, with `tls_eecdh_auto_curves` at its default; else put
    ///   `X25519MLKEM768` first in it.
    /// - Exim: with OpenSSL 3.5 or later, `tls_eccurve = X25519MLKEM768:X25519:prime256v1`.
    /// - Sendmail: built with OpenSSL 3.5 or later.
    /// - OpenSMTPD: built with OpenSSL 3.5 or later.
    /// - Exchange: waits for Schannel.
    ///
    /// ## References
    ///
    /// - draft-ietf-tls-ecdhe-mlkem
    /// - NIST FIPS 203
    /// - RFC 9325, 4.1
    "no-post-quantum-group" { practice: StrongKeys, severity: Notice, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    each_offers(context, |asked| {
        let in_session = asked.view.session.tls.seen().and_then(|tls| Group::from_name(tls.group.as_deref()?));
        if in_session.is_some_and(is_post_quantum) {
            return passed();
        }
        if asked.version(Version::Tls12) == Known::No && asked.versions().is_empty() {
            return Outcome::NotApplicable("no TLS handshake was answered".to_owned());
        }
        let none = || violated(Violation::new("the server takes no post-quantum key exchange"));
        asked.outcome(asked.group(GroupList::PostQuantum, is_post_quantum), passed, none)
    })
}

fn is_post_quantum(group: Group) -> bool {
    matches!(group.kind(), Some(GroupKind::Hybrid | GroupKind::PostQuantum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Failure, GroupList, Observed, Offers},
        rules::test_facts::{World, kind},
    };

    fn judged(offers: Offers) -> Outcome {
        World::correct().judge_offers(&RULE, offers)
    }

    #[test]
    fn a_hybrid_is_enough() {
        assert_eq!(kind(&judged(Offers::good())), "passed");
        assert_eq!(kind(&judged(Offers::good().groups(&["x25519"]))), "violated");
        let grouped = |offers: Offers| offers.with(|offers| offers.groups.complete = vec![GroupList::PostQuantum]);
        assert_eq!(kind(&judged(grouped(Offers::good().groups(&["x25519"])))), "violated");
        let without_tls13 = || Offers::good().refuse(Version::Tls13).groups(&[]);
        assert_eq!(kind(&judged(without_tls13())), "violated");
        let refuses_all = World::correct().judge_from(1, &RULE, |views| {
            views[0].session.tls = Observed::Failed(Failure::Closed);
            views[0].offers = Observed::Seen(without_tls13().refuse(Version::Tls12));
        });
        assert_eq!(kind(&refuses_all), "not-applicable");
        assert_eq!(kind(&judged(Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged(Offers::unasked(Depth::Full))), "not-applicable");
    }
}
