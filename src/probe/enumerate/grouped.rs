//! The depth between one handshake and complete lists: about a dozen questions, each for a group of things. A question takes as many
//! connections as there are answers to it, and each refusal is asked for once more: two or three dozen in all.

use std::cmp::Reverse;

use super::{
    Errand, First, Note,
    ask::{Asker, Said, Tally},
    behind_tls13, evidence,
    extras::{certified, served},
    groups_without_asking,
    lists::not_offered,
    main_version, reusable, run, shape, write_first, write_version,
};
use crate::{
    facts::{GroupList, Offers, SchemeList, ServedChain, Session, Sni, VersionOffer},
    tls::{Authentication, Suite, SuiteFamily, Version},
};

/// The families that a server is asked for, unless an answer has shown them before: all together, so that those which it
/// refuses cost one refusal.
const FAMILIES: [SuiteFamily; 10] = [
    SuiteFamily::Null,
    SuiteFamily::Export,
    SuiteFamily::Rc4,
    SuiteFamily::SingleDes,
    SuiteFamily::TripleDes,
    SuiteFamily::Anonymous,
    SuiteFamily::StaticKey,
    SuiteFamily::Dhe,
    SuiteFamily::Ecdhe,
    SuiteFamily::Aead,
];

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
        let (chain, _, cost) = asker.other_name(&main, &certified(&main.suites.accepted), Sni::None).await;
        offers.chains.push(chain);
        offers.questions.extend(cost);
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

/// Which families of suites the main version takes, and whether it has both kinds of certificate.
async fn families(asker: &Asker<'_>, mut main: VersionOffer, offers: &mut Offers) {
    let mut tally = Tally::new(format!("families of suites of {}", main.version));
    let chains = group(asker, &mut main, &mut tally).await;
    offers.questions.extend(tally.into_question());
    offers.chains.extend(chains);
    write_version(offers, main);
}

/// Asks for all families and both kinds of certificate in one offer. What is taken leaves it; what is refused then was offered
/// as a whole. With the answer about the certificates that were not seen.
async fn group(asker: &Asker<'_>, main: &mut VersionOffer, tally: &mut Tally) -> Vec<ServedChain> {
    let kinds: &[Authentication] = match main.version {
        Version::Ssl3 => &[],
        _ => &[Authentication::Rsa, Authentication::Ecdsa],
    };
    loop {
        let accepted = &main.suites.accepted;
        let is_family_left = |family: &SuiteFamily| !accepted.iter().any(|suite| suite.is_in(*family));
        let is_kind_left = |kind: &Authentication| !accepted.iter().any(|suite| suite.authentication() == *kind);
        let families: Vec<_> = FAMILIES.into_iter().filter(is_family_left).collect();
        let kinds: Vec<_> = kinds.iter().copied().filter(is_kind_left).collect();
        let told = |suite: &Suite| {
            let of_families = families.iter().filter(|family| suite.is_in(**family)).count();
            of_families + usize::from(kinds.contains(&suite.authentication()))
        };
        let mut suites: Vec<_> = shape::suites().into_iter().filter(|suite| told(suite) > 0).collect();
        if suites.is_empty() {
            return Vec::new();
        }
        // A client's order may decide: what tells most comes first.
        suites.sort_by_key(|suite| Reverse(told(suite)));
        let mut answers = Vec::new();
        for list in asker.bearing().lists(&suites) {
            let hello = asker.hello(main.version, &list, Sni::Target);
            let said = asker.ask(&hello, Sni::Target, tally).await.and_then(|said| match &said {
                Said::Took(flight) if !flight.hello.as_ref().is_some_and(|hello| list.contains(&hello.suite)) => {
                    Err(not_offered())
                }
                _ => Ok(said),
            });
            let is_refused = matches!(said, Ok(Said::Refused(..)));
            answers.push((hello, said));
            if !is_refused {
                break;
            }
        }
        let Some((hello, last)) = answers.pop() else { return Vec::new() };
        match &last {
            Ok(Said::Took(flight)) => {
                main.suites.accepted.extend(flight.hello.as_ref().map(|hello| hello.suite));
                continue;
            }
            Ok(Said::Refused(..)) => main.suites.complete.extend(families),
            Err(failure) => main.suites.unknown.extend(families.into_iter().map(|family| (family, failure.clone()))),
        }
        return kinds.into_iter().map(|kind| served(last.clone(), &hello, kind, Sni::Target)).collect();
    }
}

/// All suites where the server bears them, the common ones else.
fn usual_suites(asker: &Asker<'_>) -> Vec<Suite> {
    let bearing = asker.bearing();
    let all = shape::suites();
    if bearing.many_suites && bearing.large { all } else { all.into_iter().filter(shape::is_common).collect() }
}
