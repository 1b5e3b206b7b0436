//! What a server takes of what it is offered: one question, one connection, no handshake finished where the answer can
//! be read without.
//!
//! Answers are evidence, and only answers: a list whose last question was left unanswered stays unknown, however much
//! of it was refused before. An answer is used for everything that it shows; nothing is asked twice.

mod ask;
mod bear;
mod borne;
mod evidence;
mod extras;
mod grouped;
mod lists;
mod middle;
mod shape;
mod steady;

use futures::{StreamExt as _, future::BoxFuture, stream};

pub(super) use ask::Asker;
use ask::{Said, Tally};
use extras::{certified, contrary, named, only, with_alpn};
use lists::First;

use crate::{
    facts::{
        Answer, Depth, Failure, GroupList, HelloTrait, Intolerance, Observed, Offers, Question, Refusal, SchemeList, Session,
        Sni, Taken, VersionOffer, usual,
    },
    hello::Flight,
    probe::handshake::Refused,
    tls::{Alert, Authentication, Suite, SuiteFamily, Version},
};

/// Something that was found out, to be written down when all that is asked beside it has ended; so a question's cost is
/// taken before.
type Note = Box<dyn FnOnce(&mut Offers) + Send>;
/// Questions that depend on no other answer.
type Errand<'a> = BoxFuture<'a, Note>;

/// Asks everything that belongs to that depth. `session` is what a usual handshake came to.
pub(super) async fn offers(asker: &Asker<'_>, depth: Depth, session: &Session) -> Offers {
    let mut offers = Offers::unasked(depth);
    let mut tally = Tally::new(format!("{} suites", Version::Tls12));
    if let Observed::Failed(Failure::Tls(_)) = &session.tls {
        asker.listen();
    }
    let (mut first, intolerance) = asker.first_question(&mut tally).await;
    offers.intolerance = intolerance;
    // Who speaks TLS 1.3 alone may refuse all else without words, the plain hello too, which is known beside one that is taken only.
    let speaks_tls13 = session.tls.seen().is_some_and(|tls| tls.version == Version::Tls13.name());
    if speaks_tls13 && matches!(&first, Some(Err(failure)) if ask::without_words(failure).is_some()) {
        let newest = asker.hello(Version::Tls13, &Suite::tls13(), Sni::Target);
        if let Ok(Said::Took(_)) = asker.ask(&newest, Sni::Target, &mut tally).await {
            (first, offers.intolerance) = asker.first_question(&mut tally).await;
        }
    }
    let may_be_for_its_name = match (&session.tls, &first) {
        (Observed::Failed(_), Some(Ok(Said::Refused(refusal @ Refusal::Alert(_), _)))) => Some(*refusal),
        (Observed::Failed(Failure::Closed | Failure::Reset), Some(Err(Failure::Closed | Failure::Reset))) => {
            Some(Refusal::Closed)
        }
        _ => None,
    };
    if let Some(refusal) = may_be_for_its_name
        && let Some(nameless) = asker.whether_for_its_name(refusal, &mut tally).await
    {
        first = Some(nameless);
        // That explains what went unanswered before.
        if refusal == Refusal::Closed {
            offers.intolerance = Observed::Seen(Vec::new());
        }
    }
    let hybrid = hybrid_intolerance(asker, session, first.as_ref(), &mut offers).await;
    match depth {
        Depth::Quick | Depth::Standard => grouped::ask(asker, first, tally, session, &mut offers).await,
        Depth::Full => {
            versions(asker, first, tally, &mut offers).await;
            match main_version(&offers) {
                Some(main) => beside(asker, main, &mut offers).await,
                None => behind_tls13(asker, session, &mut offers, true).await,
            }
        }
    }
    if let Some(refusal) = asker.bearing().name_refusal {
        let how = Observed::Seen(refusal.to_string());
        cannot_bear(&mut offers, Intolerance { of: HelloTrait::OwnName, how });
    }
    // Who takes the group bears it.
    let hybrid = hybrid.filter(|found| found.how.seen().is_some() || !offers.groups.accepted.contains(&shape::HYBRID));
    for intolerance in hybrid.into_iter().chain(asker.middle_intolerance().filter(|_| offers.intolerance.seen().is_some())) {
        cannot_bear(&mut offers, intolerance);
    }
    tls12_intolerance(asker, &mut offers).await;
    tls13_intolerance(asker, session, &mut offers).await;
    steady::control(asker, &mut offers).await;
    borne::control(asker, &mut offers).await;
    // What was asked once more may have met another server behind the address.
    write_evidence(asker, &mut offers);
    steady::compare(session, &asker.heard(), &mut offers);
    steady::without_name(&mut offers);
    offers.hellos = asker.hellos();
    offers.lost = asker.lost();
    offers.narrowed = asker.budget.narrowed();
    offers
}

/// The same hello was refused and then taken: no other refusal is believed, either.
pub(super) fn is_not_alike(offers: &mut Offers) {
    steady::doubt(offers, &Failure::Tls(steady::NOT_ALIKE.to_owned()));
}

/// For a server that refused the usual handshake: one hello that offers everything up to TLS 1.2 and, where that is
/// refused too and nothing says that it was for the version, one that offers all of TLS 1.3. `left` connections at most.
pub(super) async fn fallback(asker: &Asker<'_>, refused: Refused, left: u32) -> Offers {
    let mut offers = Offers::unasked(Depth::Quick);
    if refused.alert.is_some() {
        asker.listen();
    }
    let is_for_name = refused.alert == Some(Alert::UNRECOGNIZED_NAME);
    if is_for_name {
        asker.learn(|bearing| bearing.name_refusal = refused.alert.map(Refusal::Alert));
    }
    let older = asker.hello(Version::Tls12, &shape::certificate_first(), Sni::Target);
    let mut newest = asker.hello(Version::Tls13, &Suite::tls13(), Sni::Target);
    // The usual hello offers that one: who would take it has not refused it for what is in common.
    newest.groups.retain(|group| *group != shape::HYBRID);
    let questions = [("all up to TLSv1.2", Version::Tls12, older), ("all of TLSv1.3", Version::Tls13, newest)];
    for (place, (what, version, hello)) in (1..=left).zip(questions) {
        let mut tally = Tally::new(what);
        // Once: the connections of a quick look are counted.
        let said = asker.ask_once(&hello, Sni::Target, &mut tally).await.map_err(|lost| lost.failure);
        write_first(&mut offers, version, &said);
        if is_for_name && matches!(said, Ok(Said::Took(_) | Said::Refused(Refusal::OtherVersion(_), _))) {
            let how = match place < left {
                // The connection that is left goes to the usual hello: it is refused again, or the server is not alike.
                true => Observed::Seen(Refusal::Alert(Alert::UNRECOGNIZED_NAME).to_string()),
                false => {
                    Observed::Failed(Failure::Tls("a hello with the name was refused once, and one without taken".to_owned()))
                }
            };
            offers.intolerance = Observed::Seen(vec![Intolerance { of: HelloTrait::OwnName, how }]);
        }
        offers.questions.extend(tally.into_question());
        if refused.is_of_versions || !matches!(said, Ok(Said::Refused(..))) {
            break;
        }
    }
    offers.groups.accepted = evidence::groups_of(&asker.heard());
    offers.curves.accepted = evidence::curves_of(&asker.heard(), Version::Tls12);
    write_evidence(asker, &mut offers);
    offers
}

impl Asker<'_> {
    /// Whether what was heard explains why the usual hello was refused: something was taken, and nothing of what that
    /// offers; or the server cannot bear something in it.
    pub(super) fn explains_refusal(&self, offers: &Offers) -> bool {
        let is_usual = |heard: &ask::Heard| {
            let Some(hello) = heard.flight.hello.as_ref().filter(|_| heard.is_taken()) else { return false };
            let group = hello.group.or_else(|| lists::curve_of(&heard.flight));
            usual::offers_suite(hello.suite) && group.is_none_or(usual::offers_group)
        };
        let heard = self.heard();
        let has_odd_key = evidence::leaf_key(&heard).is_some_and(|key| !usual::takes_key(&key));
        let takes_other_things = heard.iter().any(ask::Heard::has_chosen) && !heard.iter().any(is_usual);
        has_odd_key
            || takes_other_things
            || offers.intolerance.seen().is_some_and(|found| {
                found.iter().any(|trouble| trouble.of != HelloTrait::OwnName && trouble.how.seen().is_some())
            })
    }
}

/// Runs errands, as many side by side as the budget allows, and writes down what they bring.
async fn run(asker: &Asker<'_>, errands: Vec<Errand<'_>>, offers: &mut Offers) {
    let notes: Vec<_> = stream::iter(errands).buffered(asker.patience.parallel.max(1)).collect().await;
    for note in notes {
        note(offers);
    }
}

/// Every version with its list of suites, and the groups of TLS 1.3.
async fn versions(asker: &Asker<'_>, first: Option<First>, tally: Tally, offers: &mut Offers) {
    let mut known = reusable(first.as_ref());
    let mut errands: Vec<Errand<'_>> =
        vec![Box::pin(async move { version_note(asker.suites(Version::Tls12, first, tally).await) })];
    for version in [Version::Tls11, Version::Tls10, Version::Ssl3] {
        let first = known.take_if(|(chosen, _)| *chosen == version).map(|(_, flight)| Ok(Said::Took(flight)));
        errands.push(Box::pin(async move {
            version_note(asker.suites(version, first, Tally::new(format!("{version} suites"))).await)
        }));
    }
    errands.push(Box::pin(async move {
        let found = asker.suites(Version::Tls13, None, Tally::new(format!("{} suites", Version::Tls13))).await;
        let mut tally = Tally::new(format!("{} groups", Version::Tls13));
        let groups = match groups_without_asking(&found.0.answer) {
            Some(groups) => groups,
            None => asker.groups(evidence::groups_of(&asker.heard()), GroupList::All, &mut tally).await,
        };
        let cost = tally.into_question();
        Box::new(move |offers: &mut Offers| {
            version_note(found)(offers);
            offers.groups = groups;
            offers.questions.extend(cost);
        }) as Note
    }));
    errands
        .push(Box::pin(async move { version_note(asker.suites(Version::Ssl2, None, Tally::new(Version::Ssl2.name())).await) }));
    run(asker, errands, offers).await;
}

/// What is asked in the clear beside the lists, in the highest version below TLS 1.3.
async fn beside(asker: &Asker<'_>, main: VersionOffer, offers: &mut Offers) {
    let main = &main;
    let mut errands: Vec<Errand<'_>> = vec![Box::pin(async move {
        let mut tally = Tally::new(format!("{} curves", main.version));
        let taken = asker.curves(main, evidence::curves_of(&asker.heard(), main.version), &mut tally).await;
        let cost = tally.into_question();
        Box::new(move |offers: &mut Offers| {
            offers.curves = taken;
            offers.questions.extend(cost);
        }) as Note
    })];
    if main.version == Version::Tls12 {
        errands.push(Box::pin(async move {
            let mut tally = Tally::new(format!("{} signature schemes", main.version));
            let known = evidence::schemes_of(&asker.heard(), main.version);
            let taken = asker.schemes(main, known, SchemeList::All, &mut tally).await;
            let cost = tally.into_question();
            Box::new(move |offers: &mut Offers| {
                offers.schemes = taken;
                offers.questions.extend(cost);
            }) as Note
        }));
    }
    if main.version > Version::Ssl3 {
        errands.push(Box::pin(async move {
            let suites = contrary(&certified(&main.suites.accepted));
            let (chain, choice, cost) = asker.other_name(main, &suites, Sni::None).await;
            let (preference, extra) = asker.preference(main, choice).await;
            let version = main.version;
            Box::new(move |offers: &mut Offers| {
                offers.chains.push(chain);
                offers.questions.extend(cost.into_iter().chain(extra));
                offers
                    .versions
                    .iter_mut()
                    .filter(|offer| offer.version == version)
                    .for_each(|offer| offer.preference = preference.clone());
            }) as Note
        }));
        errands.push(Box::pin(async move {
            let (chain, _, cost) = asker.other_name(main, &certified(&main.suites.accepted), Sni::Foreign).await;
            Box::new(move |offers: &mut Offers| {
                offers.chains.push(chain);
                offers.questions.extend(cost);
            }) as Note
        }));
        errands.push(Box::pin(async move {
            let (alpn, intolerance, cost) = asker.alpn(main).await;
            Box::new(move |offers: &mut Offers| {
                offers.alpn = alpn;
                offers.questions.extend(cost);
                if let Some(intolerance) = intolerance {
                    cannot_bear(offers, intolerance);
                }
            }) as Note
        }));
    }
    if let Some(newest) = offers.version(Version::Tls13).filter(|offer| is_accepted(offer)).cloned() {
        errands.push(Box::pin(async move {
            let (preference, cost) = asker.preference(&newest, None).await;
            Box::new(move |offers: &mut Offers| {
                offers
                    .versions
                    .iter_mut()
                    .filter(|o| o.version == Version::Tls13)
                    .for_each(|o| o.preference = preference.clone());
                offers.questions.extend(cost);
            }) as Note
        }));
    }
    run(asker, errands, offers).await;
}

/// For a server that speaks TLS 1.3 only, or nothing that was answered: finished handshakes instead.
async fn behind_tls13(asker: &Asker<'_>, session: &Session, offers: &mut Offers, is_full: bool) {
    let Some(newest) = offers.version(Version::Tls13).filter(|offer| is_accepted(offer)).cloned() else { return };
    // Handshakes like the usual one tell something only where that one got so far.
    if session.certificates.seen().is_none() {
        return;
    }
    let leaf = session.certificates.seen().and_then(|chain| chain.first());
    let kind = leaf.and_then(|leaf| leaf.details().ok()).map(|details| extras::kind_of(details.key.algorithm));
    let other = if kind == Some(Authentication::Rsa) { Authentication::Ecdsa } else { Authentication::Rsa };
    let mut wanted = vec![("the other certificate", only(asker.usual(), other), other)];
    wanted.push(("no server name", named(asker.usual(), Sni::None), Authentication::Any));
    if is_full {
        wanted.push(("a foreign server name", named(asker.usual(), Sni::Foreign), Authentication::Any));
        wanted.push(("ALPN", with_alpn(asker.usual()), Authentication::Any));
    }
    let mut errands: Vec<Errand<'_>> = Vec::new();
    for (what, wanted, asked) in wanted {
        errands.push(Box::pin(async move {
            let (shaken, cost) = asker.behind_tls13(what, wanted, asked).await;
            Box::new(move |offers: &mut Offers| {
                if what == "ALPN" {
                    offers.alpn = shaken.alpn;
                } else {
                    offers.chains.push(shaken.chain);
                }
                if offers.client_certificate.seen().is_none() {
                    offers.client_certificate = shaken.client_certificate;
                }
                offers.questions.extend(cost);
            }) as Note
        }));
    }
    if is_full {
        errands.push(Box::pin(async move {
            let (preference, cost) = asker.preference(&newest, None).await;
            Box::new(move |offers: &mut Offers| {
                offers
                    .versions
                    .iter_mut()
                    .filter(|o| o.version == Version::Tls13)
                    .for_each(|o| o.preference = preference.clone());
                offers.questions.extend(cost);
            }) as Note
        }));
    }
    run(asker, errands, offers).await;
}

/// Where nothing came back to TLS 1.2 and an older version is taken: whether that is why. Who closes is known then
/// to refuse the version.
async fn tls12_intolerance(asker: &Asker<'_>, offers: &mut Offers) {
    let Some(main) = main_version(offers).filter(|main| main.version < Version::Tls12) else { return };
    let answer = offers.version(Version::Tls12).map(|offer| &offer.answer);
    let may_be_refusal = match answer {
        // Who does not know the version must choose the older one that the hello offers, too (RFC 5246, E.1).
        Some(Observed::Seen(Answer::Refused(Refusal::Alert(_) | Refusal::Closed))) => false,
        Some(Observed::Failed(Failure::Closed | Failure::Reset)) => true,
        // Silence refuses nothing.
        Some(Observed::Failed(Failure::TimedOut { .. })) => false,
        _ => return,
    };
    let mut tally = Tally::new("TLSv1.2 instead of an older version");
    if let Some(intolerance) = asker.contrast(HelloTrait::Tls12, main.version, &mut tally).await {
        if may_be_refusal && intolerance.how.seen().is_some() {
            let suites = Taken { complete: vec![SuiteFamily::All], ..Taken::default() };
            let answer = Observed::Seen(Answer::Refused(Refusal::Closed));
            let preference = Observed::NotAttempted("not asked".to_owned());
            write_version(offers, VersionOffer { version: Version::Tls12, answer, suites, preference });
        }
        cannot_bear(offers, intolerance);
    }
    offers.questions.extend(tally.into_question());
}

/// Whether the usual handshake got no further than its hello.
fn is_stopped_at_hello(session: &Session) -> bool {
    let failures = matches!(
        session.tls,
        Observed::Failed(Failure::Closed | Failure::Reset | Failure::TimedOut { .. } | Failure::NotTls(_) | Failure::Tls(_))
    );
    failures && session.certificates.seen().is_none()
}

/// Where the usual handshake failed, though other hellos are answered: whether the group X25519MLKEM768 is why.
async fn hybrid_intolerance(
    asker: &Asker<'_>,
    session: &Session,
    first: Option<&First>,
    offers: &mut Offers,
) -> Option<Intolerance> {
    if !is_stopped_at_hello(session) || asker.bearing().name_refusal.is_some() {
        return None;
    }
    if let Some(Err(failure)) = first {
        return Some(Intolerance { of: HelloTrait::HybridGroup, how: Observed::Failed(failure.clone()) });
    }
    let mut tally = Tally::new("the group X25519MLKEM768");
    let found = asker.hybrid_intolerance(&mut tally).await;
    offers.questions.extend(tally.into_question());
    found
}

/// Where the usual handshake failed, though a hello without TLS 1.3 is answered: whether that is why, or what it finds in
/// TLS 1.3.
async fn tls13_intolerance(asker: &Asker<'_>, session: &Session, offers: &mut Offers) {
    let is_explained = !asker.bearing().hybrid_group;
    if is_explained || !is_stopped_at_hello(session) {
        return;
    }
    if main_version(offers).is_none() {
        // There is nothing to compare with; where it was lost, there may be.
        let lost = offers.versions.iter().find_map(|offer| match &offer.answer {
            Observed::Failed(failure) => Some(failure.clone()),
            _ => None,
        });
        if let Some(failure) = lost {
            cannot_bear(offers, Intolerance { of: HelloTrait::Tls13, how: Observed::Failed(failure) });
        }
        return;
    }
    let mut tally = Tally::new("TLSv1.3 beside older versions");
    let mut found = asker.contrast(HelloTrait::Tls13, Version::Tls12, &mut tally).await;
    if let Some(seen) = found.take_if(|found| found.how.seen().is_some()) {
        found = asker.within_tls13(seen, &mut tally).await;
    }
    if let Some(intolerance) = found {
        cannot_bear(offers, intolerance);
    }
    offers.questions.extend(tally.into_question());
}

fn cannot_bear(offers: &mut Offers, intolerance: Intolerance) {
    let mut found = match &offers.intolerance {
        Observed::Seen(known) => known.clone(),
        // What was asked of the others before, and got no answer, stays unknown.
        Observed::Failed(failure) => {
            let unclear = bear::IN_FIRST_HELLO.into_iter().filter(|of| *of != intolerance.of);
            unclear.map(|of| Intolerance { of, how: Observed::Failed(failure.clone()) }).collect()
        }
        Observed::NotAttempted(_) => Vec::new(),
    };
    found.push(intolerance);
    offers.intolerance = Observed::Seen(found);
}

/// What all answers show together.
fn write_evidence(asker: &Asker<'_>, offers: &mut Offers) {
    let heard = asker.heard();
    offers.dh = evidence::dh(&heard);
    offers.features = evidence::features(&heard);
    if let seen @ Observed::Seen(_) = evidence::client_certificate(&heard) {
        offers.client_certificate = seen;
    }
    // What was seen in the clear is there once; of the rest only why there was nothing to see.
    let asked = std::mem::take(&mut offers.chains);
    offers.chains = evidence::chains(&heard);
    for chain in asked {
        if chain.certificates.seen().is_none() || chain.version == Some(Version::Tls13) {
            offers.chains.push(chain);
        }
    }
}

fn version_note((offer, cost): (VersionOffer, Option<Question>)) -> Note {
    Box::new(move |offers: &mut Offers| {
        offers.questions.extend(cost);
        write_version(offers, offer);
    })
}

fn write_version(offers: &mut Offers, offer: VersionOffer) {
    if let Some(known) = offers.versions.iter_mut().find(|known| known.version == offer.version) {
        *known = offer;
    }
}

/// The first answer about a version, where no list follows it.
fn write_first(offers: &mut Offers, version: Version, first: &First) {
    let mut put = |version: Version, answer: Observed<Answer>, flight: Option<&Flight>| {
        let Some(offer) = offers.versions.iter_mut().find(|offer| offer.version == version) else { return };
        // What was seen of a version by the way stays, whatever becomes of a question about it.
        if offer.answer.seen().is_none() || answer.seen().is_some() {
            offer.answer = answer;
        }
        if let Some(ssl2) = flight.and_then(|flight| flight.ssl2.as_ref()) {
            offer.suites = Taken { accepted: ssl2.suites.clone(), complete: vec![SuiteFamily::All], unknown: Vec::new() };
        }
        // Several questions about newer versions may be answered with the same suite of an older one.
        if let Some(hello) = flight.and_then(|flight| flight.hello.as_ref())
            && !offer.suites.accepted.contains(&hello.suite)
        {
            offer.suites.accepted.push(hello.suite);
        }
    };
    match first {
        Ok(Said::Took(flight)) => put(version, Observed::Seen(Answer::Accepted), Some(flight)),
        Ok(Said::Refused(refusal, flight)) => {
            put(version, Observed::Seen(Answer::Refused(*refusal)), None);
            if let (Refusal::OtherVersion(chosen), Some(flight)) = (refusal, flight) {
                put(*chosen, Observed::Seen(Answer::Accepted), Some(flight));
            }
        }
        Err(failure) => put(version, Observed::Failed(failure.clone()), None),
    }
}

/// An answer in an older version than was asked for, which is the first answer about that one.
fn reusable(first: Option<&First>) -> Option<(Version, Box<Flight>)> {
    match first {
        Some(Ok(Said::Refused(Refusal::OtherVersion(version), Some(flight)))) => Some((*version, flight.clone())),
        _ => None,
    }
}

/// The groups of TLS 1.3 where the version itself is refused or unknown.
fn groups_without_asking(answer: &Observed<Answer>) -> Option<Taken<crate::tls::Group, GroupList>> {
    let mut taken = Taken::default();
    match answer {
        Observed::Seen(Answer::Accepted) => return None,
        Observed::Seen(Answer::Refused(_)) => taken.complete.push(GroupList::All),
        Observed::Failed(failure) => taken.unknown.push((GroupList::All, failure.clone())),
        Observed::NotAttempted(_) => {}
    }
    Some(taken)
}

/// The highest version that shows its chain in the clear.
fn main_version(offers: &Offers) -> Option<VersionOffer> {
    let clear = Version::Ssl3..=Version::Tls12;
    offers.versions.iter().rev().find(|offer| clear.contains(&offer.version) && is_accepted(offer)).cloned()
}

fn is_accepted(offer: &VersionOffer) -> bool {
    matches!(offer.answer, Observed::Seen(Answer::Accepted))
}
