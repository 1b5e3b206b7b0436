//! Whether the server gives the same answer to the same hello: several servers may stand behind one address, and what
//! one of them refuses says nothing of the others.

use super::ask::{Asker, Said, Tally};
use crate::{
    facts::{Alpn, Answer, Failure, Observed, Offers, Sni, Taken},
    hello::Flight,
};

/// How often a hello that was taken is sent again; one after the other, so that servers that take turns are all asked.
const CONTROLS: u32 = 2;

/// Sends a hello again that was taken. Where another answer comes now, no refusal is believed.
pub(super) async fn control(asker: &Asker<'_>, offers: &mut Offers) {
    let is_taken = |heard: &&super::ask::Heard| heard.sni == Sni::Target && heard.flight.alert.is_none() && heard.is_in_version();
    let Some(taken) = asker.heard().iter().find(is_taken).cloned() else { return };
    let mut tally = Tally::new("the same once more");
    let mut is_steady = true;
    for _ in 0..CONTROLS {
        is_steady &= match asker.ask(&taken.asked, Sni::Target, &mut tally).await {
            Ok(Said::Took(flight)) => are_alike(&flight, &taken.flight),
            Ok(Said::Refused(..)) => false,
            // No answer is no other answer.
            Err(_) => true,
        };
    }
    offers.questions.extend(tally.into_question());
    if !is_steady {
        doubt(offers, &Failure::Tls("the server does not always answer the same hello in the same way".to_owned()));
    }
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
