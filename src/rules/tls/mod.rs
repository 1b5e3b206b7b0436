//! Practice 2: what the server takes of what it is offered in TLS.

pub mod policy;
mod primes;

use super::{
    Context, Outcome, Violation,
    offers::{Asked, Known, SSL3_TO_TLS12, each_offers, names, passed, violated, with_evidence},
    rules,
};
use crate::{
    facts::{DhGroup, Facts, Features, Observed},
    tls::{Authentication, Suite, SuiteFamily, Version},
};
pub use primes::{Moduli, Modulus, WellKnown, known};

rules! {
    ssl2_offered,
    ssl3_offered,
    obsolete_versions_only,
    tls10_offered,
    tls11_offered,
    null_suites,
    anonymous_suites,
    export_suites,
    rc4_suites,
    single_des_suites,
    triple_des_suites,
    static_key_exchange,
    no_forward_secrecy,
    no_aead_suites,
    weak_suites_preferred,
    broken_dh_group,
    weak_dh_group,
    composite_dh_prime,
    unsafe_dh_prime,
    common_dh_prime,
    weak_curves,
    no_common_curve,
    no_post_quantum_group,
    weak_handshake_signature,
    no_secure_renegotiation,
    tls_compression,
    no_extended_master_secret,
    certificates_differ,
    other_certificate_without_sni,
    version_outside_policy,
    suite_outside_policy,
    group_outside_policy,
    key_outside_policy,
    signature_outside_policy,
    scheme_outside_policy,
}

/// Judges whether a version is offered that should not be.
fn each_version(context: &Context, version: Version) -> Outcome {
    each_offers(context, |asked| {
        let taken = || {
            let suites = asked.offers.version(version).map(|offer| offer.suites.accepted.as_slice()).unwrap_or_default();
            let lines = (!suites.is_empty()).then(|| format!("suites: {}", super::offers::names(suites)));
            violated(with_evidence(format!("the server takes {version}"), lines))
        };
        asked.outcome(asked.version(version), taken, passed)
    })
}

/// Judges whether suites of a family are taken from SSL 3.0 to TLS 1.2; `what` names them.
fn each_family(context: &Context, family: SuiteFamily, what: &str) -> Outcome {
    each_offers(context, |asked| {
        let taken = || violated(with_evidence(format!("the server takes {what}"), lines(&asked, |suite| suite.is_in(family))));
        asked.outcome(asked.family(family, &SSL3_TO_TLS12), taken, passed)
    })
}

/// The suites of a kind that were taken from SSL 3.0 to TLS 1.2.
fn lines(asked: &Asked, is_wanted: impl Fn(Suite) -> bool) -> Vec<String> {
    // The cipher kinds of SSL 2.0 have more than 16 bits.
    asked.suite_lines(|suite| suite.0 <= 0xffff && is_wanted(suite))
}

/// Judges that the server takes some suite of a kind; TLS 1.3 has no others.
fn each_has(context: &Context, families: &[SuiteFamily], message: &str) -> Outcome {
    each_offers(context, |asked| {
        let known = families.iter().map(|family| asked.family(*family, &SSL3_TO_TLS12));
        let known = Known::any(known.chain([asked.version(Version::Tls13)]));
        // The session, too, offers no other suites.
        if asked.session_version().is_some() {
            return passed();
        }
        let none = || match lines(&asked, |_| true) {
            taken if taken.is_empty() => Outcome::NotApplicable("no suite of SSL 3.0 or later is taken".to_owned()),
            taken => violated(with_evidence(message, taken)),
        };
        asked.outcome(known, passed, none)
    })
}

/// Judges what the first answer of TLS 1.2 or older shows; TLS 1.3 is as it should be by itself.
fn each_features(context: &Context, is_right: impl Fn(&Features) -> bool, message: &str) -> Outcome {
    each_offers(context, |asked| {
        if let Observed::NotAttempted(_) = asked.offers.features
            && SSL3_TO_TLS12.iter().all(|version| asked.version(*version) == Known::No)
        {
            return passed();
        }
        asked.observed("what the server confirms in TLS 1.2 or older", &asked.offers.features, |features| {
            if is_right(features) {
                return passed();
            }
            violated(Violation::new(message).evidence(format!("seen in its answer in {}", features.version)))
        })
    })
}

/// Judges the finite-field groups that the server sent; none where a group is as it should be.
fn each_dh_group(context: &Context, judge: impl Fn(&DhGroup) -> Option<Violation>) -> Outcome {
    each_group(context, |group| Ok(judge(group)))
}

/// Judges what their moduli are, each once for all rules that ask.
fn each_modulus(context: &Context, judge: impl Fn(&DhGroup, Modulus) -> Option<Violation>) -> Outcome {
    each_group(context, |group| {
        let modulus = context.modulus(group);
        modulus.why_unknown().map_or_else(|| Ok(judge(group, modulus)), Err)
    })
}

/// More groups than any server has; one that was made to be expensive sends more.
const MOST_GROUPS: usize = 16;

/// The groups of all views that are looked at.
pub fn groups(facts: &Facts) -> impl Iterator<Item = &DhGroup> {
    facts.views.iter().filter_map(|view| view.offers.seen()).flat_map(|offers| offers.dh.iter().take(MOST_GROUPS))
}

fn each_group(context: &Context, judge: impl Fn(&DhGroup) -> Result<Option<Violation>, String>) -> Outcome {
    each_offers(context, |asked| {
        let groups = &asked.offers.dh;
        let judged: Vec<_> = groups.iter().take(MOST_GROUPS).map(&judge).collect();
        let mut violations: Vec<Violation> = Vec::new();
        for violation in judged.iter().filter_map(|judged| judged.clone().ok().flatten()) {
            match violations.iter_mut().find(|known| known.message == violation.message) {
                Some(known) => {
                    let new = violation.evidence.into_iter().filter(|line| !known.evidence.contains(line)).collect::<Vec<_>>();
                    known.evidence.extend(new);
                }
                None => violations.push(violation),
            }
        }
        if !violations.is_empty() {
            return Outcome::Violated(violations);
        }
        if let Some(why) = judged.into_iter().find_map(Result::err) {
            return Outcome::Undetermined(why);
        }
        if groups.len() > MOST_GROUPS {
            return Outcome::Undetermined(format!(
                "the server sent {} finite-field groups, and {MOST_GROUPS} are looked at",
                groups.len()
            ));
        }
        let known = asked.family(SuiteFamily::Dhe, &SSL3_TO_TLS12);
        match (groups.is_empty(), known) {
            (true, Known::Yes) => Outcome::Undetermined("the finite-field group of the server was not seen".to_owned()),
            (false, Known::Yes | Known::No | Known::Unasked) => passed(),
            (_, known) => asked.outcome(known, passed, passed),
        }
    })
}

/// `1 bit`, `512 bits`.
fn bits(group: &DhGroup) -> String {
    if group.bits == 1 { "1 bit".to_owned() } else { format!("{} bits", group.bits) }
}

/// Whether a finite-field group was sent for suites without a certificate alone.
fn is_for_anonymous_suites(group: &DhGroup) -> bool {
    group.suites.iter().all(|suite| suite.authentication() == Authentication::Anonymous)
}

/// A violation of a finite-field group, with what is known of it.
fn dh_violation(message: String, group: &DhGroup) -> Violation {
    let prime = |prime: &WellKnown| format!("; the prime is {} ({})", prime.name, prime.source);
    let known = known(group).map_or_else(String::new, prime);
    Violation::new(message).evidence(format!("sent for {}{known}", names(&group.suites)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::{
        facts::{Depth, Observed, Offers},
        rules::{
            Outcome, find,
            offers::OLDER_VERSION,
            test_facts::{World, kind, messages},
        },
        tls::Version,
    };

    #[rstest]
    #[case("ssl2-offered", Version::Ssl2, "SSL_CK_RC4_128_WITH_MD5")]
    #[case("ssl3-offered", Version::Ssl3, "TLS_RSA_WITH_AES_128_CBC_SHA")]
    #[case("tls10-offered", Version::Tls10, "TLS_RSA_WITH_AES_128_CBC_SHA")]
    #[case("tls11-offered", Version::Tls11, "TLS_RSA_WITH_AES_128_CBC_SHA")]
    fn a_version_is_told_by_its_answer(#[case] id: &str, #[case] version: Version, #[case] suite: &str) {
        let (world, rule) = (World::correct(), find(id).unwrap());
        let outcome = world.judge_offers(rule, Offers::good().accept(version, &[suite]));
        assert_eq!(messages(&outcome), [format!("the server takes {version}")]);
        assert!(format!("{outcome:?}").contains(suite));
        assert_eq!(kind(&world.judge_offers(rule, Offers::good())), "passed");
        assert_eq!(kind(&world.judge_offers(rule, Offers::good().lose(version))), "undetermined");
        assert_eq!(kind(&world.judge_offers(rule, Offers::unanswered())), "undetermined");
        let unasked = Outcome::NotApplicable("not asked at --probe quick".to_owned());
        assert_eq!(world.judge_offers(rule, Offers::unasked(Depth::Quick)), unasked);
        assert_eq!(kind(&world.judge(rule)), "not-applicable");
    }

    #[rstest]
    #[case("null-suites", "TLS_RSA_WITH_NULL_SHA256")]
    #[case("anonymous-suites", "TLS_DH_anon_WITH_AES_128_CBC_SHA")]
    #[case("export-suites", "TLS_RSA_EXPORT_WITH_RC4_40_MD5")]
    #[case("rc4-suites", "TLS_RSA_WITH_RC4_128_SHA")]
    #[case("single-des-suites", "TLS_RSA_WITH_DES_CBC_SHA")]
    #[case("triple-des-suites", "TLS_RSA_WITH_3DES_EDE_CBC_SHA")]
    #[case("static-key-exchange", "TLS_RSA_WITH_AES_128_GCM_SHA256")]
    fn a_family_is_told_by_its_suites(#[case] id: &str, #[case] suite: &str) {
        let (world, rule) = (World::correct(), find(id).unwrap());
        for version in [Version::Ssl3, Version::Tls10, Version::Tls12] {
            let outcome = world.judge_offers(rule, Offers::good().accept(version, &[suite]));
            assert_eq!(kind(&outcome), "violated", "{version}");
            assert!(format!("{outcome:?}").contains(&format!("{version}: {suite}")), "{outcome:?}");
        }
        assert_eq!(kind(&world.judge_offers(rule, Offers::good())), "passed");
        assert_eq!(kind(&world.judge_offers(rule, Offers::good().lose(Version::Tls10))), "undetermined");
        // A grouped question that was not asked in every version.
        let unasked = Offers::good().accept(Version::Tls10, &[]).with(|offers| {
            offers.depth = Depth::Standard;
            offers.versions[2].suites.complete.clear();
        });
        let expected = Outcome::NotApplicable("not asked at --probe standard".to_owned());
        assert_eq!(world.judge_offers(rule, unasked), expected);
        assert_eq!(kind(&world.judge(rule)), "not-applicable");
    }

    /// What SSL 2.0 has is the matter of its own rule, answered or not.
    #[test]
    fn the_suites_of_ssl2_do_not_count() {
        let world = World::correct();
        for id in ["rc4-suites", "export-suites", "single-des-suites", "triple-des-suites", "static-key-exchange"] {
            let offers = Offers::good().accept(Version::Ssl2, &["SSL_CK_RC4_128_EXPORT40_WITH_MD5"]);
            assert_eq!(kind(&world.judge_offers(find(id).unwrap(), offers)), "passed", "{id}");
            assert_eq!(kind(&world.judge_offers(find(id).unwrap(), Offers::good().lose(Version::Ssl2))), "passed", "{id}");
        }
    }

    #[rstest]
    #[case("no-forward-secrecy", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_GCM_SHA256")]
    #[case("no-aead-suites", "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA")]
    fn a_server_that_lacks_a_kind_is_told(#[case] id: &str, #[case] good: &str, #[case] bad: &str) {
        let (world, rule) = (World::correct(), find(id).unwrap());
        let judge = |offers: Offers| {
            world.judge_from(1, rule, |views| {
                views[0].session.tls = Observed::Failed(crate::facts::Failure::Tls(OLDER_VERSION.to_owned()));
                views[0].offers = Observed::Seen(offers);
            })
        };
        let old = |suites: &[&str]| Offers::good().refuse(Version::Tls13).accept(Version::Tls12, suites);
        assert_eq!(kind(&judge(old(&[bad]))), "violated");
        assert_eq!(kind(&judge(old(&[bad, good]))), "passed");
        assert_eq!(kind(&judge(Offers::good())), "passed");
        assert_eq!(kind(&judge(old(&[bad]).lose(Version::Tls11))), "undetermined");
        assert_eq!(kind(&judge(Offers::unasked(Depth::Quick))), "not-applicable");
        // The handshake of the session had nothing else to offer.
        assert_eq!(kind(&world.judge_offers(rule, old(&[bad]))), "passed");
    }

    #[rstest]
    #[case("broken-dh-group")]
    #[case("weak-dh-group")]
    #[case("composite-dh-prime")]
    #[case("unsafe-dh-prime")]
    #[case("common-dh-prime")]
    fn a_server_without_finite_field_groups_passes(#[case] id: &str) {
        let (world, rule) = (World::correct(), find(id).unwrap());
        assert_eq!(kind(&world.judge_offers(rule, Offers::good())), "passed");
        assert_eq!(kind(&world.judge_offers(rule, Offers::unanswered())), "undetermined");
        let unseen = Offers::good().accept(Version::Tls12, &["TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"]);
        assert_eq!(kind(&world.judge_offers(rule, unseen)), "undetermined");
        assert_eq!(kind(&world.judge_offers(rule, Offers::unasked(Depth::Quick))), "not-applicable");
        assert_eq!(kind(&world.judge(rule)), "not-applicable");
        let many = (0..40).fold(Offers::good(), |offers, _| offers.dh(3072, "zz"));
        assert_eq!(kind(&world.judge_offers(rule, many)), "undetermined");
    }
}
