//! From facts to one outcome: each view, each chain of a view, and how their outcomes are joined.

use std::cell::OnceCell;

use super::{Context, Outcome, Violation, listed, path, short};
use crate::{
    facts::{
        Answer, Certificate, CertificateDetails, Failure, KeyAlgorithm, Observed, OcspResponse, Possession, Sni, VersionOffer,
        View,
    },
    tls::Version,
};

/// Judges each view alone and joins the outcomes: a violation anywhere outranks doubt,
/// doubt outranks a pass. Violations that read alike become one, with all their views.
///
/// A view that this machine could not even try (no route, no such source address) is no
/// evidence of anything and is left out, unless there is no other.
pub(super) fn each_view(context: &Context, judge: impl Fn(&View) -> Outcome) -> Outcome {
    join(tried(context).map(|(index, view)| (index, judge(view)))).unwrap_or_else(|| nothing_tried(context))
}

/// A chain that a view saw: that of its session, or another that was read where the session did not get it.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    label: Option<String>,
    /// As it was sent; may be empty.
    pub(super) certificates: &'a [Certificate],
    possession: &'a Observed<Possession>,
    is_of_session: bool,
    /// Signatures are checked once, whichever rule asks first.
    path: OnceCell<path::Judgement>,
}

impl<'a> Chain<'a> {
    /// The chains of a view for the target's own name, each end-entity certificate once.
    pub(super) fn all(view: &'a View) -> Vec<Self> {
        let of = |certificates: &'a Vec<Certificate>, possession, is_of_session| Self {
            label: None,
            certificates,
            possession,
            is_of_session,
            path: OnceCell::new(),
        };
        let session = &view.session;
        let mut all: Vec<Self> =
            session.certificates.seen().map(|chain| of(chain, &session.possession, true)).into_iter().collect();
        let served = view.offers.seen().into_iter().flat_map(|offers| &offers.chains);
        for served in served.filter(|served| served.sni == Sni::Target) {
            let Some(chain) = served.certificates.seen().filter(|chain| !chain.is_empty()) else { continue };
            match all.iter_mut().find(|known| known.certificates.first() == chain.first()) {
                // One wrong signature counts for more than a right one elsewhere.
                Some(known)
                    if known.possession.seen().is_none()
                        || matches!(served.possession, Observed::Seen(Possession::Refuted(_))) =>
                {
                    known.possession = &served.possession;
                }
                Some(_) => {}
                None => all.push(of(chain, &served.possession, false)),
            }
        }
        if all.len() > 1 {
            let names: Vec<String> = all.iter().map(Self::kind).collect();
            for (index, chain) in all.iter_mut().enumerate() {
                let earlier = names[..index].iter().filter(|name| **name == names[index]).count();
                let number = if earlier > 0 { format!(" {}", earlier + 1) } else { String::new() };
                chain.label = Some(format!("{} certificate{number}", names[index]));
            }
        }
        all
    }

    /// Its certification path; none where no certificate was sent.
    pub(super) fn judged(&self, context: &Context) -> Option<&path::Judgement> {
        (!self.certificates.is_empty())
            .then(|| self.path.get_or_init(|| path::judge(self.certificates, context.stores, context.now)))
    }

    /// Which of several certificates, `ECDSA certificate` for example; none where there is one only.
    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// `ECDSA`, `RSA`: the kind of its first certificate.
    fn kind(&self) -> String {
        let key = self.certificates.first().and_then(|leaf| leaf.details().ok()).map(|details| details.key.algorithm);
        match key {
            Some(KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss) => "RSA",
            Some(KeyAlgorithm::Ec) => "ECDSA",
            Some(KeyAlgorithm::Ed25519) => "Ed25519",
            Some(KeyAlgorithm::Ed448) => "Ed448",
            Some(KeyAlgorithm::Other) | None => "other",
        }
        .to_owned()
    }

    /// Says which certificate an outcome is about, where there are several.
    fn labelled(&self, outcome: Outcome) -> Outcome {
        let Some(label) = &self.label else { return outcome };
        let say = |text: String| if text.is_empty() { text } else { format!("{text} (the {label})") };
        match outcome {
            Outcome::Passed(words) => Outcome::Passed(say(words)),
            Outcome::NotApplicable(why) => Outcome::NotApplicable(say(why)),
            Outcome::Undetermined(why) => Outcome::Undetermined(say(why)),
            Outcome::Violated(mut violations) => {
                for violation in &mut violations {
                    violation.message = say(std::mem::take(&mut violation.message));
                }
                Outcome::Violated(violations)
            }
        }
    }
}

/// Judges each chain of each view, and once each view without one: what is wrong with one of several
/// certificates says which.
///
/// Where some view has a certificate, those that were simply not offered STARTTLS are left
/// out: they show who is offered it, and nothing about TLS.
fn each_tls_chain(context: &Context, judge: impl Fn(&View, &Chain) -> Outcome, without: impl Fn(&View) -> Outcome) -> Outcome {
    let has_certificate = |index: usize| !context.chains(index).is_empty();
    let is_any = tried(context).any(|(index, _)| has_certificate(index));
    let is_evidence = |index: usize, view: &View| has_certificate(index) || !(is_any && is_without_starttls(view));
    let views = tried(context).filter(|(index, view)| is_evidence(*index, view));
    let outcomes = views.flat_map(|(index, view)| {
        let chains = context.chains(index);
        let mut outcomes: Vec<Outcome> = chains.iter().map(|chain| judge(view, chain)).collect();
        if outcomes.iter().any(|outcome| *outcome != outcomes[0]) {
            outcomes = chains.iter().zip(outcomes).map(|(chain, outcome)| chain.labelled(outcome)).collect();
        }
        if outcomes.is_empty() {
            outcomes.push(without(view));
        }
        outcomes.into_iter().map(move |outcome| (index, outcome))
    });
    join(outcomes).unwrap_or_else(|| nothing_tried(context))
}

/// Judges the certificate chains of each view; a view without one is undetermined, with the
/// reason why none was seen.
pub(super) fn each_chain(context: &Context, judge: impl Fn(&View, &[Certificate]) -> Outcome) -> Outcome {
    each_tls_chain(
        context,
        |view, chain| with_certificates(chain, |chain| judge(view, chain.certificates)),
        |view| without_chain(context, view),
    )
}

fn with_certificates(chain: &Chain, judge: impl FnOnce(&Chain) -> Outcome) -> Outcome {
    match chain.certificates {
        [] => Outcome::Undetermined("the server sent an empty certificate message".to_owned()),
        _ => judge(chain),
    }
}

pub(super) fn without_chain(context: &Context, view: &View) -> Outcome {
    Outcome::Undetermined(no_certificate(context, view))
}

/// Judges the end-entity certificates of each view; one that cannot be read is undetermined.
pub(super) fn each_leaf(context: &Context, judge: impl Fn(&View, &CertificateDetails) -> Outcome) -> Outcome {
    each_chain(context, |view, chain| match chain[0].details() {
        Ok(details) => judge(view, details),
        Err(why) => Outcome::Undetermined(format!("the certificate cannot be read: {why}")),
    })
}

/// Judges the chains of each view together with their certification paths.
pub(super) fn each_path(context: &Context, judge: impl Fn(&[Certificate], &path::Judgement) -> Outcome) -> Outcome {
    let judge = |chain: &Chain| match chain.judged(context) {
        Some(path) => judge(chain.certificates, path),
        None => Outcome::Undetermined("the server sent an empty certificate message".to_owned()),
    };
    each_tls_chain(context, |_, chain| with_certificates(chain, judge), |view| without_chain(context, view))
}

/// Judges the chains of each view together with their paths and with what was stapled to them; only the session's own
/// chain shows that.
pub(super) fn each_stapled(
    context: &Context,
    judge: impl Fn(&[Certificate], &path::Judgement, &Observed<Option<OcspResponse>>) -> Outcome,
) -> Outcome {
    let of_chain = |view: &View, chain: &Chain| {
        let not_seen = Observed::NotAttempted("it was not asked for with this certificate".to_owned());
        let staple = if chain.is_of_session { &view.session.staple } else { &not_seen };
        match chain.judged(context) {
            Some(path) => judge(chain.certificates, path, staple),
            None => Outcome::Undetermined("the server sent an empty certificate message".to_owned()),
        }
    };
    each_tls_chain(context, of_chain, |view| without_chain(context, view))
}

/// The version below TLS 1.3 in which a server that proves its key in TLS 1.3 signs wrongly for the same certificate.
pub(crate) fn refuted_below_tls13(view: &View) -> Option<(Version, &str)> {
    let session = &view.session;
    session.tls.seen().filter(|tls| tls.version == Version::Tls13.name())?;
    let leaf = session.certificates.seen()?.first()?;
    view.offers.seen()?.chains.iter().find_map(|served| {
        let version = served.version.filter(|version| *version < Version::Tls13)?;
        let Observed::Seen(Possession::Refuted(why)) = &served.possession else { return None };
        let is_of_session = served.sni == Sni::Target && served.certificates.seen()?.first() == Some(leaf);
        is_of_session.then_some((version, why.as_str()))
    })
}

/// Where no handshake was finished: the highest version that the server takes and how it signs wrongly there, if it never
/// signs rightly. In TLS 1.3 no signature is in the clear.
pub(crate) fn refuted_in_clear(view: &View) -> Option<(Version, &str)> {
    let offers = view.offers.seen().filter(|_| view.session.tls.seen().is_none())?;
    let is_accepted = |offer: &&VersionOffer| matches!(offer.answer, Observed::Seen(Answer::Accepted));
    let highest = offers.versions.iter().filter(is_accepted).map(|offer| offer.version).max()?;
    let proofs = || offers.chains.iter().filter(|served| served.sni == Sni::Target).filter_map(|served| served.possession.seen());
    let wrong = proofs().find_map(|proof| match proof {
        Possession::Refuted(why) => Some(why.as_str()),
        _ => None,
    })?;
    (highest < Version::Tls13 && proofs().all(|proof| matches!(proof, Possession::Refuted(_)))).then_some((highest, wrong))
}

/// Judges for each certificate whether the server proved that it holds the key.
///
/// No proof goes with some ways of asking for another certificate than that of the session: that says nothing.
pub(super) fn each_possession(context: &Context, judge: impl Fn(&View, &Observed<Possession>) -> Outcome) -> Outcome {
    let of_chain = |view: &View, chain: &Chain| match chain.possession {
        Observed::NotAttempted(why) if !chain.is_of_session && chain.label.is_some() => Outcome::NotApplicable(why.clone()),
        possession => judge(view, possession),
    };
    each_tls_chain(context, of_chain, |view| judge(view, &view.session.possession))
}

/// Where the path could not be followed, what is right about the part of it that was seen says
/// nothing about the rest; what is wrong stays wrong.
pub(super) fn known_path(judgement: &path::Judgement, outcome: Outcome) -> Outcome {
    match (&judgement.end, outcome) {
        (path::End::Undecided(why), Outcome::Passed(_)) => Outcome::Undetermined(why.clone()),
        (_, outcome) => outcome,
    }
}

/// The views that this machine could at least try, with their places.
pub(super) fn tried<'a>(context: &Context<'a>) -> impl Iterator<Item = (usize, &'a View)> + use<'a> {
    let is_tried =
        |view: &View| !matches!(view.session.connection, Observed::NotAttempted(_) | Observed::Failed(Failure::Local(_)));
    context.facts.views.iter().enumerate().filter(move |(_, view)| is_tried(view))
}

pub(super) fn nothing_tried(context: &Context) -> Outcome {
    Outcome::Undetermined(match context.facts.views.first() {
        Some(view) => format!("{} was not asked: {}", view.address, view.session.connection.why_not()),
        None => "nothing was observed".to_owned(),
    })
}

/// Joins the outcomes of several views; none where there are none.
pub(super) fn join(outcomes: impl Iterator<Item = (usize, Outcome)>) -> Option<Outcome> {
    /// How many different texts of passed views are told.
    const MAX_WORDS: usize = 3;
    let mut violations: Vec<Violation> = Vec::new();
    let mut undetermined = None;
    let mut passed: Option<Vec<String>> = None;
    let mut not_applicable = None;
    for (index, outcome) in outcomes {
        match outcome {
            Outcome::Violated(found) => {
                for mut violation in found {
                    violation.views = vec![index];
                    match violations.iter_mut().find(|v| v.message == violation.message && v.evidence == violation.evidence) {
                        Some(same) if same.views.contains(&index) => {}
                        Some(same) => same.views.push(index),
                        None => violations.push(violation),
                    }
                }
            }
            Outcome::Undetermined(why) => _ = undetermined.get_or_insert(why),
            Outcome::Passed(words) => {
                let known = passed.get_or_insert_default();
                if !words.is_empty() && !known.contains(&words) {
                    known.push(words);
                }
            }
            Outcome::NotApplicable(why) => _ = not_applicable.get_or_insert(why),
        }
    }
    if !violations.is_empty() {
        return Some(Outcome::Violated(violations));
    }
    let passed = passed.map(|words| Outcome::Passed(listed(words.iter(), MAX_WORDS, "; ")));
    undetermined.map(Outcome::Undetermined).or(passed).or(not_applicable.map(Outcome::NotApplicable))
}

/// Whether the server answered EHLO without offering STARTTLS.
pub(super) fn is_without_starttls(view: &View) -> bool {
    view.session.ehlo.seen().is_some_and(|ehlo| !ehlo.offers("STARTTLS"))
}

/// Why no certificate was seen in this view, in words.
fn no_certificate(context: &Context, view: &View) -> String {
    let is_alone = context.facts.views.iter().all(|other| other.address == view.address);
    let place = if is_alone { String::new() } else { format!("at {} ", view.address) };
    format!("no certificate was seen {place}from {}: {}", view.vantage_text(), why_not(view, &view.session.certificates))
}

/// Why a fact of this view is missing: what failed first tells more than what was then not attempted.
pub(super) fn why_not<T>(view: &View, fact: &Observed<T>) -> String {
    fn failure<T>(fact: &Observed<T>) -> Option<String> {
        matches!(fact, Observed::Failed(_)).then(|| fact.why_not())
    }
    let session = &view.session;
    let first = failure(&session.connection)
        .or_else(|| failure(&session.greeting))
        .or_else(|| failure(&session.ehlo))
        .or_else(|| failure(&session.starttls))
        .or_else(|| failure(&session.tls));
    short(&first.unwrap_or_else(|| fact.why_not()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Offers, ServedChain},
        rules::{
            find,
            test_facts::{Key, NOW, World, kind, messages},
        },
    };

    /// The correct server, with a second certificate for those that ask for RSA.
    fn dual(world: &World, second: Certificate) -> Offers {
        let chain = vec![second, world.issuing.certificate.clone()];
        Offers::good().chain(Sni::Target).with(|offers| {
            let last = offers.chains.last_mut().unwrap();
            last.certificates = Observed::Seen(chain);
            last.possession = Observed::NotAttempted("the key exchange is not signed".to_owned());
        })
    }

    #[test]
    fn both_certificates_are_judged_and_the_fault_says_which() {
        let world = World::correct();
        let expired = world.issuing.leaf_with(Key::Rsa(1024), |params| params.not_after = NOW - time::Duration::days(3));
        let judge = |id| world.judge_offers(find(id).unwrap(), dual(&world, expired.clone()));
        assert_eq!(messages(&judge("certificate-expired")), ["the certificate expired 3 days ago (the RSA certificate)"]);
        let weak = "the key of the server's certificate is too short: RSA 1024 bits (the RSA certificate)";
        assert_eq!(messages(&judge("weak-rsa-key")), [weak]);
        // What holds for both is said once, and no proof is asked for where the way of asking gives none.
        assert_eq!(judge("private-ca"), Outcome::Passed("the path leads to a root in world".to_owned()));
        assert_eq!(kind(&judge("key-possession-refuted")), "passed");
    }

    #[test]
    fn what_differs_and_is_right_is_said_of_each() {
        let world = World::correct();
        let outcome = world.judge_offers(find("weak-rsa-key").unwrap(), dual(&world, world.issuing.leaf_of(Key::Rsa(2048))));
        assert_eq!(outcome, Outcome::Passed("EC P-256 (the ECDSA certificate); RSA 2048 bits (the RSA certificate)".to_owned()));
    }

    /// A server that this end has no suite in common with was asked in another way.
    #[test]
    fn a_chain_that_the_session_did_not_get_is_judged() {
        let world = World::correct();
        let judge = |id: &str, change: fn(&mut ServedChain)| {
            world.judge_from(1, find(id).unwrap(), |views| {
                let why = || "the handshake failed".to_owned();
                views[0].session.tls = Observed::Failed(Failure::Tls("the server sent the alert handshake_failure".to_owned()));
                views[0].session.certificates = Observed::NotAttempted(why());
                views[0].session.possession = Observed::NotAttempted(why());
                views[0].offers = Observed::Seen(Offers::good().with(|offers| change(&mut offers.chains[0])));
            })
        };
        for id in ["private-ca", "weak-rsa-key", "host-mismatch", "certificate-expired", "key-possession-refuted"] {
            assert_eq!(kind(&judge(id, |_| {})), "passed", "{id}");
        }
        let refuted = judge("key-possession-refuted", |chain| {
            chain.possession = Observed::Seen(Possession::Refuted("rsa_pkcs1_sha1".to_owned()));
        });
        assert_eq!(kind(&refuted), "violated");
        // The only certificate there is, and no proof.
        let unproven =
            judge("key-possession-refuted", |chain| chain.possession = Observed::NotAttempted("not signed".to_owned()));
        assert_eq!(kind(&unproven), "undetermined");
        assert_eq!(kind(&judge("private-ca", |chain| chain.certificates = Observed::Failed(Failure::Closed))), "undetermined");
    }

    /// In TLS 1.3 all is well, and who has TLS 1.2 only gets a signature of something else.
    #[test]
    fn a_wrong_signature_below_tls13_fails_and_is_told_beside_what_works() {
        let world = World::correct();
        let judge = |id| {
            let offers = Offers::good().with(|offers| {
                offers.chains[0].version = Some(Version::Tls12);
                offers.chains[0].possession = Observed::Seen(Possession::Refuted("rsa_pkcs1_sha256".to_owned()));
            });
            world.judge_offers(find(id).unwrap(), offers)
        };
        assert_eq!(kind(&judge("key-possession-refuted")), "violated");
        let expected =
            "STARTTLS is offered and works from TLSv1.3 on; in TLSv1.2 no sender finishes a handshake that is signed wrongly";
        assert_eq!(judge("tls-handshake-refused"), Outcome::Passed(expected.to_owned()));
    }

    /// Chains for other names say nothing about the target.
    #[test]
    fn chains_for_other_names_are_left_out() {
        let world = World::correct();
        let offers = Offers::good().with(|offers| offers.chains[2].certificates = Observed::Seen(vec![World::self_signed()]));
        assert_eq!(kind(&world.judge_offers(find("self-signed").unwrap(), offers)), "passed");
    }
}
