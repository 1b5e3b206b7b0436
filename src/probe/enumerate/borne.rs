//! Whether a refusal is about what was offered, or about the hello itself: some servers, and filters before them, stumble
//! over a hello's size or over a single thing in it, with an alert that says nothing of that.
//!
//! A refusal is believed where everything in the refused hello was borne in hellos that were answered. Else the same hello
//! is sent once more, with one thing added that is known to be taken: whoever refuses that, refused the other for no lack.

use super::{
    ask::{Asker, Heard, Said, Tally, asked_version},
    cannot_bear,
    lists::curve_of,
    shape::{CHUNK, HUGE},
    steady,
};
use crate::{
    facts::{Failure, HelloTrait, Intolerance, Observed, Offers, Sni},
    hello::{ClientHello, Extra},
    tls::{Group, SignatureScheme, Suite, SuiteFamily, Version},
};

/// How many refused hellos are sent so at most.
const MAX_ASKED: usize = 12;

/// Something in a hello that a server may stumble over.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Suite(Suite),
    Group(Group),
    Scheme(SignatureScheme),
    Extra(Extra),
    Deflate,
    Alpn,
    Cut,
    Size(Size),
}

/// Sizes that servers are known to stumble over (RFC 7685, 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Small,
    Middle,
    Large,
}

impl Size {
    fn of(hello: &ClientHello) -> Self {
        // Without the header of its record.
        match hello.to_bytes().len().saturating_sub(5) {
            0..256 => Self::Small,
            256..512 => Self::Middle,
            _ => Self::Large,
        }
    }
}

fn parts(hello: &ClientHello) -> Vec<Part> {
    let schemes = hello.schemes.iter().chain(&hello.certificate_schemes);
    let lists = hello.suites.iter().copied().map(Part::Suite).chain(hello.groups.iter().copied().map(Part::Group));
    let more = schemes.copied().map(Part::Scheme).chain(hello.extras.iter().copied().map(Part::Extra));
    let single = [
        hello.deflate.then_some(Part::Deflate),
        (!hello.alpn.is_empty()).then_some(Part::Alpn),
        hello.in_two_records.then_some(Part::Cut),
        Some(Part::Size(Size::of(hello))),
    ];
    lists.chain(more).chain(single.into_iter().flatten()).collect()
}

/// Doubts all refusals where one of them was not about what was offered.
pub(super) async fn control(asker: &Asker<'_>, offers: &mut Offers) {
    let mut tally = Tally::new("whether what is refused is refused for what it offers");
    let mut asked = 0;
    for refused in asker.refused() {
        let heard = asker.heard();
        let borne: Vec<Part> = heard.iter().filter(|heard| heard.has_chosen()).flat_map(|heard| parts(&heard.asked)).collect();
        let is_explained = offers.intolerance.seen().is_some_and(|found| found.iter().any(|known| is_hit(known, &refused)));
        // SSL 2.0 has nothing but cipher kinds to stumble over.
        if refused.version == Version::Ssl2 || is_explained || parts(&refused).iter().all(|part| borne.contains(part)) {
            continue;
        }
        let Some(hello) = with_something_known(asker, &refused, &heard) else { continue };
        asked += 1;
        if asked > MAX_ASKED {
            break;
        }
        match asker.ask(&hello, Sni::Target, &mut tally).await {
            Ok(Said::Took(_)) => continue,
            Ok(Said::Refused(..)) => {}
            // Nothing more may be asked: no word about what was refused before.
            Err(_) if asker.is_at_its_end() => break,
            Err(failure) => {
                let why = format!("whether refusals are for what is offered could not be told: {failure}");
                steady::doubt(offers, &Failure::Tls(why));
                break;
            }
        }
        let sized = match Size::of(&hello) {
            Size::Middle if !borne.contains(&Part::Size(Size::Middle)) => {
                asker.contrast(HelloTrait::MiddleSized, Version::Tls12, &mut tally).await
            }
            _ => None,
        };
        let known = offers.intolerance.seen().cloned();
        let why = "the server refuses some hellos for something else than what they offer";
        steady::doubt(offers, &Failure::Tls(why.to_owned()));
        if let (Some(known), Some(sized)) = (known, sized) {
            offers.intolerance = Observed::Seen(known);
            cannot_bear(offers, sized);
        }
        break;
    }
    offers.questions.extend(tally.into_question());
}

/// Whether a hello has what the server is known not to bear.
fn is_hit(known: &Intolerance, hello: &ClientHello) -> bool {
    known.how.seen().is_some()
        && match known.of {
            HelloTrait::Tls13 => hello.versions.len() > 1,
            HelloTrait::Tls12 => asked_version(hello) >= Version::Tls12,
            HelloTrait::MiddleSized => Size::of(hello) == Size::Middle,
            HelloTrait::Large => Size::of(hello) == Size::Large,
            HelloTrait::Huge => hello.padded_to >= HUGE,
            HelloTrait::Fragmented => hello.in_two_records,
            HelloTrait::UnknownExtension => hello.extras.contains(&Extra::Unknown),
            HelloTrait::OwnName => hello.server_name.is_some(),
            HelloTrait::ManySuites => hello.suites.len() > CHUNK,
        }
}

/// A refused hello with one thing added that was taken, as the last of each list; none where nothing was taken at all.
fn with_something_known(asker: &Asker<'_>, refused: &ClientHello, heard: &[Heard]) -> Option<ClientHello> {
    let version = asked_version(refused);
    let suite_of = |heard: &Heard| heard.flight.hello.as_ref().map(|hello| hello.suite);
    let rank = |heard: &&Heard| {
        let suite = suite_of(heard).unwrap_or(Suite(0));
        let kinds = || refused.suites.iter().map(|suite| suite.authentication());
        (
            asked_version(&heard.asked) == version,
            refused.suites.contains(&suite),
            kinds().any(|kind| kind == suite.authentication()),
            !suite.is_in(SuiteFamily::Null),
            asked_version(&heard.asked),
        )
    };
    let taken = heard.iter().filter(|heard| heard.is_taken() && heard.asked.version > Version::Ssl3).max_by_key(rank)?;
    let mut hello = ClientHello { random: rand::random(), server_name: asker.own_name(), alpn: Vec::new(), ..refused.clone() };
    fn add<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
        if let Some(item) = item.filter(|item| !list.contains(item)) {
            list.push(item);
        }
    }
    add(&mut hello.suites, suite_of(taken));
    add(&mut hello.groups, taken.flight.hello.as_ref().and_then(|hello| hello.group).or_else(|| curve_of(&taken.flight)));
    let signature = taken.flight.key_exchange.as_ref().and_then(|exchange| exchange.signature.as_ref());
    add(&mut hello.schemes, signature.and_then(|signature| signature.scheme).filter(|_| version == Version::Tls12));
    if asked_version(&taken.asked) != version {
        // The whole version was refused: the same hello for one that is taken.
        (hello.version, hello.versions) = (taken.asked.version, taken.asked.versions.clone());
        // TLS 1.3 forbids compression (RFC 8446, 4.1.2).
        hello.deflate &= asked_version(&taken.asked) < Version::Tls13;
        for group in &taken.asked.groups {
            add(&mut hello.groups, Some(*group));
        }
        for scheme in &taken.asked.schemes {
            add(&mut hello.schemes, Some(*scheme));
        }
    }
    Some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_message() {
        let of = |padded_to| {
            let plain = ClientHello::plain(Version::Tls12, vec![Suite(0xc02f)], [0; 32]);
            Size::of(&ClientHello { padded_to, ..plain })
        };
        assert_eq!(
            [of(0), of(255), of(256), of(511), of(512)],
            [Size::Small, Size::Small, Size::Middle, Size::Middle, Size::Large]
        );
    }
}
