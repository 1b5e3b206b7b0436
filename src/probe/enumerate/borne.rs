//! Whether a refusal is about what was offered, or about the hello itself: some servers, and filters before them, stumble
//! over a hello's size or over a single thing in it, with an alert that says nothing of that.
//!
//! A refusal is believed where everything in the refused hello was borne in hellos that were answered. Else the same hello
//! is sent once more, with one thing added that is known to be taken: whoever refuses that, refused the other for no lack.

use super::{
    ask::{Asker, Heard, Lost, Said, Tally, asked_version},
    evidence::leaf_curve,
    lists::curve_of,
    shape::{CHUNK, FEW, HUGE, HYBRID},
    steady,
};
use crate::{
    facts::{Failure, HelloTrait, Intolerance, Offers, Refusal, Sni},
    hello::{ClientHello, Extra},
    tls::{Alert, Group, SignatureScheme, Suite, SuiteFamily, Version},
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
    CertificateSchemes,
    Cut,
    Size(Size),
}

/// Sizes that servers are known to stumble over (RFC 7685, 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Small,
    Middle,
    Large,
}

impl Size {
    pub fn of(hello: &ClientHello) -> Self {
        // Without the header of its record.
        match hello.to_bytes().len().saturating_sub(5) {
            0..256 => Self::Small,
            256..512 => Self::Middle,
            _ => Self::Large,
        }
    }
}

fn parts(hello: &ClientHello) -> Vec<Part> {
    let lists = hello.suites.iter().copied().map(Part::Suite).chain(hello.groups.iter().copied().map(Part::Group));
    let more = hello.schemes.iter().copied().map(Part::Scheme).chain(hello.extras.iter().copied().map(Part::Extra));
    let single = [
        hello.deflate.then_some(Part::Deflate),
        (!hello.alpn.is_empty()).then_some(Part::Alpn),
        (!hello.certificate_schemes.is_empty()).then_some(Part::CertificateSchemes),
        hello.in_two_records.then_some(Part::Cut),
        Some(Part::Size(Size::of(hello))),
    ];
    lists.chain(more).chain(single.into_iter().flatten()).collect()
}

/// Doubts all refusals where one of them was not about what was offered, or where that could not be told.
pub(super) async fn control(asker: &Asker<'_>, offers: &mut Offers) {
    let mut tally = Tally::new("whether what is refused is refused for what it offers");
    if let Some(why) = doubts(asker, offers, &mut tally).await {
        steady::doubt(offers, &Failure::Tls(why));
    }
    offers.questions.extend(tally.into_question());
}

/// Why refusals are not to be believed, where that is so.
async fn doubts(asker: &Asker<'_>, offers: &Offers, tally: &mut Tally) -> Option<String> {
    let unclear = |failure: &Failure| format!("whether refusals are for what is offered could not be told: {failure}");
    let mut asked = 0;
    for refused in asker.refused() {
        let heard = asker.heard();
        let borne: Vec<Part> = heard.iter().filter(|heard| heard.has_chosen()).flat_map(|heard| parts(&heard.asked)).collect();
        let is_explained = offers.intolerance.seen().is_some_and(|found| found.iter().any(|known| is_hit(known, &refused)));
        let suspected: Vec<Part> = parts(&refused).into_iter().filter(|part| !borne.contains(part)).collect();
        // SSL 2.0 has nothing but cipher kinds to stumble over.
        if refused.version == Version::Ssl2 || is_explained || suspected.is_empty() {
            continue;
        }
        let Some(hello) = with_something_known(asker.own_name(), &refused, &heard) else { continue };
        asked += 1;
        if asked > MAX_ASKED {
            return Some("too many refusals may be for something else than what is offered".to_owned());
        }
        // TLS 1.3 forbids compression (RFC 8446, 4.1.2), so that a hello which is taken cannot have it: then one that is
        // refused must be refused without it as well.
        if suspected.contains(&Part::Deflate) && !hello.deflate && !is_for_version(&heard, &refused) {
            let without = ClientHello { deflate: false, random: rand::random(), ..refused.clone() };
            match asker.ask(&without, Sni::Target, tally).await {
                Ok(Said::Refused(..)) => {}
                Ok(Said::Took(_)) => return Some(format!("{STUMBLES}: {}", words(&Part::Deflate))),
                Err(failure) => return Some(unclear(&failure)),
            }
        }
        match asker.ask(&hello, Sni::Target, tally).await {
            Ok(Said::Took(_)) => continue,
            Ok(Said::Refused(..)) => {
                let part = stumble(asker, &heard, &refused, &suspected, tally).await;
                return Some(part.map_or(STUMBLES.to_owned(), |part| format!("{STUMBLES}: {}", words(&part))));
            }
            // No refusal is believed that could not be looked at, and be it that nothing more may be asked.
            Err(failure) => return Some(unclear(&failure)),
        }
    }
    None
}

const STUMBLES: &str = "the server refuses some hellos for something else than what they offer";

/// Whether the version was what the server did not like, in its own word.
fn is_for_version(heard: &[Heard], refused: &ClientHello) -> bool {
    heard.iter().any(|heard| heard.asked == *refused && heard.flight.alert == Some(Alert::PROTOCOL_VERSION))
}

/// Which single thing the server stumbles over: a hello that was taken is refused with it, and taken again without.
async fn stumble(
    asker: &Asker<'_>,
    heard: &[Heard],
    refused: &ClientHello,
    suspected: &[Part],
    tally: &mut Tally,
) -> Option<Part> {
    let rank = |heard: &&Heard| (asked_version(&heard.asked) < Version::Tls13, asked_version(&heard.asked));
    let taken = heard.iter().filter(|heard| heard.is_taken() && heard.asked.version > Version::Ssl3).max_by_key(rank)?;
    for part in suspected {
        let mut hello = ClientHello { random: rand::random(), ..taken.asked.clone() };
        match part {
            Part::Extra(extra) => hello.extras.push(*extra),
            Part::Deflate if asked_version(&hello) < Version::Tls13 => hello.deflate = true,
            Part::CertificateSchemes => hello.certificate_schemes.clone_from(&refused.certificate_schemes),
            Part::Cut => hello.in_two_records = true,
            // One of many, or not to be had alone.
            Part::Suite(_) | Part::Group(_) | Part::Scheme(_) | Part::Alpn | Part::Size(_) | Part::Deflate => continue,
        }
        let with = asker.ask_once(&hello, Sni::Target, tally).await;
        if !matches!(with, Ok(Said::Refused(Refusal::Alert(_) | Refusal::Closed, _)) | Err(Lost { began_tls: true, .. })) {
            continue;
        }
        let without = asker.ask_once(&taken.asked, Sni::Target, tally).await;
        return matches!(without, Ok(Said::Took(_))).then(|| part.clone());
    }
    None
}

/// What a reader knows a part of a hello by.
fn words(part: &Part) -> &'static str {
    match part {
        Part::Suite(_) => "a suite",
        Part::Group(_) => "a group",
        Part::Scheme(_) => "a signature scheme",
        Part::Extra(Extra::RenegotiationInfo) => "renegotiation_info",
        Part::Extra(Extra::ExtendedMasterSecret) => "extended_master_secret",
        Part::Extra(Extra::EncryptThenMac) => "encrypt_then_mac",
        Part::Extra(Extra::SessionTicket) => "session_ticket",
        Part::Extra(Extra::StatusRequest) => "status_request",
        Part::Extra(Extra::Unknown) => "an unknown extension",
        Part::Deflate => "an offer of compression",
        Part::Alpn => "ALPN",
        Part::CertificateSchemes => "signature_algorithms_cert",
        Part::Cut => "two records",
        Part::Size(_) => "their size",
    }
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
            HelloTrait::HybridGroup => hello.groups.contains(&HYBRID),
            HelloTrait::ManySuites => hello.suites.len() > CHUNK,
            HelloTrait::Padding => hello.padded_to > 0 && !hello.pads_with_ticket,
            HelloTrait::Compression => hello.deflate,
            HelloTrait::SessionTicket => hello.extras.contains(&Extra::SessionTicket),
            HelloTrait::StatusRequest => hello.extras.contains(&Extra::StatusRequest),
            HelloTrait::EncryptThenMac => hello.extras.contains(&Extra::EncryptThenMac),
            HelloTrait::ExtendedMasterSecret => hello.extras.contains(&Extra::ExtendedMasterSecret),
            HelloTrait::ManySchemes => hello.schemes.len() > FEW,
            HelloTrait::ManyGroups => hello.groups.len() > FEW,
            // Each hello that offers TLS 1.3 has one, and what it offers is not known to be refused then.
            HelloTrait::EmptyKeyShare => false,
            // What of TLS 1.3 it refuses is refused for what it is.
            HelloTrait::NothingInTls13 => false,
        }
}

/// A refused hello with one thing added that was taken, as the last of each list; none where nothing was taken at all.
fn with_something_known(name: Option<String>, refused: &ClientHello, heard: &[Heard]) -> Option<ClientHello> {
    let version = asked_version(refused);
    let suite_of = |heard: &Heard| heard.flight.hello.as_ref().map(|hello| hello.suite);
    let rank = |heard: &&Heard| {
        let suite = suite_of(heard).unwrap_or(Suite(0));
        let kinds = || refused.suites.iter().map(|suite| suite.authentication());
        (
            // What is suspected must be in the hello that is sent.
            !refused.deflate || asked_version(&heard.asked) < Version::Tls13,
            asked_version(&heard.asked) == version,
            refused.suites.contains(&suite),
            kinds().any(|kind| kind == suite.authentication()),
            !suite.is_in(SuiteFamily::Null),
            asked_version(&heard.asked),
        )
    };
    let taken = heard.iter().filter(|heard| heard.is_taken() && heard.asked.version > Version::Ssl3).max_by_key(rank)?;
    let mut hello = ClientHello { random: rand::random(), server_name: name, alpn: Vec::new(), ..refused.clone() };
    fn add<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
        if let Some(item) = item.filter(|item| !list.contains(item)) {
            list.push(item);
        }
    }
    add(&mut hello.suites, suite_of(taken));
    add(&mut hello.groups, taken.flight.hello.as_ref().and_then(|hello| hello.group).or_else(|| curve_of(&taken.flight)));
    // An ECDSA certificate goes with its own curve only (RFC 8422, 5.1).
    add(&mut hello.groups, leaf_curve(std::slice::from_ref(taken)).filter(|_| version < Version::Tls13));
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
    use crate::hello::{Flight, KeyExchange, Parameters, ServerHello};

    /// OpenSSL takes an ECDSA suite only of who offers the curve of the certificate, whatever else there is in common.
    #[test]
    fn the_curve_of_the_certificate_is_added() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(["mx.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let suite = Suite::from_name("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256").unwrap();
        let [x25519, p256, x448] = ["x25519", "secp256r1", "x448"].map(|name| Group::from_name(name).unwrap());
        let offer = |groups: &[Group]| ClientHello {
            groups: groups.to_vec(),
            ..ClientHello::plain(Version::Tls12, vec![suite], [0; 32])
        };
        let hello = ServerHello {
            version: Version::Tls12,
            random: [0; 32],
            suite,
            compression: 0,
            extensions: Vec::new(),
            is_retry: false,
            group: None,
        };
        let exchange = KeyExchange { parameters: Parameters::Curve(x25519), signature: None };
        let flight = Flight {
            hello: Some(hello),
            certificates: Some(vec![certificate.der().to_vec()]),
            key_exchange: Some(exchange),
            ..Flight::default()
        };
        let taken = Heard { asked: offer(&[x25519, p256, x448]), sni: Sni::Target, flight, number: 0 };
        let sent = with_something_known(None, &offer(&[x448]), &[taken]).unwrap();
        assert_eq!(sent.groups, [x448, x25519, p256]);
    }

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
