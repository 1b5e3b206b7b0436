//! The readers of TLS: the checker's of what a server answers, the lab's of what a client asks.

use futures::FutureExt as _;

use super::Pieces;
use crate::{
    hello::{self, ClientHello, Extra, Flight, FlightReader, KeyExchange, MAX_BYTES, MAX_CERTIFICATES, Parameters, ReadError},
    lab::embedded::{Hello, HelloError},
    tls::{Suite, Version},
};

/// Bytes in one record (RFC 8446, 5.1).
const MAX_RECORD: usize = 1 << 14;

/// A server's answer: sizes of pieces, then the bytes.
pub fn flight(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    let whole = read([pieces.rest]);
    if pieces.rest.len() > MAX_BYTES {
        assert_eq!(whole, Err(ReadError::TooLong));
        return;
    }
    if let Ok((is_complete, flight)) = &whole {
        assert_bounded(flight, pieces.rest.len());
        let and_more = read([pieces.rest, &[0xaa; 64]]);
        assert!(!is_complete || and_more == whole, "what follows a complete answer changed it");
    }
    assert_eq!(read(pieces), whole, "in pieces it reads otherwise than at once");
}

/// Handshake messages of a server: sizes of records, then the messages.
pub fn messages(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    // A record of one byte has a header of five.
    if pieces.rest.len() > MAX_BYTES / 8 {
        return;
    }
    let record = |part: &[u8]| [&[22, 3, 3][..], &length16(part.len()), part].concat();
    let long: Vec<u8> = pieces.rest.chunks(MAX_RECORD).flat_map(record).collect();
    let short: Vec<u8> = pieces.flat_map(|piece| piece.chunks(MAX_RECORD)).flat_map(record).collect();
    assert_eq!(read([&short[..]]), read([&long[..]]), "over many records it reads otherwise than over few");
}

/// A ServerKeyExchange: the suite, the place of the version among all, then the body.
pub fn key_exchange(input: &[u8]) {
    let [high, low, version, body @ ..] = input else { return };
    let suite = Suite(u32::from(u16::from_be_bytes([*high, *low])));
    let version = Version::ALL[usize::from(*version) % Version::ALL.len()];
    let Some(KeyExchange { parameters, signature }) = hello::read_key_exchange(body, suite, version) else { return };
    let head = match &parameters {
        Parameters::FiniteField { prime, generator } => {
            [&length16(prime.len()), &prime[..], &length16(generator.len()), generator].concat()
        }
        Parameters::Curve(group) => [&[3], &group.0.to_be_bytes()[..]].concat(),
        Parameters::Rsa { modulus } => [&length16(modulus.len()), &modulus[..]].concat(),
        Parameters::ExplicitCurve | Parameters::Other => Vec::new(),
    };
    let body = hello::past_identity_hint(body, suite).unwrap_or_default();
    assert!(body.starts_with(&head), "{parameters:?} is not what was sent");
    if let Some(signature) = signature {
        assert_eq!(signature.scheme.is_some(), version >= Version::Tls12);
        let scheme = signature.scheme.map(|scheme| scheme.0.to_be_bytes());
        let scheme = scheme.as_ref().map_or(&[][..], |scheme| scheme);
        let length = length16(signature.bytes.len());
        assert_eq!([&signature.parameters, scheme, &length, &signature.bytes].concat(), body);
        assert!(signature.parameters.starts_with(&head));
    }
}

/// A client's first flight, as the lab reads it: sizes of pieces, then the bytes.
pub fn client_hello(input: &[u8]) {
    let Some(mut pieces) = Pieces::of(input) else { return };
    let bytes = pieces.rest;
    let whole = asked(&mut &*bytes);
    assert_eq!(asked(&mut pieces), whole, "in pieces it reads otherwise than at once");
    let Ok(hello) = whole else { return };
    assert!(bytes.starts_with(&hello.bytes), "other bytes are kept than came");
    assert!(hello.size <= hello.bytes.len() && hello.records <= hello.bytes.len() / 2);
    assert_eq!(asked(&mut &*hello.bytes).as_ref(), Ok(&hello), "what is kept does not read the same");
    if let Some(again) = written_again(&hello) {
        let read = asked(&mut &*again.to_bytes()).unwrap_or_else(|why| panic!("{why}: {again:?}"));
        assert_eq!((read.version, read.is_ssl2, &read.suites), (hello.version, hello.is_ssl2, &hello.suites));
        if hello.is_ssl2 {
            assert_eq!(read.random[16..], hello.random[16..]);
            return;
        }
        assert_eq!((read.random, &read.session_id), (hello.random, &again.session_id));
        assert_eq!(read.compressions.contains(&1), hello.compressions.contains(&1));
        assert_eq!(read.server_name(), again.server_name.as_deref());
        assert_eq!(read.groups().unwrap_or_default(), again.groups);
        assert_eq!(read.schemes().unwrap_or_default(), again.schemes);
        assert_eq!(read.records, 1 + usize::from(again.in_two_records));
        assert!(read.size >= again.padded_to);
        assert_eq!(read.has_unknown_extension(), again.extras.contains(&Extra::Unknown));
        for version in &Version::ALL[1..] {
            let is_offered = if again.versions.is_empty() { *version <= again.version } else { again.versions.contains(version) };
            assert_eq!(read.offers(*version, true), is_offered, "{version}");
        }
    }
}

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("the vectors of an input are short").to_be_bytes()
}

/// Whether an answer was complete, and what it held; or why it is none.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(bool, Flight), ReadError> {
    let mut reader = FlightReader::default();
    let mut is_complete = false;
    for piece in pieces {
        is_complete = reader.push(piece)?;
    }
    Ok((is_complete, reader.into_flight()))
}

/// Nothing of a flight is longer than what was sent; the parameters of a signed key exchange are kept twice.
fn assert_bounded(flight: &Flight, sent: usize) {
    let certificates = flight.certificates.as_deref().unwrap_or_default();
    assert!(certificates.len() <= MAX_CERTIFICATES);
    let extensions = flight.hello.iter().flat_map(|hello| &hello.extensions).map(|(_, body)| body.len());
    let ssl2 = flight.ssl2.iter().map(|hello| hello.certificate.len() + hello.suites.len() * 3);
    let signature = flight.key_exchange.iter().filter_map(|exchange| exchange.signature.as_ref());
    let signature = signature.map(|signature| signature.bytes.len() + signature.parameters.len());
    let kept = certificates.iter().map(Vec::len).chain(extensions).chain(ssl2).chain(signature).sum::<usize>();
    assert!(kept + flight.warnings.len() <= sent, "{kept} bytes are kept of {sent}");
    let named = flight.certificate_request.unwrap_or(0).saturating_add(flight.staple.unwrap_or(0));
    assert!(usize::try_from(named).is_ok_and(|named| named <= sent));
}

/// The ClientHello of a connection that never waits; errors as text, since those of a connection cannot be compared.
fn asked(connection: &mut (impl tokio::io::AsyncRead + Unpin)) -> Result<Hello, String> {
    let read = Hello::read(connection).now_or_never().expect("such a connection never waits");
    read.map_err(|error| match error {
        HelloError::Io(error) => error.kind().to_string(),
        HelloError::Syntax => error.to_string(),
    })
}

/// The same hello as the checker would write it, as far as it can.
fn written_again(hello: &Hello) -> Option<ClientHello> {
    let version = Version::from_code(hello.version)?;
    // No hello of the checker is longer, and its writer cuts what does not fit.
    if hello.size > MAX_RECORD || version == Version::Tls13 || hello.is_ssl2 != (version == Version::Ssl2) {
        return None;
    }
    let plain = ClientHello::plain(version, hello.suites.clone(), hello.random);
    if hello.is_ssl2 {
        let mut random = hello.random;
        random.rotate_left(16);
        return Some(ClientHello { random, ..plain });
    }
    let versions = hello.extension(43).and_then(|content| content.split_first());
    let versions =
        versions.map(|(_, codes)| codes.chunks_exact(2).filter_map(|c| Version::from_code(u16::from_be_bytes([c[0], c[1]]))));
    let extras = [
        (0xff01, Extra::RenegotiationInfo),
        (23, Extra::ExtendedMasterSecret),
        (22, Extra::EncryptThenMac),
        (35, Extra::SessionTicket),
        (5, Extra::StatusRequest),
        (0x3a3a, Extra::Unknown),
    ];
    let groups = hello.groups().unwrap_or_default();
    Some(ClientHello {
        session_id: hello.session_id.iter().take(32).copied().collect(),
        deflate: hello.compressions.contains(&1),
        server_name: hello.server_name().map(str::to_owned),
        // At most 127 fit.
        versions: versions.into_iter().flatten().take(127).collect(),
        schemes: hello.schemes().unwrap_or_default(),
        extras: extras.into_iter().filter(|(code, _)| hello.extension(*code).is_some()).map(|(_, extra)| extra).collect(),
        groups,
        padded_to: hello.size,
        in_two_records: hello.records > 1,
        ..plain
    })
}
