use super::{
    known,
    policy::{graded, not_judged},
};
use crate::{
    facts::{DhGroup, GroupList},
    rules::{
        Context, Outcome, rule,
        offers::{Known, SSL3_TO_TLS12, each_offers, passed},
        policy::Standing,
    },
    tls::{Group, SuiteFamily},
};

rule! {
    /// Key exchange groups are taken that the policy does not allow.
    ///
    /// ## What it checks
    ///
    /// Every curve, group and post-quantum mechanism that the server takes, and every finite-field group that
    /// it sends, stands in the list of the policy that judges. What is listed as to be phased out warns;
    /// whatever is not listed fails. Not applicable under a policy without such a list, as `mtalab` is.
    ///
    /// ## Why it matters
    ///
    /// Guidelines disagree on what is still good enough for mail. This rule says where the server departs from
    /// the one that was asked for; whether that is a fault is for the guideline's readers to decide.
    ///
    /// ## Remedy
    ///
    /// Read the lists that the policy names: `mtalab policies` tells where they come from.
    ///
    /// - Postfix: `tls_eecdh_auto_curves = X25519 prime256v1 secp384r1`, and `smtpd_tls_exclude_ciphers = kEDH`
    ///   where no finite-field group is allowed.
    /// - Exim: `tls_eccurve` with OpenSSL; `GROUP-` words of `tls_require_ciphers` with GnuTLS.
    /// - Sendmail: `Groups` in `openssl.cnf` decides.
    /// - OpenSMTPD: the TLS library decides; update it.
    /// - Exchange: `Disable-TlsEccCurve`.
    ///
    /// ## References
    ///
    /// - NCSC-NL TLS guidelines 2025-05, 3.3.3
    /// - Mozilla Server Side TLS 6.0
    "group-outside-policy" { practice: StrongKeys, severity: Fail, result_type: None }
}

fn judge(context: &Context) -> Outcome {
    let Some(list) = &context.policy.groups else { return not_judged(context.policy, "groups") };
    each_offers(context, |asked| {
        let standing = |group: Option<Group>| group.map_or(Standing::Outside, |group| list.standing(&group));
        let mut taken: Vec<(Standing, String)> =
            asked.accepted_groups().into_iter().map(|group| (standing(Some(group)), group.to_string())).collect();
        taken.extend(asked.offers.dh.iter().take(16).map(|dh| {
            let group = named(dh);
            let name = group.map_or_else(|| format!("a finite-field group of {} bits", dh.bits), |group| group.to_string());
            (standing(group), name)
        }));
        let found = graded(taken.iter().map(|(standing, name)| (*standing, name)), context.policy, "takes");
        let is_unlisted = |group: Group| list.standing(&group) != Standing::Accepted;
        found.unwrap_or_else(|| {
            let finite = match asked.family(SuiteFamily::Dhe, &SSL3_TO_TLS12) {
                Known::Yes => Known::No,
                other => other,
            };
            asked.outcome(Known::any([asked.group(GroupList::All, is_unlisted), finite]), passed, passed)
        })
    })
}

/// The group of RFC 7919 that has this prime.
fn named(dh: &DhGroup) -> Option<Group> {
    Group::from_name(&known(dh)?.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Depth, Offers},
        finding::Severity,
        rules::{
            policy::find,
            test_facts::{World, kind},
        },
        tls::Version,
    };

    fn judged(policy: &str, offers: Offers) -> Outcome {
        World::correct().judge_by(find(policy).unwrap(), &RULE, offers)
    }

    #[test]
    fn finite_fields_count_too() {
        use crate::rules::tls::primes::digits;
        let Outcome::Violated(found) = judged("ncsc-nl-2025", Offers::good().dh(3072, digits("ffdhe3072"))) else { panic!() };
        assert_eq!((found.len(), found[0].severity), (1, Some(Severity::Warn)));
        assert_eq!(found[0].message, "the server takes ffdhe3072, which ncsc-nl-2025 phases out");
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::good().dh(2048, digits("ffdhe2048")))), "violated");
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::good().dh(2048, digits("MODP group 14")))), "violated");
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::good().curves(&["sect163k1"]))), "violated");
        assert_eq!(kind(&judged("ncsc-nl-2025", Offers::good())), "passed");
        assert_eq!(kind(&judged("mozilla-intermediate", Offers::good())), "passed");
        assert_eq!(kind(&judged("mozilla-intermediate", Offers::unanswered())), "undetermined");
        assert_eq!(kind(&judged("mozilla-intermediate", Offers::unasked(Depth::Quick))), "not-applicable");
        assert_eq!(kind(&judged("mtalab", Offers::good().lose(Version::Tls10))), "not-applicable");
    }
}
