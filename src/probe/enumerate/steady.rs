//! Whether the server gives the same answer to the same hello: several servers may stand behind one address, and what
//! one of them refuses says nothing of the others.

use super::ask::{Asker, Heard, Said, Tally};
use crate::{
    facts::{Alpn, Answer, Failure, Observed, Offers, Refusal, Session, Sni, Taken, VersionOffer},
    hello::Flight,
    tls::{Authentication, SignatureScheme, Version},
};

/// How often a hello that was taken is sent again; one after the other, so that servers that take turns are all asked.
const CONTROLS: u32 = 2;

/// Sends hellos again: the first that was taken, and the first that was refused. Where another answer comes now, or all
/// answers together cannot be those of one server, no refusal is believed.
pub(super) async fn control(asker: &Asker<'_>, offers: &mut Offers) {
    let heard = asker.heard();
    let Some(taken) = heard.iter().find(|heard| heard.is_taken()) else { return };
    let refused = heard.iter().find(|heard| heard.sni == Sni::Target && heard.flight.alert.is_some_and(super::ask::is_final));
    let again = std::iter::repeat_n(taken, CONTROLS as usize).chain(refused);
    let mut tally = Tally::new("the same once more");
    let mut is_steady = are_of_one(&heard);
    for before in again {
        is_steady &= match asker.ask(&before.asked, Sni::Target, &mut tally).await {
            Ok(Said::Took(flight)) => are_alike(&flight, &before.flight),
            Ok(Said::Refused(Refusal::Alert(alert), _)) => before.flight.alert == Some(alert),
            Ok(Said::Refused(..)) => false,
            // No answer is no other answer.
            Err(_) => true,
        };
    }
    offers.questions.extend(tally.into_question());
    if !is_steady {
        doubt(offers, &Failure::Tls("the server does not always answer the same hello in the same way".to_owned()));
    } else if asker.is_in_two_minds() {
        let why = "the server seems to refuse by closing connections, and some were lost on the way as well";
        doubt(offers, &Failure::Tls(why.to_owned()));
    }
}

/// A version that the session speaks is not refused, whatever became of the hellos for it.
pub(super) fn compare(session: &Session, offers: &mut Offers) {
    let Some(spoken) = session.tls.seen().map(|tls| tls.version.clone()) else { return };
    let why = Failure::Tls(format!("the server speaks {spoken} in the usual handshake, and refuses hellos for it alone"));
    let is_denied =
        |offer: &&mut VersionOffer| offer.version.name() == spoken && matches!(offer.answer, Observed::Seen(Answer::Refused(_)));
    for offer in offers.versions.iter_mut().filter(is_denied) {
        offer.answer = Observed::Failed(why.clone());
        forget(&mut offer.suites, &why);
        if offer.version == Version::Tls13 {
            forget(&mut offers.groups, &why);
        }
    }
}

/// Whether no two certificates came for the same: version, schemes, and what the key is needed for.
fn are_of_one(heard: &[Heard]) -> bool {
    let taken: Vec<_> = heard.iter().filter(|heard| heard.is_taken()).filter_map(use_of_leaf).collect();
    let is_same =
        |(index, (usage, leaf)): (usize, &(_, _))| taken[..index].iter().all(|(other, sent)| other != usage || sent == leaf);
    taken.iter().enumerate().all(is_same)
}

/// What decides which certificate a server sends, and the one that it sent.
type UseOfLeaf<'a> = ((Version, &'a [SignatureScheme], Authentication, bool), &'a [u8]);

fn use_of_leaf(heard: &Heard) -> Option<UseOfLeaf<'_>> {
    let hello = heard.flight.hello.as_ref()?;
    let signs = heard.flight.key_exchange.is_some();
    let usage = (hello.version, &heard.asked.schemes[..], hello.suite.authentication(), signs);
    Some((usage, heard.flight.certificates.as_ref()?.first()?))
}

/// Whether two answers are those of one server to the same offer.
fn are_alike(one: &Flight, other: &Flight) -> bool {
    let chosen = |flight: &Flight| flight.hello.as_ref().map(|hello| (hello.version, hello.suite, hello.group));
    let leaf = |flight: &Flight| flight.certificates.as_ref().and_then(|chain| chain.first().cloned());
    chosen(one) == chosen(other) && leaf(one) == leaf(other)
}

/// What was refused is not known any more; what was taken stays.
fn doubt(offers: &mut Offers, why: &Failure) {
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
        }
    }
    if offers.intolerance.seen().is_some() {
        offers.intolerance = Observed::Failed(why.clone());
    }
}

fn forget<T, L>(taken: &mut Taken<T, L>, why: &Failure) {
    taken.unknown.extend(taken.complete.drain(..).map(|list| (list, why.clone())));
}
