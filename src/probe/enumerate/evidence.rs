//! What all answers together show besides the lists: primes, extensions, chains, requests for a certificate.

use super::{ask::Heard, lists::curve_of};
use crate::{
    facts::{
        Answer, Certificate, ClientCertificate, DhGroup, Features, KeyAlgorithm, Observed, Possession, PublicKey, ServedChain,
        Sni,
    },
    hello::{Extra, Flight, Parameters, ServerHello},
    probe::possession,
    tls::{Group, SignatureScheme, Suite, Version},
};

/// The finite-field groups of TLS 1.2 and older, each once.
pub(super) fn dh(heard: &[Heard]) -> Vec<DhGroup> {
    let mut found: Vec<DhGroup> = Vec::new();
    for (hello, flight) in hellos(heard) {
        let Some(Parameters::FiniteField { prime, generator }) = flight.key_exchange.as_ref().map(|kx| &kx.parameters) else {
            continue;
        };
        let (prime, generator, bits) = (hex(prime), hex(generator), bits(prime));
        match found.iter_mut().find(|known| known.prime == prime && known.generator == generator) {
            Some(known) if known.suites.contains(&hello.suite) => {}
            Some(known) => known.suites.push(hello.suite),
            None => found.push(DhGroup { bits, prime, generator, suites: vec![hello.suite] }),
        }
    }
    found
}

/// The extensions that the highest version below TLS 1.3 confirmed in any of its answers to the target's own name.
pub(super) fn features(heard: &[Heard]) -> Observed<Features> {
    let versions = hellos(heard).map(|(hello, _)| hello.version).filter(|version| *version < Version::Tls13);
    let Some(version) = versions.max() else {
        return Observed::NotAttempted("no version below TLSv1.3 was answered".to_owned());
    };
    // Only where they were offered; SSL 3.0 has a signal for the first, and none of the others.
    let offered = |heard: &&Heard| heard.asked.extras.contains(&Extra::ExtendedMasterSecret) || version == Version::Ssl3;
    let full: Vec<_> = heard.iter().filter(offered).cloned().collect();
    let answers: Vec<_> = hellos(&full).filter(|(hello, _)| hello.version == version).collect();
    if answers.is_empty() {
        return Observed::NotAttempted("the server bears no hello that offers them".to_owned());
    }
    let any = |is: &dyn Fn(&ServerHello) -> bool| answers.iter().any(|(hello, _)| is(hello));
    Observed::Seen(Features {
        version,
        secure_renegotiation: any(&|hello| hello.has(0xff01)),
        extended_master_secret: any(&|hello| hello.has(23)),
        encrypt_then_mac: answers.iter().any(|(hello, _)| has_block_cipher(hello.suite)).then(|| any(&|hello| hello.has(22))),
        session_ticket: any(&|hello| hello.has(35)),
        compression: any(&|hello| hello.compression != 0),
        ocsp_staple: answers.iter().find_map(|(_, flight)| flight.staple),
    })
}

/// Whether a suite encrypts in blocks and adds a MAC.
fn has_block_cipher(suite: Suite) -> bool {
    suite.name().is_some_and(|name| name.contains("_CBC_"))
}

/// Whether a client certificate was asked for in any answer that ran to its end.
pub(super) fn client_certificate(heard: &[Heard]) -> Observed<ClientCertificate> {
    // An anonymous server must not ask for one (RFC 5246, 7.4.4), so its silence says nothing.
    let mut flights = hellos(heard).filter(|(_, flight)| flight.certificates.is_some()).peekable();
    if flights.peek().is_none() {
        return Observed::NotAttempted("no certificate was seen in the clear".to_owned());
    }
    let requested = flights.find_map(|(_, flight)| flight.certificate_request);
    Observed::Seen(match requested {
        Some(ca_bytes) => ClientCertificate::Requested { ca_bytes },
        None => ClientCertificate::NotRequested,
    })
}

/// The chains in the clear: for each kind of certificate and server name the first one, with a proof of possession from
/// whichever answer has one.
pub(super) fn chains(heard: &[Heard]) -> Vec<ServedChain> {
    let mut found: Vec<(ServedChain, &[Vec<u8>])> = Vec::new();
    for heard in heard {
        let Some((version, suite, ders)) = bare_chain(heard) else { continue };
        let kind = suite.authentication();
        let same = found.iter_mut().find(|(known, sent)| known.sni == heard.sni && known.authentication == kind && *sent == ders);
        match same {
            Some((known, _)) if known.possession.seen().is_none() => {
                if let Some(possession) = possession(heard, ders.first()) {
                    known.possession = Observed::Seen(possession);
                }
            }
            Some(_) => {}
            None => found.push((served(heard, version, suite, ders), ders)),
        }
    }
    found.into_iter().map(|(chain, _)| chain).collect()
}

/// The chain of one answer.
pub(super) fn chain(heard: &Heard) -> Option<ServedChain> {
    bare_chain(heard).map(|(version, suite, ders)| served(heard, version, suite, ders))
}

/// A chain as it was sent, with the version and suite that it was sent for.
fn bare_chain(heard: &Heard) -> Option<(Version, Suite, &[Vec<u8>])> {
    match (&heard.flight.hello, &heard.flight.ssl2) {
        (Some(hello), _) => Some((hello.version, hello.suite, heard.flight.certificates.as_ref()?)),
        (None, Some(ssl2)) if !ssl2.certificate.is_empty() => {
            Some((Version::Ssl2, *ssl2.suites.first()?, std::slice::from_ref(&ssl2.certificate)))
        }
        _ => None,
    }
}

fn served(heard: &Heard, version: Version, suite: Suite, ders: &[Vec<u8>]) -> ServedChain {
    ServedChain {
        authentication: suite.authentication(),
        sni: heard.sni,
        answer: Observed::Seen(Answer::Accepted),
        version: Some(version),
        certificates: Observed::Seen(ders.iter().map(|der| Certificate::from_der(der)).collect()),
        possession: match possession(heard, ders.first()) {
            Some(possession) => Observed::Seen(possession),
            None => Observed::NotAttempted("the key exchange is not signed".to_owned()),
        },
    }
}

/// RFC 5246, 7.4.3: the signature is over both randoms and the parameters.
fn possession(heard: &Heard, leaf: Option<&Vec<u8>>) -> Option<Possession> {
    let signature = heard.flight.key_exchange.as_ref()?.signature.as_ref()?;
    let hello = heard.flight.hello.as_ref()?;
    let message = [&heard.asked.random[..], &hello.random, &signature.parameters].concat();
    Some(possession::verify_key_exchange(&message, leaf?, signature.scheme, &signature.bytes))
}

/// The key of the first certificate.
pub(super) fn leaf_key(heard: &[Heard]) -> Option<PublicKey> {
    heard.iter().filter_map(chain).find_map(|chain| Some(chain.certificates.seen()?.first()?.details().ok()?.key.clone()))
}

/// The curve of the first EC certificate, by its code as a group.
pub(super) fn leaf_curve(heard: &[Heard]) -> Option<Group> {
    heard.iter().filter_map(chain).find_map(|chain| {
        let key = &chain.certificates.seen()?.first()?.details().ok()?.key;
        // The groups of the curves that certificates are on (RFC 8422, 5.1.1).
        let name = match key.curve.filter(|_| key.algorithm == KeyAlgorithm::Ec)? {
            "P-192" => "secp192r1",
            "P-224" => "secp224r1",
            "P-256" => "secp256r1",
            "P-384" => "secp384r1",
            "P-521" => "secp521r1",
            other => other,
        };
        Group::from_name(name)
    })
}

/// The groups that a version chose over curves of those that were offered, each once.
pub(super) fn curves_of(heard: &[Heard], version: Version) -> Vec<Group> {
    let chosen =
        answers(heard, version).filter_map(|heard| curve_of(&heard.flight).filter(|group| heard.asked.groups.contains(group)));
    once(chosen)
}

/// The groups that HelloRetryRequests named, each once.
pub(super) fn groups_of(heard: &[Heard]) -> Vec<Group> {
    once(hellos(heard).filter_map(|(hello, _)| hello.group))
}

/// The schemes that TLS 1.2 signed with of those that were offered, each once.
pub(super) fn schemes_of(heard: &[Heard], version: Version) -> Vec<SignatureScheme> {
    let scheme = |heard: &Heard| heard.flight.key_exchange.as_ref()?.signature.as_ref()?.scheme;
    once(answers(heard, version).filter_map(|heard| scheme(heard).filter(|scheme| heard.asked.schemes.contains(scheme))))
}

/// Answers in that version to the target's own name, with what they answered.
fn answers(heard: &[Heard], version: Version) -> impl Iterator<Item = &Heard> {
    let is_of = move |heard: &&Heard| heard.flight.hello.as_ref().is_some_and(|hello| hello.version == version);
    heard.iter().filter(|heard| heard.sni == Sni::Target).filter(is_of)
}

/// Answers in TLS to the target's own name.
fn hellos(heard: &[Heard]) -> impl Iterator<Item = (&ServerHello, &Flight)> {
    let own = heard.iter().filter(|heard| heard.sni == Sni::Target);
    own.filter_map(|heard| Some((heard.flight.hello.as_ref()?, &heard.flight)))
}

fn once<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for item in items {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn bits(number: &[u8]) -> u32 {
    let number = without_zeros(number);
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(number.len() * 8).unwrap_or(u32::MAX).saturating_sub(unused)
}

fn hex(number: &[u8]) -> String {
    let digits: String = without_zeros(number).iter().map(|byte| format!("{byte:02x}")).collect();
    digits.trim_start_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_leading_zeros() {
        assert_eq!((bits(&[0, 0x0a, 0xbc]), hex(&[0, 0x0a, 0xbc])), (12, "abc".to_owned()));
        assert_eq!((bits(&[0x80, 0]), hex(&[0x80, 0])), (16, "8000".to_owned()));
        assert_eq!((bits(&[]), hex(&[])), (0, String::new()));
    }
}
