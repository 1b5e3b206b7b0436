//! A server's first flight, in the lab's own bytes: for versions and suites that no library speaks any more.
//!
//! Everything that a client sees before it has to compute is there, and what is signed is really
//! signed; the handshake cannot be completed.

use aws_lc_rs::{agreement, rand::SystemRandom};
use rand::RngExt as _;
use rsa::traits::PublicKeyParts as _;

use super::{
    hello::Hello,
    keys::SignError,
    stack::{Choice, Exchange, Stack},
};
use crate::{
    lab::dh,
    scenario::{ClientCertificateFault, DhGroupName, Flight},
    tls::{Alert, Authentication, Group, Suite, Version},
};

/// The content of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Alert = 21,
    Handshake = 22,
}

/// What makes a ServerHello a HelloRetryRequest (RFC 8446, 4.1.3): the SHA-256 of its name.
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// Records hold no more (RFC 5246, 6.2.1).
const MAX_FRAGMENT: usize = 1 << 14;

/// Bytes as records of a version, the longest that there may be.
pub(super) fn records(content: Content, version: Version, bytes: &[u8]) -> Vec<u8> {
    // TLS 1.3 stays in the records of TLS 1.2 (RFC 8446, 5.1).
    let version = version.min(Version::Tls12).code().to_be_bytes();
    let record = |fragment: &[u8]| [&[content as u8], &version[..], &length::<2>(fragment), fragment].concat();
    bytes.chunks(MAX_FRAGMENT).flat_map(record).collect()
}

/// A fatal alert.
pub(super) fn alert(alert: Alert, version: Version) -> Vec<u8> {
    records(Content::Alert, version, &[2, alert.0])
}

/// The messages of a flight up to TLS 1.2, in order; the certificate and the key exchange where there are such.
pub(super) fn messages(
    stack: &Stack,
    hello: &Hello,
    choice: &Choice,
    client_certificate: Option<ClientCertificateFault>,
) -> Result<Vec<(Flight, Vec<u8>)>, SignError> {
    let random: [u8; 32] = rand::rng().random();
    let mut messages = vec![(Flight::ServerHello, server_hello(stack, hello, choice, &random))];
    if let Some(credential) = choice.credential {
        let chain: Vec<u8> = credential.chain.iter().flat_map(|der| with_length::<3>(der)).collect();
        messages.push((Flight::Certificate, message(11, &with_length::<3>(&chain))));
    }
    if let Some(exchange) = key_exchange(stack, hello, choice, &random)? {
        messages.push((Flight::ServerKeyExchange, message(12, &exchange)));
    }
    let mut done = Vec::new();
    // RFC 5246, 7.4.4: an anonymous server asks for no certificate.
    if let (Some(asked), Some(_)) = (client_certificate, choice.credential) {
        let schemes: Vec<u8> = stack.schemes.iter().flat_map(|scheme| scheme.0.to_be_bytes()).collect();
        let schemes = if choice.version == Version::Tls12 { with_length::<2>(&schemes) } else { Vec::new() };
        let names = authorities(usize::from(asked.ca_bytes.unwrap_or(0)));
        let names: Vec<u8> = names.iter().flat_map(|name| with_length::<2>(name)).collect();
        // rsa_sign and ecdsa_sign.
        done.extend(message(13, &[with_length::<1>(&[1, 64]), schemes, with_length::<2>(&names)].concat()));
    }
    done.extend(message(14, &[]));
    messages.push((Flight::Done, done));
    Ok(messages)
}

/// RFC 5246, 7.4.1.3. Nothing is confirmed that was not offered.
fn server_hello(stack: &Stack, hello: &Hello, choice: &Choice, random: &[u8; 32]) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut confirm = |code: u16, content: &[u8]| {
        extensions.extend(code.to_be_bytes());
        extensions.extend(with_length::<2>(content));
    };
    if stack.secure_renegotiation && hello.offers_secure_renegotiation() {
        confirm(0xff01, &[0]);
    }
    let is_tls = choice.version >= Version::Tls10;
    let offers = |code| is_tls && hello.extension(code).is_some();
    let has_curve = choice.suite.name().is_some_and(|name| name.starts_with("TLS_ECDH"));
    // Points in uncompressed form (RFC 8422, 5.1.2).
    if has_curve && offers(11) {
        confirm(11, &[1, 0]);
    }
    if stack.session_tickets && offers(35) {
        confirm(35, &[]);
    }
    // RFC 7366, 3.
    if stack.encrypts_then_macs(choice.suite) && offers(22) {
        confirm(22, &[]);
    }
    if stack.extended_master_secret && offers(23) {
        confirm(23, &[]);
    }
    let compression = u8::from(stack.compression && hello.compressions.contains(&1));
    // No session is kept, so it gets no id.
    let mut body = [&choice.version.code().to_be_bytes()[..], random, &[0], &code(choice.suite), &[compression]].concat();
    if !extensions.is_empty() {
        body.extend(with_length::<2>(&extensions));
    }
    message(2, &body)
}

/// RFC 8446, 4.1.3 and 4.1.4: a ServerHello with a plausible share, or a HelloRetryRequest.
pub(super) fn server_hello_tls13(hello: &Hello, choice: &Choice, is_retry: bool) -> Vec<u8> {
    let group = choice.group.unwrap_or(Group(0));
    let random = if is_retry { RETRY_RANDOM } else { rand::rng().random() };
    let share = if is_retry { Vec::new() } else { with_length::<2>(&public_value(group)) };
    let share = [&group.0.to_be_bytes()[..], &share].concat();
    let version = [&43_u16.to_be_bytes()[..], &with_length::<2>(&Version::Tls13.code().to_be_bytes())].concat();
    let share = [&51_u16.to_be_bytes()[..], &with_length::<2>(&share)].concat();
    let extensions = with_length::<2>(&[version, share].concat());
    let session_id = with_length::<1>(&hello.session_id);
    message(2, &[&Version::Tls12.code().to_be_bytes()[..], &random, &session_id, &code(choice.suite), &[0], &extensions].concat())
}

/// The SERVER-HELLO of SSL 2.0 (draft-hickman-netscape-ssl-00, 2.6), in its record.
pub(super) fn server_hello_ssl2(certificate: &[u8], kinds: &[Suite]) -> Vec<u8> {
    let kinds: Vec<u8> = kinds.iter().flat_map(|kind| kind.0.to_be_bytes().into_iter().skip(1)).collect();
    let connection: [u8; 16] = rand::rng().random();
    let sizes = [length::<2>(certificate), length::<2>(&kinds), length::<2>(&connection)].concat();
    // SERVER-HELLO, no session resumed, an X.509 certificate, version 2.
    let body = [&[4, 0, 1, 0, 2], &sizes[..], certificate, &kinds, &connection].concat();
    let [high, low] = length::<2>(&body);
    [&[high | 0x80, low], &body[..]].concat()
}

/// The parameters and their signature; none where the certificate holds the key.
fn key_exchange(stack: &Stack, hello: &Hello, choice: &Choice, random: &[u8; 32]) -> Result<Option<Vec<u8>>, SignError> {
    let Some(exchange) = Exchange::of(choice.suite).filter(|exchange| exchange.has_message()) else { return Ok(None) };
    let parameters = match exchange {
        Exchange::RsaExport => {
            let key = export_key().map_err(|error| SignError::from(&error))?;
            [with_length::<2>(&key.n_bytes()), with_length::<2>(&key.e_bytes())].concat()
        }
        Exchange::Dhe => finite_field(stack.dh_group(choice)),
        Exchange::DheExport => finite_field(DhGroupName::Own512),
        Exchange::Ecdhe | Exchange::Rsa | Exchange::Ecdh => {
            let group = choice.group.unwrap_or(Group(0));
            // named_curve.
            [&[3], &group.0.to_be_bytes()[..], &with_length::<1>(&public_value(group))].concat()
        }
    };
    let Some(credential) = choice.credential.filter(|_| choice.suite.authentication() != Authentication::Anonymous) else {
        return Ok(Some(parameters));
    };
    let signature = credential.sign(choice.scheme, &[&hello.random[..], random, &parameters].concat())?;
    // RFC 5246, 4.7: the scheme comes before the signature.
    let scheme = choice.scheme.map(|scheme| scheme.0.to_be_bytes().to_vec()).unwrap_or_default();
    Ok(Some([parameters, scheme, with_length::<2>(&signature)].concat()))
}

/// The modulus, the generator, and a public value (RFC 5246, 7.4.3).
fn finite_field(name: DhGroupName) -> Vec<u8> {
    let group = dh::group(name);
    // A power of the generator 2, as clients check; that its exponent is short does not matter to a handshake that ends here.
    let mut public = vec![0; group.prime.len() - 1];
    let middle = public.len() / 2;
    public[rand::rng().random_range(1..middle)] = 1 << rand::rng().random_range(0..8);
    [with_length::<2>(&group.prime), with_length::<2>(&[group.generator]), with_length::<2>(&public)].concat()
}

/// A public value of a group: a real one where a library is at hand, otherwise random bytes of the right size.
fn public_value(group: Group) -> Vec<u8> {
    let algorithm = match group.0 {
        0x17 => Some(&agreement::ECDH_P256),
        0x18 => Some(&agreement::ECDH_P384),
        0x19 => Some(&agreement::ECDH_P521),
        0x1d => Some(&agreement::X25519),
        _ => None,
    };
    let key = algorithm.and_then(|algorithm| agreement::EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).ok());
    if let Some(public) = key.and_then(|key| key.compute_public_key().ok()) {
        return public.as_ref().to_vec();
    }
    let name = group.name().unwrap_or_default();
    let digits: String = name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let bytes = digits.parse::<usize>().unwrap_or(256).div_ceil(8);
    let size = match group.0 {
        0x1e => 56,
        // The curve's share beside the encapsulation of ML-KEM-768 and -1024 (draft-ietf-tls-ecdhe-mlkem, 4.2).
        0x11eb => 1088 + 65,
        0x11ec => 1088 + 32,
        0x11ed => 1568 + 97,
        0x0200 => 768,
        0x0201 => 1088,
        0x0202 => 1568,
        0x0100..=0x01ff => bytes,
        // An uncompressed point.
        _ => 2 * bytes + 1,
    };
    let mut value = vec![0; size];
    rand::rng().fill(&mut value[..]);
    if matches!(group.0, 0x01..=0x1c | 0x1f..=0x29 | 0x11eb | 0x11ed) {
        value[0] = 4;
    }
    value
}

/// The 512-bit key of export suites, one for the life of the process as servers had it.
fn export_key() -> Result<rsa::PrivateKey, rsa::Error> {
    static KEY: std::sync::OnceLock<rsa::PrivateKey> = std::sync::OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key.clone());
    }
    let key = rsa::PrivateKey::new_unchecked(&mut rand::rng(), 512)?;
    Ok(KEY.get_or_init(|| key).clone())
}

/// Names of certification authorities in DER, that many bytes together with their lengths, but at least one name if any.
pub(super) fn authorities(bytes: usize) -> Vec<Vec<u8>> {
    /// Of one entry: the length, then a Name of one CN, which takes 13 bytes besides its text.
    const ENTRY: usize = 100;
    const OVERHEAD: usize = 2 + 13;
    let count = if bytes == 0 { 0 } else { (bytes / ENTRY).max(1) };
    let entry = |index: usize| {
        let size = if index + 1 == count { bytes - index * ENTRY } else { ENTRY };
        let width = size.saturating_sub(OVERHEAD).max(1);
        let text = format!("{index:0width$}");
        let common_name = |writer: yasna::DERWriter| {
            writer.write_sequence(|parts| {
                parts.next().write_oid(&yasna::models::ObjectIdentifier::from_slice(&[2, 5, 4, 3]));
                parts.next().write_utf8_string(&text);
            });
        };
        yasna::construct_der(|writer| writer.write_sequence(|name| name.next().write_set(|set| common_name(set.next()))))
    };
    (0..count).map(entry).collect()
}

fn code(suite: Suite) -> [u8; 2] {
    let [_, _, high, low] = suite.0.to_be_bytes();
    [high, low]
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &with_length::<3>(body)[..]].concat()
}

/// The bytes after their length in `N` bytes.
pub(super) fn with_length<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    [&length::<N>(bytes)[..], bytes].concat()
}

fn length<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let whole = (bytes.len() as u64).to_be_bytes();
    std::array::from_fn(|i| whole[8 - N + i])
}
