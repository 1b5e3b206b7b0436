//! Whether the server gives the same answer to the same hello: several servers may stand behind one address, and what
//! one of them refuses says nothing of the others.

use super::ask::{Asker, Heard, Said, Tally, asked_version};
use crate::{
    facts::{Alpn, Answer, Failure, HelloTrait, Intolerance, Observed, Offers, Refusal, ServedChain, Session, Sni, Taken},
    hello::{ClientHello, Flight},
    tls::{Authentication, Group, SignatureScheme, Suite, Version},
};

/// Why refusals are not believed.
pub(super) const NOT_ALIKE: &str = "the server does not always answer the same hello in the same way";
/// How often a hello that was taken is sent again at least.
const CONTROLS: u32 = 2;

/// How many offers that were refused are sent again at most.
const MAX_REPEATED: usize = 24;

/// Sends hellos again: each that was refused once, and the first that was taken in between. Where another answer comes
/// now, or all answers together cannot be those of one server, no refusal is believed.
///
/// Between a refusal and its repetition lies no multiple of two, three or five connections: where so many servers take turns,
/// another one is asked.
pub(super) async fn control(asker: &Asker<'_>, offers: &mut Offers) {
    let heard = asker.heard();
    let mut tally = Tally::new("the same once more");
    let mut controls = 0;
    let mut is_steady = are_of_one(&heard);
    let mut left = refusals(&heard);
    if let Some(Refusal::Alert(alert)) = asker.bearing().name_refusal {
        left.retain(|refused| refused.asked.server_name.is_none() || refused.flight.alert != Some(alert));
    }
    let Some(taken) = heard.iter().find(|heard| heard.is_taken()) else {
        // Nothing to compare with, but each may be taken now.
        for refused in left {
            is_steady &= is_repeated(asker, refused, &mut tally).await;
        }
        offers.questions.extend(tally.into_question());
        if !is_steady {
            doubt(offers, &Failure::Tls(NOT_ALIKE.to_owned()));
        }
        return;
    };
    for refused in without_words(asker, &heard) {
        let said = asker.ask_once(&refused, Sni::Target, &mut tally).await;
        is_steady &= !matches!(said, Ok(Said::Took(_)));
    }
    if is_steady && asker.patience.parallel > 1 {
        // Side by side nobody knows whose turn it is.
        let again = left.drain(..).chain(std::iter::repeat_n(taken, CONTROLS as usize)).map(|before| async {
            let mut tally = tally.beside();
            let is_repeated = is_repeated(asker, before, &mut tally).await;
            (is_repeated, tally)
        });
        let ended: Vec<_> = futures::future::join_all(again).await;
        is_steady = ended.iter().all(|(is_repeated, _)| *is_repeated);
        ended.into_iter().for_each(|(_, cost)| tally.absorb(cost));
        controls = CONTROLS;
    }
    while is_steady && !left.is_empty() {
        let opened = asker.connections();
        let is_turn = |refused: &&Heard| {
            let between = asker.connections() - refused.number;
            ![2, 3, 5].into_iter().any(|turns| between.is_multiple_of(turns))
        };
        match left.iter().position(is_turn) {
            Some(place) => is_steady &= is_repeated(asker, left.remove(place), &mut tally).await,
            None => {
                is_steady &= is_repeated(asker, taken, &mut tally).await;
                controls += 1;
            }
        }
        // Nothing more may be asked: the budget is spent, or the server turned this source away.
        if asker.connections() == opened {
            break;
        }
    }
    while is_steady && controls < CONTROLS {
        is_steady &= is_repeated(asker, taken, &mut tally).await;
        controls += 1;
    }
    offers.questions.extend(tally.into_question());
    if !is_steady {
        doubt(offers, &Failure::Tls(NOT_ALIKE.to_owned()));
    } else if let Some(refusal) = asker.in_two_minds() {
        doubt(offers, &Failure::Tls(in_two_minds(refusal)));
    }
}

/// Why such refusals are not believed. Chance, a limit, several servers: what kept hellos from being answered was not seen.
fn in_two_minds(refusal: Refusal) -> String {
    let how = match refusal {
        Refusal::Alert(alert) => format!("the alert {alert}"),
        Refusal::Closed | Refusal::OtherVersion(_) => "a closed connection".to_owned(),
    };
    format!("{how} seems to be a refusal, and may be an accident: some hellos were answered at one time, and not at another")
}

/// The offers that were refused, each once, as it was refused last.
fn refusals(heard: &[Heard]) -> Vec<&Heard> {
    let alike = |one: &Heard, other: &Heard| {
        let bare = |heard: &Heard| ClientHello { random: [0; 32], session_id: Vec::new(), ..heard.asked.clone() };
        one.sni == other.sni && bare(one) == bare(other)
    };
    let mut found: Vec<&Heard> = Vec::new();
    for refused in heard.iter().filter(|heard| heard.is_refused()) {
        match found.iter_mut().find(|known| alike(known, refused)) {
            Some(known) => *known = refused,
            None => found.push(refused),
        }
    }
    // Where lists were dealt out, whole ones count for more than their parts.
    found.sort_by_key(|refused| std::cmp::Reverse(refused.asked.suites.len()));
    found.truncate(MAX_REPEATED);
    found
}

/// The offers that were refused without words, as often as others are repeated.
fn without_words(asker: &Asker<'_>, heard: &[Heard]) -> Vec<ClientHello> {
    let is_heard = |hello: &ClientHello| heard.iter().any(|heard| heard.asked == *hello && heard.is_refused());
    asker.refused().into_iter().filter(|hello| !is_heard(hello)).take(MAX_REPEATED).collect()
}

/// Whether an offer is answered once more as it was before.
async fn is_repeated(asker: &Asker<'_>, before: &Heard, tally: &mut Tally) -> bool {
    match asker.ask(&before.asked, before.sni, tally).await {
        Ok(Said::Took(flight)) => are_alike(&flight, &before.flight),
        Ok(Said::Refused(Refusal::Alert(alert), _)) => before.flight.alert == Some(alert),
        Ok(Said::Refused(Refusal::OtherVersion(version), _)) => {
            before.flight.hello.as_ref().is_some_and(|hello| hello.version == version)
        }
        Ok(Said::Refused(Refusal::Closed, _)) => false,
        // No answer is no other answer.
        Err(_) => true,
    }
}

/// A version that the server spoke in any hello is taken, whatever became of others for it: some cannot bear the hellos
/// that ask without a key share.
pub(super) fn compare(session: &Session, heard: &[Heard], offers: &mut Offers) {
    let spoken = session.tls.seen();
    let why = Failure::Tls("the server took that version in one hello, and not in others".to_owned());
    let mut is_empty_share_refused = false;
    for offer in &mut offers.versions {
        let version = offer.version;
        let is_heard = heard.iter().any(|heard| heard.is_taken() && asked_version(&heard.asked) == version);
        let spoken = spoken.filter(|tls| tls.version == version.name());
        if offer.answer == Observed::Seen(Answer::Accepted) || !(is_heard || spoken.is_some()) {
            continue;
        }
        let was_refused = matches!(offer.answer, Observed::Seen(Answer::Refused(_)));
        is_empty_share_refused |= was_refused && version == Version::Tls13 && !is_heard;
        offer.answer = Observed::Seen(Answer::Accepted);
        forget(&mut offer.suites, &why);
        if version == Version::Tls13 {
            forget(&mut offers.groups, &why);
        }
        let Some(tls) = spoken else { continue };
        add(&mut offer.suites.accepted, Suite::from_name(&tls.suite));
        if version == Version::Tls13 {
            add(&mut offers.groups.accepted, tls.group.as_deref().and_then(Group::from_name));
        }
    }
    // The usual hello has a key share: that is likely to be the difference, and not known to be.
    if is_empty_share_refused {
        let how = Observed::Failed(why);
        super::cannot_bear(offers, Intolerance { of: HelloTrait::EmptyKeyShare, how });
    }
}

/// A hello before TLS 1.0 has no server name: where one without is refused, it is not known for what that was.
pub(super) fn without_name(offers: &mut Offers) {
    let is_refused = |chain: &ServedChain| matches!(chain.answer, Observed::Seen(Answer::Refused(_)));
    let mut nameless = offers.chains.iter().filter(|chain| chain.sni == Sni::None).peekable();
    if nameless.peek().is_none() || !nameless.all(is_refused) {
        return;
    }
    let why = Failure::Tls("it has no place for a server name, and the server refuses hellos without one".to_owned());
    for offer in offers.versions.iter_mut().filter(|offer| offer.version <= Version::Ssl3) {
        if let Observed::Seen(Answer::Refused(_)) = offer.answer {
            offer.answer = Observed::Failed(why.clone());
            forget(&mut offer.suites, &why);
        }
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
    list.extend(item.filter(|item| !list.contains(item)));
}

/// Whether all answers can be those of one server: no two certificates came for the same, that is version, schemes and
/// what the key is needed for; and no version is refused that was taken.
fn are_of_one(heard: &[Heard]) -> bool {
    let is_taken = |version: Version| heard.iter().any(|heard| heard.is_taken() && asked_version(&heard.asked) == version);
    if heard
        .iter()
        .any(|heard| heard.is_refused_for_version() && heard.sni == Sni::Target && is_taken(asked_version(&heard.asked)))
    {
        return false;
    }
    let taken: Vec<_> = heard.iter().filter(|heard| heard.is_taken()).filter_map(use_of_leaf).collect();
    let is_same =
        |(index, (usage, leaf)): (usize, &(_, _))| taken[..index].iter().all(|(other, sent)| other != usage || sent == leaf);
    taken.iter().enumerate().all(is_same)
}

/// What decides which certificate a server sends, and the one that it sent.
type UseOfLeaf<'a> = ((Version, &'a [SignatureScheme], Authentication, (bool, bool)), &'a [u8]);

fn use_of_leaf(heard: &Heard) -> Option<UseOfLeaf<'_>> {
    let hello = heard.flight.hello.as_ref()?;
    let signs = heard.flight.key_exchange.is_some();
    // Static ECDH wants a certificate that is signed with the key of its name.
    let is_by_rsa = hello.suite.name().is_some_and(|name| name.starts_with("TLS_ECDH_RSA_"));
    let usage = (hello.version, &heard.asked.schemes[..], hello.suite.authentication(), (signs, is_by_rsa));
    Some((usage, heard.flight.certificates.as_ref()?.first()?))
}

/// Whether two answers are those of one server to the same offer.
fn are_alike(one: &Flight, other: &Flight) -> bool {
    let chosen = |flight: &Flight| flight.hello.as_ref().map(|hello| (hello.version, hello.suite, hello.group));
    let leaf = |flight: &Flight| flight.certificates.as_ref().and_then(|chain| chain.first().cloned());
    chosen(one) == chosen(other) && leaf(one) == leaf(other)
}

/// What was refused is not known any more; what was taken stays.
pub(super) fn doubt(offers: &mut Offers, why: &Failure) {
    for offer in &mut offers.versions {
        if let Observed::Seen(Answer::Refused(_)) = offer.answer {
            offer.answer = Observed::Failed(why.clone());
        }
        forget(&mut offer.suites, why);
        if offer.preference.seen().is_some() {
            offer.preference = Observed::Failed(why.clone());
        }
    }
    forget(&mut offers.groups, why);
    forget(&mut offers.curves, why);
    forget(&mut offers.schemes, why);
    if let Observed::Seen(Alpn::Refused(_)) = offers.alpn {
        offers.alpn = Observed::Failed(why.clone());
    }
    for chain in &mut offers.chains {
        if let Observed::Seen(Answer::Refused(_)) = chain.answer {
            chain.answer = Observed::Failed(why.clone());
            chain.certificates = Observed::Failed(why.clone());
            chain.possession = Observed::Failed(why.clone());
        }
    }
    if offers.intolerance.seen().is_some() {
        offers.intolerance = Observed::Failed(why.clone());
    }
}

fn forget<T, L>(taken: &mut Taken<T, L>, why: &Failure) {
    taken.unknown.extend(taken.complete.drain(..).map(|list| (list, why.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{facts::Depth, tls::Alert};

    #[test]
    fn a_question_that_is_doubted_was_asked() {
        let mut offers = Offers::unasked(Depth::Standard);
        let unseen = "the server refused the offer".to_owned();
        offers.chains.push(ServedChain {
            authentication: Authentication::Ecdsa,
            sni: Sni::Target,
            answer: Observed::Seen(Answer::Refused(Refusal::Closed)),
            version: None,
            certificates: Observed::NotAttempted(unseen.clone()),
            possession: Observed::NotAttempted(unseen),
        });
        doubt(&mut offers, &Failure::Closed);
        let chain = &offers.chains[0];
        assert_eq!(
            (&chain.answer, &chain.certificates),
            (&Observed::Failed(Failure::Closed), &Observed::Failed(Failure::Closed))
        );
    }

    #[test]
    fn what_was_not_seen_is_named_as_no_cause() {
        assert!(in_two_minds(Refusal::Closed).starts_with("a closed connection seems to be a refusal"));
        assert!(in_two_minds(Refusal::Alert(Alert::INTERNAL_ERROR)).starts_with("the alert internal_error seems"));
    }
}
