//! The depth between one handshake and complete lists: about a dozen questions, each for a group of things.

use super::{
    Errand, First, Note,
    ask::{Asker, Said, Tally},
    behind_tls13, evidence,
    extras::certified,
    groups_without_asking, main_version, reusable, run, shape, write_first, write_version,
};
use crate::{
    facts::{Failure, GroupList, Offers, SchemeList, Session, Sni, VersionOffer},
    tls::{Authentication, Suite, SuiteFamily, Version},
};

/// Families that nobody should offer, asked for together.
const WEAK: [SuiteFamily; 5] =
    [SuiteFamily::Null, SuiteFamily::Export, SuiteFamily::Rc4, SuiteFamily::SingleDes, SuiteFamily::TripleDes];
/// Families that are asked for one by one, unless an answer has shown them before.
const SINGLY: [SuiteFamily; 5] =
    [SuiteFamily::Anonymous, SuiteFamily::StaticKey, SuiteFamily::Dhe, SuiteFamily::Ecdhe, SuiteFamily::Aead];

/// Asks the grouped questions. `first` is what is known of TLS 1.2.
pub(super) async fn ask(asker: &Asker<'_>, first: Option<First>, mut tally: Tally, session: &Session, offers: &mut Offers) {
    let first = match first {
        Some(first) => first,
        None => asker.ask(&asker.hello(Version::Tls12, &usual_suites(asker), Sni::Target), Sni::Target, &mut tally).await,
    };
    offers.questions.extend(tally.into_question());
    write_first(offers, Version::Tls12, &first);
    let known = reusable(Some(&first)).map(|(version, _)| version);
    let older = [Version::Tls11, Version::Tls10, Version::Ssl3].into_iter().filter(|version| Some(*version) != known);
    let mut errands: Vec<Errand<'_>> = older.chain([Version::Ssl2]).map(|version| one_version(asker, version)).collect();
    errands.push(Box::pin(newest(asker)));
    run(asker, errands, offers).await;

    let Some(main) = main_version(offers) else { return behind_tls13(asker, session, offers, false).await };
    families(asker, main.clone(), offers).await;
    let Some(main) = offers.version(main.version).cloned() else { return };
    if main.version == Version::Tls12 {
        let mut tally = Tally::new("signatures with MD5 or SHA-1");
        offers.schemes = asker.schemes(&main, Vec::new(), SchemeList::WeakHash, &mut tally).await;
        let seen = evidence::schemes_of(&asker.heard(), main.version);
        let new: Vec<_> = seen.into_iter().filter(|scheme| !offers.schemes.accepted.contains(scheme)).collect();
        offers.schemes.accepted.extend(new);
        offers.questions.extend(tally.into_question());
    }
    offers.curves.accepted = evidence::curves_of(&asker.heard(), main.version);
    if main.version > Version::Ssl3 {
        names_and_certificates(asker, &main, offers).await;
    }
}

/// Whether a version is offered, and what is chosen first in it.
fn one_version<'a>(asker: &'a Asker<'_>, version: Version) -> Errand<'a> {
    Box::pin(async move {
        let mut tally = Tally::new(version.name());
        let suites = if version == Version::Ssl2 { Suite::ssl2() } else { usual_suites(asker) };
        let said = asker.ask(&asker.hello(version, &suites, Sni::Target), Sni::Target, &mut tally).await;
        let cost = tally.into_question();
        Box::new(move |offers: &mut Offers| {
            write_first(offers, version, &said);
            offers.questions.extend(cost);
        }) as Note
    })
}

/// TLS 1.3 with the group that it chooses, and the post-quantum groups.
async fn newest(asker: &Asker<'_>) -> Note {
    let mut tally = Tally::new(Version::Tls13.name());
    let said = asker.ask(&asker.hello(Version::Tls13, &Suite::tls13(), Sni::Target), Sni::Target, &mut tally).await;
    let is_taken = matches!(said, Ok(Said::Took(_)));
    let cost = tally.into_question();
    let mut more = Tally::new("post-quantum groups");
    let known = evidence::groups_of(&asker.heard());
    // The group that is chosen among all of them may be the answer already.
    let taken = if is_taken { Some(asker.groups(known, GroupList::PostQuantum, &mut more).await) } else { None };
    let more = more.into_question();
    Box::new(move |offers: &mut Offers| {
        write_first(offers, Version::Tls13, &said);
        let answer = offers.version(Version::Tls13).map(|offer| offer.answer.clone());
        if let Some(taken) = taken.or_else(|| groups_without_asking(&answer?)) {
            offers.groups = taken;
        }
        offers.questions.extend(cost.into_iter().chain(more));
    })
}

/// Which families of suites the main version takes.
async fn families(asker: &Asker<'_>, mut main: VersionOffer, offers: &mut Offers) {
    let mut tally = Tally::new(format!("weak suites of {}", main.version));
    group(asker, &mut main, &WEAK, &mut tally).await;
    offers.questions.extend(tally.into_question());
    for family in SINGLY {
        let mut tally = Tally::new(format!("{} suites of {}", family_name(family), main.version));
        group(asker, &mut main, &[family], &mut tally).await;
        offers.questions.extend(tally.into_question());
    }
    write_version(offers, main);
}

/// Asks for several families in one offer. A family that is taken leaves it; what is refused then was offered as a whole.
async fn group(asker: &Asker<'_>, main: &mut VersionOffer, families: &[SuiteFamily], tally: &mut Tally) {
    let mut pending = families.to_vec();
    loop {
        pending.retain(|family| !main.suites.accepted.iter().any(|suite| suite.is_in(*family)));
        let wanted = |suite: &Suite| pending.iter().any(|family| suite.is_in(*family));
        let suites: Vec<_> = shape::suites().into_iter().filter(wanted).collect();
        if suites.is_empty() {
            return;
        }
        let mut is_taken = false;
        for list in asker.bearing().lists(&suites) {
            match asker.ask(&asker.hello(main.version, &list, Sni::Target), Sni::Target, tally).await {
                Err(failure) => {
                    return main.suites.unknown.extend(pending.iter().map(|family| (*family, failure.clone())));
                }
                Ok(Said::Refused(..)) => {}
                Ok(Said::Took(flight)) => {
                    let chosen = flight.hello.map(|hello| hello.suite).filter(|suite| list.contains(suite));
                    let Some(chosen) = chosen else {
                        let failure = Failure::Tls("the server chose what was not offered".to_owned());
                        return main.suites.unknown.extend(pending.iter().map(|family| (*family, failure.clone())));
                    };
                    main.suites.accepted.push(chosen);
                    is_taken = true;
                    break;
                }
            }
        }
        if !is_taken {
            return main.suites.complete.extend(pending);
        }
    }
}

/// The other certificate of a dual server, and the chain without a server name.
async fn names_and_certificates(asker: &Asker<'_>, main: &VersionOffer, offers: &mut Offers) {
    let seen = |kind: Authentication| main.suites.accepted.iter().any(|suite| suite.authentication() == kind);
    let missing = [Authentication::Rsa, Authentication::Ecdsa].into_iter().filter(|kind| !seen(*kind));
    for kind in missing {
        let (chain, cost) = asker.other_certificate(main, kind).await;
        offers.chains.push(chain);
        offers.questions.extend(cost);
    }
    let (chain, _, cost) = asker.other_name(main, &certified(&main.suites.accepted), Sni::None).await;
    offers.chains.push(chain);
    offers.questions.extend(cost);
}

/// All suites where the server bears them, the common ones else.
fn usual_suites(asker: &Asker<'_>) -> Vec<Suite> {
    let bearing = asker.bearing();
    let all = shape::suites();
    if bearing.many_suites && bearing.large { all } else { all.into_iter().filter(shape::is_common).collect() }
}

fn family_name(family: SuiteFamily) -> &'static str {
    match family {
        SuiteFamily::Anonymous => "anonymous",
        SuiteFamily::StaticKey => "static key",
        SuiteFamily::Dhe => "DHE",
        SuiteFamily::Ecdhe => "ECDHE",
        _ => "AEAD",
    }
}
