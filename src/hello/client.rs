//! The ClientHello, written as it was ordered: old, odd or plain.

use super::answer::Flight;
use crate::tls::{Group, SignatureScheme, Suite, Version};

/// A ClientHello. Whatever is empty or absent is left out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The version of the hello itself; TLS 1.2 stands there for TLS 1.3 as well (RFC 8446, 4.1.2).
    pub version: Version,
    /// The client's random; SSL 2.0 takes its first 16 bytes as the challenge.
    pub random: [u8; 32],
    /// At most 32 bytes are sent.
    pub session_id: Vec<u8>,
    /// The suites, the most wanted first. In SSL 2.0 its cipher kinds, else those of 16 bits; others are left out.
    pub suites: Vec<Suite>,
    /// Whether the signalling suite of RFC 5746, 3.3 stands at their end.
    pub renegotiation_scsv: bool,
    /// Whether DEFLATE is offered before no compression (RFC 3749).
    pub deflate: bool,
    /// The server name indication (RFC 6066, 3).
    pub server_name: Option<String>,
    /// The versions of supported_versions (RFC 8446, 4.2.1). With TLS 1.3 among them an empty key_share goes along,
    /// which asks for a HelloRetryRequest (RFC 8446, 4.2.8).
    pub versions: Vec<Version>,
    /// supported_groups, and with a curve among them ec_point_formats (RFC 8422, 5.1).
    pub groups: Vec<Group>,
    /// signature_algorithms (RFC 8446, 4.2.3).
    pub schemes: Vec<SignatureScheme>,
    /// signature_algorithms_cert (RFC 8446, 4.2.3).
    pub certificate_schemes: Vec<SignatureScheme>,
    /// The protocols of ALPN (RFC 7301, 3.1).
    pub alpn: Vec<Vec<u8>>,
    /// Extensions without parameters of interest.
    pub extras: Vec<Extra>,
    /// Pads the handshake message to at least this many bytes (RFC 7685).
    pub padded_to: usize,
    /// Whether a session ticket that nobody knows does that, instead of the extension for it.
    pub pads_with_ticket: bool,
    /// Whether the message is cut into two records (RFC 8446, 5.1 allows it).
    pub in_two_records: bool,
}

/// An extension that is offered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// An empty renegotiation_info (RFC 5746, 3.4).
    RenegotiationInfo,
    /// extended_master_secret (RFC 7627, 5.1).
    ExtendedMasterSecret,
    /// encrypt_then_mac (RFC 7366, 2).
    EncryptThenMac,
    /// An empty session_ticket (RFC 5077, 3.2).
    SessionTicket,
    /// status_request for OCSP (RFC 6066, 8).
    StatusRequest,
    /// A code that is reserved so that nobody may know it (RFC 8701, 2).
    Unknown,
}

impl ClientHello {
    /// A hello that offers these suites in this version and nothing else.
    pub fn plain(version: Version, suites: Vec<Suite>, random: [u8; 32]) -> Self {
        Self {
            version: version.min(Version::Tls12),
            random,
            session_id: Vec::new(),
            suites,
            renegotiation_scsv: false,
            deflate: false,
            server_name: None,
            versions: if version == Version::Tls13 { vec![version] } else { Vec::new() },
            groups: Vec::new(),
            schemes: Vec::new(),
            certificate_schemes: Vec::new(),
            alpn: Vec::new(),
            extras: Vec::new(),
            padded_to: 0,
            pads_with_ticket: false,
            in_two_records: false,
        }
    }

    /// What an answer chose though it was not offered: a suite, or a group of TLS 1.3. Such an answer makes no sense
    /// (RFC 8446, 4.1.3 and 4.1.4; RFC 5246, 7.4.1.3).
    pub fn unoffered(&self, flight: &Flight) -> Option<String> {
        let hello = flight.hello.as_ref()?;
        if !self.suites.contains(&hello.suite) {
            return Some(hello.suite.to_string());
        }
        hello.group.filter(|group| !self.groups.contains(group)).map(|group| group.to_string())
    }

    /// The bytes on the wire, record headers included.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.version == Version::Ssl2 {
            return self.to_ssl2();
        }
        let message = self.to_message();
        // A record version of TLS 1.0 offends nobody (RFC 5246, E.1; RFC 8446, 5.1).
        let record_version = self.version.min(Version::Tls10).code();
        let cut = if self.in_two_records { message.len() / 2 } else { message.len() };
        let (first, second) = message.split_at(cut);
        let mut out = Vec::with_capacity(message.len() + 10);
        for part in [first, second].into_iter().flat_map(|part| part.chunks(MAX_RECORD)) {
            out.push(22);
            out.extend(record_version.to_be_bytes());
            block16(&mut out, |out| out.extend(part));
        }
        out
    }

    /// The CLIENT-HELLO of the SSL 2.0 specification, 2.5 (also RFC 6101, E.1).
    fn to_ssl2(&self) -> Vec<u8> {
        let kinds: Vec<[u8; 4]> = self.suites.iter().map(|suite| suite.0.to_be_bytes()).collect();
        let mut body = vec![1];
        body.extend(self.version.code().to_be_bytes());
        body.extend(length16(kinds.len() * 3));
        body.extend([0, 0, 0, 16]);
        body.extend(kinds.iter().flat_map(|kind| &kind[1..]));
        body.extend(&self.random[..16]);
        let [high, low] = length16(body.len());
        // The highest bit says that the header has two bytes and no padding follows.
        let mut out = vec![high | 0x80, low];
        out.extend(body);
        out
    }

    fn to_message(&self) -> Vec<u8> {
        let mut out = vec![1, 0, 0, 0];
        out.extend(self.version.code().to_be_bytes());
        out.extend(self.random);
        block8(&mut out, |out| out.extend(self.session_id.iter().take(32)));
        block16(&mut out, |out| {
            let codes = self.suites.iter().filter_map(|suite| u16::try_from(suite.0).ok());
            let signal = self.renegotiation_scsv.then_some(0x00ff);
            out.extend(codes.chain(signal).flat_map(u16::to_be_bytes));
        });
        let methods: &[u8] = if self.deflate { &[1, 0] } else { &[0] };
        block8(&mut out, |out| out.extend(methods));
        let mut extensions = Vec::new();
        self.write_extensions(&mut extensions);
        let length = out.len() + if extensions.is_empty() { 0 } else { 2 + extensions.len() };
        if length < self.padded_to {
            // The header of the extension, and where there are no others the length of them all.
            let headers = if extensions.is_empty() { 6 } else { 4 };
            let gap = (self.padded_to - length).saturating_sub(headers);
            let code = if self.pads_with_ticket { 35 } else { 21 };
            extension(&mut extensions, code, |out| out.resize(out.len() + gap, 0));
        }
        if !extensions.is_empty() {
            block16(&mut out, |out| out.extend(extensions));
        }
        let length = u32::try_from(out.len() - 4).expect("a hello is shorter than 16 MiB").to_be_bytes();
        out[1..4].copy_from_slice(&length[1..]);
        out
    }

    fn write_extensions(&self, out: &mut Vec<u8>) {
        if self.extras.contains(&Extra::Unknown) {
            extension(out, 0x3a3a, |_| ());
        }
        if let Some(name) = &self.server_name {
            extension(out, 0, |out| {
                block16(out, |out| {
                    out.push(0);
                    block16(out, |out| out.extend(name.as_bytes()));
                });
            });
        }
        if !self.versions.is_empty() {
            let codes = self.versions.iter().flat_map(|version| version.code().to_be_bytes());
            extension(out, 43, |out| block8(out, |out| out.extend(codes)));
        }
        if !self.groups.is_empty() {
            let codes = self.groups.iter().flat_map(|group| group.0.to_be_bytes());
            extension(out, 10, |out| block16(out, |out| out.extend(codes)));
            extension(out, 11, |out| block8(out, |out| out.extend([0, 1, 2])));
        }
        for (code, schemes) in [(13, &self.schemes), (50, &self.certificate_schemes)] {
            if !schemes.is_empty() {
                let codes = schemes.iter().flat_map(|scheme| scheme.0.to_be_bytes());
                extension(out, code, |out| block16(out, |out| out.extend(codes)));
            }
        }
        if !self.alpn.is_empty() {
            extension(out, 16, |out| {
                block16(out, |out| self.alpn.iter().for_each(|name| block8(out, |out| out.extend(name))));
            });
        }
        for extra in &self.extras {
            match extra {
                Extra::RenegotiationInfo => extension(out, 0xff01, |out| out.push(0)),
                Extra::ExtendedMasterSecret => extension(out, 23, |_| ()),
                Extra::EncryptThenMac => extension(out, 22, |_| ()),
                // No extension may stand there twice (RFC 8446, 4.2).
                Extra::SessionTicket if self.pads_with_ticket => {}
                Extra::SessionTicket => extension(out, 35, |_| ()),
                Extra::StatusRequest => extension(out, 5, |out| out.extend([1, 0, 0, 0, 0])),
                // Written first, where no server can have stopped reading.
                Extra::Unknown => {}
            }
        }
        if self.versions.contains(&Version::Tls13) {
            extension(out, 45, |out| block8(out, |out| out.push(1)));
            // Last: some servers take an empty extension at the end amiss, but this one is never empty.
            extension(out, 51, |out| block16(out, |_| ()));
        }
    }
}

/// A warning that the handshake ends here, and the end (RFC 8446, 6.1), in a record of that version.
pub fn goodbye(version: Version) -> Vec<u8> {
    let [major, minor] = version.clamp(Version::Ssl3, Version::Tls12).code().to_be_bytes();
    vec![21, major, minor, 0, 2, 1, 0]
}

/// Bytes in one record (RFC 8446, 5.1).
const MAX_RECORD: usize = 1 << 14;

fn extension(out: &mut Vec<u8>, code: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    out.extend(code.to_be_bytes());
    block16(out, fill);
}

fn block8(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    fill(out);
    // What does not fit is cut: no hello of ours comes near, and none may claim more than it holds.
    out.truncate(at + 1 + usize::from(u8::MAX));
    out[at] = u8::try_from(out.len() - at - 1).expect("cut above");
}

fn block16(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0, 0]);
    fill(out);
    out.truncate(at + 2 + usize::from(u16::MAX));
    let length = length16(out.len() - at - 2);
    out[at..at + 2].copy_from_slice(&length);
}

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use tls_parser::{TlsExtension, TlsMessage, TlsMessageHandshake, parse_tls_extensions, parse_tls_plaintext};

    use super::*;

    fn any_hello() -> impl Strategy<Value = ClientHello> {
        let version = prop::sample::select(&Version::ALL[1..]);
        let suites = prop::collection::vec((1_u32..0x10000).prop_map(Suite), 1..400);
        let groups = prop::collection::vec(any::<u16>().prop_map(Group), 0..50);
        let schemes = prop::collection::vec(any::<u16>().prop_map(SignatureScheme), 0..40);
        let extras = prop::sample::subsequence(
            vec![
                Extra::RenegotiationInfo,
                Extra::ExtendedMasterSecret,
                Extra::EncryptThenMac,
                Extra::SessionTicket,
                Extra::StatusRequest,
                Extra::Unknown,
            ],
            0..=6,
        );
        let shape = (any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..=32), any::<bool>(), 0_usize..2000, any::<bool>());
        (version, suites, groups, schemes, extras, shape, prop::option::of("[a-z]{1,20}\\.test")).prop_map(
            |(
                version,
                suites,
                groups,
                schemes,
                extras,
                (random, session_id, deflate, padded_to, in_two_records),
                server_name,
            )| {
                ClientHello {
                    session_id,
                    renegotiation_scsv: deflate,
                    deflate,
                    server_name,
                    groups,
                    certificate_schemes: schemes.clone(),
                    schemes,
                    alpn: vec![b"h2".to_vec()],
                    extras,
                    padded_to,
                    in_two_records,
                    ..ClientHello::plain(version, suites, random)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn another_parser_reads_the_same(hello in any_hello()) {
            let whole = ClientHello { in_two_records: false, ..hello.clone() };
            let bytes = whole.to_bytes();
            let (rest, record) = parse_tls_plaintext(&bytes).unwrap();
            prop_assert!(rest.is_empty());
            let [TlsMessage::Handshake(TlsMessageHandshake::ClientHello(read))] = &record.msg[..] else {
                return Err(TestCaseError::fail("no hello"));
            };
            prop_assert_eq!(read.version.0, hello.version.code());
            let suites: Vec<_> = read.ciphers.iter().map(|id| Suite(u32::from(id.0))).collect();
            prop_assert_eq!(&suites[..hello.suites.len()], &hello.suites[..]);
            prop_assert_eq!(suites.len(), hello.suites.len() + usize::from(hello.renegotiation_scsv));
            prop_assert_eq!(read.session_id.unwrap_or_default(), &hello.session_id[..]);
            let (rest, extensions) = parse_tls_extensions(read.ext.unwrap_or_default()).unwrap();
            prop_assert!(rest.is_empty());
            let groups = extensions.iter().find_map(|e| match e {
                TlsExtension::EllipticCurves(groups) => Some(groups.iter().map(|group| Group(group.0)).collect::<Vec<_>>()),
                _ => None,
            });
            prop_assert_eq!(groups.unwrap_or_default(), hello.groups.clone());
            prop_assert!(bytes.len() >= hello.padded_to);

            // Cut in two, the same message comes out.
            let cut = ClientHello { in_two_records: true, ..hello }.to_bytes();
            let first = 5 + usize::from(u16::from_be_bytes([cut[3], cut[4]]));
            prop_assert_eq!([&cut[5..first], &cut[first + 5..]].concat(), &bytes[5..]);
        }
    }

    #[rstest]
    #[case(Version::Tls12)]
    #[case(Version::Tls13)]
    fn a_server_reads_the_same(#[case] version: Version) {
        let hello = ClientHello {
            server_name: Some("mx.example.test".to_owned()),
            groups: vec![Group(0x11ec), Group(0x001d)],
            schemes: vec![SignatureScheme(0x0403), SignatureScheme(0x0804)],
            extras: vec![Extra::RenegotiationInfo, Extra::ExtendedMasterSecret, Extra::StatusRequest, Extra::Unknown],
            padded_to: 600,
            in_two_records: true,
            ..ClientHello::plain(version, vec![Suite(0x1301), Suite(0xc02b)], [7; 32])
        };
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut &hello.to_bytes()[..]).unwrap();
        let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap().expect("a complete hello");
        let read = accepted.client_hello();
        assert_eq!(read.server_name(), Some("mx.example.test"));
        assert_eq!(read.cipher_suites().iter().map(|suite| u16::from(*suite)).collect::<Vec<_>>(), [0x1301, 0xc02b]);
        assert_eq!(read.signature_schemes().iter().map(|scheme| u16::from(*scheme)).collect::<Vec<_>>(), [0x0403, 0x0804]);
        assert_eq!(read.named_groups().unwrap().iter().map(|group| u16::from(*group)).collect::<Vec<_>>(), [0x11ec, 0x1d]);
    }

    #[test]
    fn ssl2_is_written_to_the_letter() {
        let hello = ClientHello::plain(Version::Ssl2, vec![Suite(0x01_0080), Suite(0x07_00c0)], [9; 32]);
        let mut expected = vec![0x80, 31, 1, 0, 2, 0, 6, 0, 0, 0, 16, 1, 0, 0x80, 7, 0, 0xc0];
        expected.extend([9; 16]);
        assert_eq!(hello.to_bytes(), expected);
    }

    #[test]
    fn an_empty_key_share_is_sent_for_tls13() {
        let hello = ClientHello::plain(Version::Tls13, vec![Suite(0x1301)], [0; 32]).to_bytes();
        assert!(hello.ends_with(&[0, 51, 0, 2, 0, 0]), "{hello:02x?}");
    }
}
