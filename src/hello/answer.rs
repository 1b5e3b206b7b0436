//! What a server answers to a ClientHello, up to where it waits for the client or speaks in cipher.

use super::{cursor::Cursor, key_exchange, key_exchange::KeyExchange};
use crate::tls::{Alert, Group, Suite, Version};

/// Bytes of one answer. Longer ones are no handshake.
pub const MAX_BYTES: usize = 512 * 1024;
/// Certificates of one chain.
pub const MAX_CERTIFICATES: usize = 512;
/// Bytes in one record in the clear (RFC 8446, 5.1).
const MAX_RECORD: usize = 1 << 14;
/// The random that makes a ServerHello a HelloRetryRequest (RFC 8446, 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Everything that an answer held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// A ServerHello or HelloRetryRequest.
    pub hello: Option<ServerHello>,
    /// A SERVER-HELLO of SSL 2.0.
    pub ssl2: Option<Ssl2Hello>,
    /// The chain as DER, in the order sent; up to TLS 1.2.
    pub certificates: Option<Vec<Vec<u8>>>,
    /// The size of the stapled OCSP response, in bytes.
    pub staple: Option<u32>,
    /// The ServerKeyExchange.
    pub key_exchange: Option<KeyExchange>,
    /// The size of the list of authorities in a CertificateRequest, in bytes.
    pub certificate_request: Option<u32>,
    /// A fatal alert, or close_notify: the server ended the handshake.
    pub alert: Option<Alert>,
    /// Alerts that were warnings.
    pub warnings: Vec<Alert>,
}

/// A ServerHello or HelloRetryRequest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version that the server chose, supported_versions considered.
    pub version: Version,
    /// The server's random.
    pub random: [u8; 32],
    /// The suite that it chose.
    pub suite: Suite,
    /// The compression method; 0 is none.
    pub compression: u8,
    /// Codes and bodies of its extensions, in order.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// Whether it is a HelloRetryRequest.
    pub is_retry: bool,
    /// The group of its key_share (TLS 1.3).
    pub group: Option<Group>,
}

impl ServerHello {
    /// Whether it has that extension.
    pub fn has(&self, code: u16) -> bool {
        self.extensions.iter().any(|(known, _)| *known == code)
    }

    /// The protocol of its ALPN extension (RFC 7301, 3.1).
    pub fn alpn(&self) -> Option<&[u8]> {
        let (_, body) = self.extensions.iter().find(|(code, _)| *code == 16)?;
        Cursor(Cursor(body).vec16()?).vec8()
    }
}

/// A SERVER-HELLO of SSL 2.0 (its specification, 2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssl2Hello {
    /// The cipher kinds that both have.
    pub suites: Vec<Suite>,
    /// The certificate as DER; empty where a session is resumed.
    pub certificate: Vec<u8>,
}

/// Why bytes are no answer to a ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More than [`MAX_BYTES`].
    #[error("the answer has more than {} KiB", MAX_BYTES / 1024)]
    TooLong,
    /// More than [`MAX_CERTIFICATES`].
    #[error("the chain has more than {MAX_CERTIFICATES} certificates")]
    TooManyCertificates,
    /// It does not begin like a record.
    #[error("the answer is no TLS: it has the byte {0:#04x} where a record begins")]
    NotTls(u8),
    /// A message or record breaks its own syntax.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A message came where the protocol has no place for it.
    #[error("a handshake message of type {0} out of order")]
    OutOfOrder(u8),
    /// A version that this build does not know.
    #[error("the server chose the unknown version {0:#06x}")]
    UnknownVersion(u16),
    /// An error message of SSL 2.0 (its specification, 2.7).
    #[error("the server sent the SSL 2.0 error {0:#06x}")]
    Ssl2Error(u16),
}

/// Reads an answer piece by piece, as it arrives.
#[derive(Debug, Default)]
pub struct FlightReader {
    /// Bytes that make no whole record yet.
    wire: Vec<u8>,
    /// Bytes of records that make no whole message yet.
    messages: Vec<u8>,
    /// How many bytes have arrived.
    taken: usize,
    /// The type of the last message, for their order.
    last: u8,
    is_complete: bool,
    flight: Flight,
}

impl FlightReader {
    /// Takes what arrived. True when the answer is complete: nothing more comes in the clear before the client speaks.
    /// Bytes after that are ignored.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, ReadError> {
        if self.is_complete {
            return Ok(true);
        }
        self.taken += bytes.len();
        if self.taken > MAX_BYTES {
            return Err(ReadError::TooLong);
        }
        self.wire.extend_from_slice(bytes);
        let wire = std::mem::take(&mut self.wire);
        let mut rest = &wire[..];
        while !self.is_complete {
            let Some(used) = self.take_record(rest)? else { break };
            rest = &rest[used..];
        }
        self.wire = rest.to_vec();
        Ok(self.is_complete)
    }

    /// What was read; incomplete where [`Self::push`] never said true.
    pub fn into_flight(self) -> Flight {
        self.flight
    }

    /// How many bytes of the answer have arrived.
    pub fn bytes(&self) -> usize {
        self.taken
    }

    /// The length of the first record, if it is there as a whole.
    fn take_record(&mut self, wire: &[u8]) -> Result<Option<usize>, ReadError> {
        let Some(&first) = wire.first() else { return Ok(None) };
        // A record of SSL 2.0 with a header of two bytes; nothing of SSL 3.0 or later has that bit in its type.
        if first & 0x80 != 0 && self.last == 0 && self.messages.is_empty() {
            return self.take_ssl2(wire);
        }
        if !(20..=23).contains(&first) {
            return Err(ReadError::NotTls(first));
        }
        if let Some(&major) = wire.get(1)
            && major != 3
        {
            return Err(ReadError::NotTls(major));
        }
        let mut cursor = Cursor(wire);
        let header = (cursor.u8(), cursor.u16(), cursor.u16());
        let (Some(kind), Some(_), Some(length)) = header else { return Ok(None) };
        let length = usize::from(length);
        if length > MAX_RECORD || length == 0 {
            return Err(ReadError::Malformed("record"));
        }
        let Some(body) = cursor.take(length) else { return Ok(None) };
        match kind {
            21 => self.take_alerts(body)?,
            22 => {
                self.messages.extend_from_slice(body);
                self.take_messages()?;
            }
            // change_cipher_spec or data: not before both sides have keys.
            _ => return Err(ReadError::OutOfOrder(kind)),
        }
        Ok(Some(5 + length))
    }

    fn take_alerts(&mut self, body: &[u8]) -> Result<(), ReadError> {
        // Several may share one record up to TLS 1.2 (RFC 5246, 6.2.1); what follows the end says nothing.
        for alert in body.chunks(2) {
            match *alert {
                [1, description] if description != 0 => self.flight.warnings.push(Alert(description)),
                [1 | 2, description] => {
                    self.flight.alert = Some(Alert(description));
                    self.is_complete = true;
                    break;
                }
                _ => return Err(ReadError::Malformed("alert")),
            }
        }
        Ok(())
    }

    fn take_messages(&mut self) -> Result<(), ReadError> {
        let messages = std::mem::take(&mut self.messages);
        let mut cursor = Cursor(&messages);
        while !self.is_complete {
            let mut ahead = cursor;
            let (Some(kind), Some(length)) = (ahead.u8(), ahead.u24()) else { break };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > MAX_BYTES {
                return Err(ReadError::TooLong);
            }
            let Some(body) = ahead.take(length) else { break };
            self.take_message(kind, body)?;
            cursor = ahead;
        }
        self.messages = cursor.0.to_vec();
        Ok(())
    }

    fn take_message(&mut self, kind: u8, body: &[u8]) -> Result<(), ReadError> {
        // RFC 5246, 7.3: ServerHello, Certificate, CertificateStatus (RFC 6066, 8), ServerKeyExchange, CertificateRequest, ServerHelloDone.
        const ORDER: [u8; 6] = [2, 11, 22, 12, 13, 14];
        let place = |kind: u8| ORDER.iter().position(|known| *known == kind);
        let is_in_order = match (place(kind), place(self.last)) {
            (Some(0), None) => true,
            (Some(now), Some(before)) => now > before,
            _ => false,
        };
        if !is_in_order {
            return Err(ReadError::OutOfOrder(kind));
        }
        self.last = kind;
        match kind {
            2 => {
                let hello = server_hello(body)?;
                // After either of them the server waits for us or goes on in cipher (RFC 8446, 2).
                self.is_complete = hello.is_retry || hello.version == Version::Tls13;
                self.flight.hello = Some(hello);
            }
            11 => self.flight.certificates = Some(certificates(body)?),
            22 => self.flight.staple = Some(staple(body).ok_or(ReadError::Malformed("CertificateStatus"))?),
            12 => {
                let hello = self.flight.hello.as_ref().ok_or(ReadError::OutOfOrder(kind))?;
                let read = key_exchange::read(body, hello.suite, hello.version);
                self.flight.key_exchange = Some(read.ok_or(ReadError::Malformed("ServerKeyExchange"))?);
            }
            13 => {
                let version = self.flight.hello.as_ref().ok_or(ReadError::OutOfOrder(kind))?.version;
                let read = certificate_request(body, version);
                self.flight.certificate_request = Some(read.ok_or(ReadError::Malformed("CertificateRequest"))?);
            }
            _ if body.is_empty() => self.is_complete = true,
            _ => return Err(ReadError::Malformed("ServerHelloDone")),
        }
        Ok(())
    }

    fn take_ssl2(&mut self, wire: &[u8]) -> Result<Option<usize>, ReadError> {
        let mut cursor = Cursor(wire);
        let Some(header) = cursor.u16() else { return Ok(None) };
        let length = usize::from(header & 0x7fff);
        let Some(body) = cursor.take(length) else { return Ok(None) };
        match body {
            [0, rest @ ..] => {
                let code = rest.try_into().map(u16::from_be_bytes);
                return Err(code.map_or(ReadError::Malformed("SSL 2.0 error"), ReadError::Ssl2Error));
            }
            [4, rest @ ..] => self.flight.ssl2 = Some(ssl2_hello(rest).ok_or(ReadError::Malformed("SERVER-HELLO of SSL 2.0"))?),
            _ => return Err(ReadError::Malformed("record of SSL 2.0")),
        }
        self.is_complete = true;
        Ok(Some(2 + length))
    }
}

fn server_hello(body: &[u8]) -> Result<ServerHello, ReadError> {
    const MALFORMED: ReadError = ReadError::Malformed("ServerHello");
    let mut cursor = Cursor(body);
    let mut fields = || {
        let version = cursor.u16()?;
        let random: [u8; 32] = cursor.take(32)?.try_into().ok()?;
        let session_id = cursor.vec8()?;
        let suite = cursor.u16()?;
        let compression = cursor.u8()?;
        // No extensions at all is as good as an empty list (RFC 5246, 7.4.1.3).
        let extensions = if cursor.is_empty() { &[] } else { cursor.vec16()? };
        (session_id.len() <= 32 && cursor.is_empty()).then_some((version, random, suite, compression, extensions))
    };
    let (legacy_version, random, suite, compression, rest) = fields().ok_or(MALFORMED)?;
    let mut extensions = Vec::new();
    let mut cursor = Cursor(rest);
    while !cursor.is_empty() {
        let (Some(code), Some(body)) = (cursor.u16(), cursor.vec16()) else { return Err(MALFORMED) };
        if extensions.iter().any(|(known, _)| *known == code) {
            return Err(MALFORMED);
        }
        extensions.push((code, body.to_vec()));
    }
    let find = |code: u16| extensions.iter().find(|(known, _)| *known == code).map(|(_, body)| Cursor(body));
    // RFC 8446, 4.2.1: in a ServerHello it holds the one version that was chosen.
    let version = match find(43) {
        Some(mut chosen) => chosen.u16().filter(|_| chosen.is_empty()).ok_or(MALFORMED)?,
        None => legacy_version,
    };
    let version = Version::from_code(version).filter(|v| *v > Version::Ssl2).ok_or(ReadError::UnknownVersion(version))?;
    let is_retry = version == Version::Tls13 && random == RETRY;
    let group = match find(51).filter(|_| version == Version::Tls13) {
        Some(mut share) => Some(Group(share.u16().ok_or(MALFORMED)?)),
        None => None,
    };
    Ok(ServerHello { version, random, suite: Suite(u32::from(suite)), compression, extensions, is_retry, group })
}

fn certificates(body: &[u8]) -> Result<Vec<Vec<u8>>, ReadError> {
    const MALFORMED: ReadError = ReadError::Malformed("Certificate");
    let mut cursor = Cursor(body);
    let list = cursor.vec24().filter(|_| cursor.is_empty()).ok_or(MALFORMED)?;
    let mut cursor = Cursor(list);
    let mut chain = Vec::new();
    while !cursor.is_empty() {
        if chain.len() == MAX_CERTIFICATES {
            return Err(ReadError::TooManyCertificates);
        }
        chain.push(cursor.vec24().ok_or(MALFORMED)?.to_vec());
    }
    Ok(chain)
}

/// RFC 6066, 8: the size of the OCSP response.
fn staple(body: &[u8]) -> Option<u32> {
    let mut cursor = Cursor(body);
    let kind = cursor.u8()?;
    let response = cursor.vec24()?;
    (kind == 1 && cursor.is_empty()).then_some(u32::try_from(response.len()).ok()?)
}

/// RFC 5246, 7.4.4: the size of the list of authorities.
fn certificate_request(body: &[u8], version: Version) -> Option<u32> {
    let mut cursor = Cursor(body);
    cursor.vec8()?;
    if version >= Version::Tls12 {
        cursor.vec16()?;
    }
    let authorities = cursor.vec16()?;
    cursor.is_empty().then_some(u32::try_from(authorities.len()).ok()?)
}

fn ssl2_hello(body: &[u8]) -> Option<Ssl2Hello> {
    let mut cursor = Cursor(body);
    cursor.take(2)?; // Whether a session is resumed, and the kind of certificate.
    let version = cursor.u16()?;
    let (certificate, kinds, connection) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    let certificate = cursor.take(usize::from(certificate))?.to_vec();
    let kinds = cursor.take(usize::from(kinds))?;
    cursor.take(usize::from(connection))?;
    let suites = kinds.chunks_exact(3).map(|kind| Suite(u32::from_be_bytes([0, kind[0], kind[1], kind[2]]))).collect();
    let is_whole = kinds.len() % 3 == 0 && cursor.is_empty() && version == Version::Ssl2.code();
    is_whole.then_some(Ssl2Hello { suites, certificate })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::hello::Parameters;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    fn record(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3], &length[..], body].concat()
    }

    fn hello(version: u16, random: [u8; 32], suite: u16, extensions: &[u8]) -> Vec<u8> {
        let mut body = version.to_be_bytes().to_vec();
        body.extend(random);
        body.push(0);
        body.extend(suite.to_be_bytes());
        body.push(0);
        if !extensions.is_empty() {
            body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
            body.extend(extensions);
        }
        message(2, &body)
    }

    fn flight_of_tls12() -> Vec<u8> {
        let chain = [&[0, 0, 5, 0, 0, 2][..], b"AB"].concat();
        let key_exchange = [3, 0, 0x17, 1, 5, 4, 1, 0, 1, 9];
        [
            hello(0x0303, [1; 32], 0xc02f, &[0xff, 1, 0, 1, 0, 0, 5, 0, 0, 0, 16, 0, 5, 0, 3, 2, b'h', b'2']),
            message(11, &chain),
            message(22, &[1, 0, 0, 3, 7, 7, 7]),
            message(12, &key_exchange),
            message(13, &[1, 1, 0, 2, 4, 1, 0, 4, 0, 2, 0x30, 0]),
            message(14, &[]),
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> Result<(bool, Flight), ReadError> {
        let mut reader = FlightReader::default();
        let is_complete = reader.push(bytes)?;
        Ok((is_complete, reader.into_flight()))
    }

    #[test]
    fn a_whole_flight_of_tls12() {
        let (is_complete, flight) = read(&record(22, &flight_of_tls12())).unwrap();
        assert!(is_complete);
        let hello = flight.hello.unwrap();
        assert_eq!((hello.version, hello.suite, hello.is_retry), (Version::Tls12, Suite(0xc02f), false));
        assert!(hello.has(0xff01) && hello.has(5) && !hello.has(23));
        assert_eq!(hello.alpn(), Some(&b"h2"[..]));
        assert_eq!(flight.certificates, Some(vec![b"AB".to_vec()]));
        assert_eq!(flight.staple, Some(3));
        assert_eq!(flight.key_exchange.unwrap().parameters, Parameters::Curve(Group(0x17)));
        assert_eq!(flight.certificate_request, Some(4));
    }

    #[test]
    fn a_retry_request_names_suite_and_group() {
        let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0x11, 0xec];
        let bytes = [record(22, &hello(0x0303, RETRY, 0x1302, &extensions)), record(20, &[1])].concat();
        let (is_complete, flight) = read(&bytes).unwrap();
        let hello = flight.hello.unwrap();
        assert!(is_complete && hello.is_retry);
        assert_eq!((hello.version, hello.suite, hello.group), (Version::Tls13, Suite(0x1302), Some(Group(0x11ec))));
    }

    #[test]
    fn alerts_end_the_flight_and_warnings_do_not() {
        let (is_complete, flight) = read(&[record(21, &[1, 112]), record(21, &[2, 40])].concat()).unwrap();
        assert!(is_complete);
        assert_eq!((flight.alert, flight.warnings), (Some(Alert(40)), vec![Alert(112)]));
        let both = read(&record(21, &[1, 112, 2, 40])).unwrap().1;
        assert_eq!((both.alert, both.warnings), (Some(Alert(40)), vec![Alert(112)]));
        assert!(!read(&record(21, &[1, 112])).unwrap().0);
        assert!(read(&record(21, &[1, 0])).unwrap().0);
    }

    #[test]
    fn a_server_hello_of_ssl2() {
        let body = [&[4, 0, 1, 0, 2, 0, 2, 0, 6, 0, 1][..], b"AB", &[1, 0, 0x80, 7, 0, 0xc0], b"c"].concat();
        let bytes = [&[0x80, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let (is_complete, flight) = read(&bytes).unwrap();
        assert!(is_complete);
        let expected = Ssl2Hello { suites: vec![Suite(0x01_0080), Suite(0x07_00c0)], certificate: b"AB".to_vec() };
        assert_eq!(flight.ssl2, Some(expected));
        assert_eq!(read(&[0x80, 3, 0, 0, 1]), Err(ReadError::Ssl2Error(1)));
    }

    #[rstest]
    #[case(b"220 mx ESMTP\r\n", ReadError::NotTls(b'2'))]
    #[case(&[22, 9, 9, 0, 1], ReadError::NotTls(9))]
    #[case(&[22, 3, 3, 0xff, 0xff], ReadError::Malformed("record"))]
    #[case(&[22, 3, 3, 0, 0], ReadError::Malformed("record"))]
    #[case(&[23, 3, 3, 0, 1, 0], ReadError::OutOfOrder(23))]
    #[case(&[21, 3, 3, 0, 2, 9, 9], ReadError::Malformed("alert"))]
    #[case(&[22, 3, 3, 0, 4, 11, 0, 0, 0], ReadError::OutOfOrder(11))]
    #[case(&[22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff], ReadError::TooLong)]
    #[case(&[22, 3, 3, 0, 6, 2, 0, 0, 2, 3, 3], ReadError::Malformed("ServerHello"))]
    fn what_is_no_answer(#[case] bytes: &[u8], #[case] error: ReadError) {
        assert_eq!(read(bytes), Err(error));
    }

    #[test]
    fn unknown_versions_and_long_chains_are_refused() {
        let unknown = record(22, &hello(0x0303, [1; 32], 0x1301, &[0, 43, 0, 2, 0x7f, 0x1c]));
        assert_eq!(read(&unknown), Err(ReadError::UnknownVersion(0x7f1c)));
        let list = [0, 0, 0].repeat(MAX_CERTIFICATES + 1);
        let [.., high, middle, low] = list.len().to_be_bytes();
        let body = [&[high, middle, low][..], &list].concat();
        let bytes = record(22, &[hello(0x0303, [1; 32], 0x002f, &[]), message(11, &body)].concat());
        assert_eq!(read(&bytes), Err(ReadError::TooManyCertificates));
        assert_eq!(read(&record(21, &[1, 112]).repeat(MAX_BYTES / 7 + 1)), Err(ReadError::TooLong));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn damaged_flights_never_panic(at in 0_usize..200, value: u8) {
            let mut bytes = record(22, &flight_of_tls12());
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = read(&bytes);
        }

        #[test]
        fn pieces_and_records_of_any_size_read_the_same(piece in 1_usize..60, cut in 1_usize..60) {
            let message = flight_of_tls12();
            let bytes: Vec<u8> = message.chunks(cut).flat_map(|part| record(22, part)).collect();
            let mut reader = FlightReader::default();
            for part in bytes.chunks(piece) {
                reader.push(part).unwrap();
            }
            prop_assert_eq!(reader.into_flight(), read(&record(22, &message)).unwrap().1);
        }
    }
}
