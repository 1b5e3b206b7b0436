//! The ClientHello as the lab reads it: bounded, kept for whoever answers it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::tls::{Group, SignatureScheme, Suite, Version};

/// No ClientHello is longer; neither is what is kept of one.
const MAX_BYTES: usize = 64 * 1024;
/// No ClientHello comes in more records.
const MAX_RECORDS: usize = 64;

/// The extensions that an ordinary server knows (the IANA registry of TLS extensions, as far as mail has a use for it).
const KNOWN_EXTENSIONS: &[u16] = &[
    0, 1, 3, 4, 5, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 27, 28, 35, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51,
    0x3374, 0xff01,
];
/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV, RFC 5746, 3.3.
const RENEGOTIATION_SCSV: Suite = Suite(0x00ff);

/// What a client said first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Hello {
    /// The bytes as they came, records and all.
    pub bytes: Vec<u8>,
    /// In how many records they came.
    pub records: usize,
    /// The size of the message.
    pub size: usize,
    /// Whether it is a CLIENT-HELLO of SSL 2.0, which may offer later versions too.
    pub is_ssl2: bool,
    /// The version field.
    pub version: u16,
    /// The random, or the challenge of SSL 2.0 filled up with zeros on its left.
    pub random: [u8; 32],
    pub session_id: Vec<u8>,
    pub suites: Vec<Suite>,
    pub compressions: Vec<u8>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

/// Why there is no ClientHello.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    /// The connection.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes are none.
    #[error("no ClientHello")]
    Syntax,
}

impl Hello {
    /// Reads records until the ClientHello is whole.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, HelloError> {
        let mut header = [0; 5];
        stream.read_exact(&mut header).await?;
        // SSL 2.0 has a record header of two bytes, the first with its highest bit set; the third byte is CLIENT-HELLO (RFC 6101, E).
        if header[0] & 0x80 != 0 && header[2] == 1 {
            let size = usize::from(u16::from_be_bytes([header[0] & 0x7f, header[1]]));
            let mut bytes = header.to_vec();
            bytes.resize((size + 2).max(header.len()), 0);
            stream.read_exact(&mut bytes[header.len()..]).await?;
            return Self::parse_ssl2(bytes).ok_or(HelloError::Syntax);
        }
        let (mut bytes, mut message, mut records) = (Vec::new(), Vec::new(), 0);
        loop {
            let size = usize::from(u16::from_be_bytes([header[3], header[4]]));
            records += 1;
            if header[0] != 22 || records > MAX_RECORDS || bytes.len() + size > MAX_BYTES {
                return Err(HelloError::Syntax);
            }
            let mut fragment = vec![0; size];
            stream.read_exact(&mut fragment).await?;
            bytes.extend(header);
            bytes.extend(&fragment);
            message.extend(fragment);
            if let [kind, a, b, c, ..] = message[..] {
                let size = 4 + usize::from(a) * 0x1_0000 + usize::from(b) * 0x100 + usize::from(c);
                if kind != 1 || size > MAX_BYTES {
                    return Err(HelloError::Syntax);
                }
                if message.len() >= size {
                    message.truncate(size);
                    return Self::parse(bytes, records, &message).ok_or(HelloError::Syntax);
                }
            }
            stream.read_exact(&mut header).await?;
        }
    }

    /// RFC 5246, 7.4.1.2, and RFC 8446, 4.1.2.
    fn parse(bytes: Vec<u8>, records: usize, message: &[u8]) -> Option<Self> {
        let mut input = Input(message.get(4..)?);
        let version = input.u16()?;
        let random = input.take(32)?.try_into().ok()?;
        let session_id = input.short()?.to_vec();
        let suites = input.long()?.chunks_exact(2).map(|code| Suite(u32::from(u16::from_be_bytes([code[0], code[1]])))).collect();
        let compressions = input.short()?.to_vec();
        let mut extensions = Vec::new();
        if !input.0.is_empty() {
            let mut list = Input(input.long()?);
            while !list.0.is_empty() {
                extensions.push((list.u16()?, list.long()?.to_vec()));
            }
        }
        let size = message.len();
        Some(Self { bytes, records, size, is_ssl2: false, version, random, session_id, suites, compressions, extensions })
    }

    /// RFC 6101, E.2.
    fn parse_ssl2(bytes: Vec<u8>) -> Option<Self> {
        let mut input = Input(bytes.get(3..)?);
        let version = input.u16()?;
        let [kinds, session_id, challenge] = [input.u16()?, input.u16()?, input.u16()?].map(usize::from);
        let kinds = input.take(kinds)?.chunks_exact(3);
        let suites = kinds.map(|code| Suite(u32::from_be_bytes([0, code[0], code[1], code[2]]))).collect();
        let session_id = input.take(session_id)?.to_vec();
        let challenge = input.take(challenge)?;
        let mut random = [0; 32];
        random[32_usize.checked_sub(challenge.len())?..].copy_from_slice(challenge);
        let size = bytes.len() - 2;
        Some(Self {
            records: 1,
            size,
            is_ssl2: true,
            version,
            random,
            session_id,
            suites,
            compressions: vec![0],
            bytes,
            ..Self::default()
        })
    }

    /// The content of an extension.
    pub fn extension(&self, code: u16) -> Option<&[u8]> {
        self.extensions.iter().find(|(found, _)| *found == code).map(|(_, content)| content.as_slice())
    }

    /// The name in server_name (RFC 6066, 3).
    pub fn server_name(&self) -> Option<&str> {
        let mut list = Input(Input(self.extension(0)?).long()?);
        (list.take(1)? == [0]).then_some(())?;
        str::from_utf8(list.long()?).ok()
    }

    /// The groups in supported_groups; none without that extension.
    pub fn groups(&self) -> Option<Vec<Group>> {
        Some(codes(Input(self.extension(10)?).long()?).map(Group).collect())
    }

    /// The schemes in signature_algorithms; none without that extension.
    pub fn schemes(&self) -> Option<Vec<SignatureScheme>> {
        Some(codes(Input(self.extension(13)?).long()?).map(SignatureScheme).collect())
    }

    /// The groups in key_share; none without that extension.
    pub fn key_shares(&self) -> Option<Vec<Group>> {
        let mut list = Input(Input(self.extension(51)?).long()?);
        let mut groups = Vec::new();
        while !list.0.is_empty() {
            groups.push(Group(list.u16()?));
            list.long()?;
        }
        Some(groups)
    }

    /// The protocols in application_layer_protocol_negotiation; none without that extension.
    pub fn protocols(&self) -> Option<Vec<&[u8]>> {
        let mut list = Input(Input(self.extension(16)?).long()?);
        let mut protocols = Vec::new();
        while !list.0.is_empty() {
            protocols.push(list.short()?);
        }
        Some(protocols)
    }

    /// Whether a version is offered, to a server that reads supported_versions or to one that does not.
    pub fn offers(&self, version: Version, by_extension: bool) -> bool {
        match self.extension(43).filter(|_| by_extension) {
            // RFC 8446, 4.2.1: the extension alone decides.
            Some(content) => Input(content).short().is_some_and(|list| codes(list).any(|code| code == version.code())),
            None if version == Version::Ssl2 => self.is_ssl2,
            None => (Version::Ssl3.code()..=self.version).contains(&version.code()) && version != Version::Tls13,
        }
    }

    /// Whether secure renegotiation is offered, by either sign (RFC 5746, 3.4).
    pub fn offers_secure_renegotiation(&self) -> bool {
        self.extension(0xff01).is_some() || self.suites.contains(&RENEGOTIATION_SCSV)
    }

    /// Whether an extension is none of those that servers know.
    pub fn has_unknown_extension(&self) -> bool {
        self.extensions.iter().any(|(code, _)| !KNOWN_EXTENSIONS.contains(code))
    }
}

fn codes(list: &[u8]) -> impl Iterator<Item = u16> {
    list.chunks_exact(2).map(|code| u16::from_be_bytes([code[0], code[1]]))
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// As many bytes as the byte before them says.
    fn short(&mut self) -> Option<&'a [u8]> {
        let [count] = *self.take(1)? else { return None };
        self.take(usize::from(count))
    }

    /// As many bytes as the two before them say.
    fn long(&mut self) -> Option<&'a [u8]> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn read(bytes: &[u8]) -> Result<Hello, HelloError> {
        Hello::read(&mut &*bytes).await
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// TLS 1.2 with one suite, the name `a.test` and one group, in records of that size.
    fn hello(record: usize) -> Vec<u8> {
        let extensions = b"\x00\x00\x00\x0b\x00\x09\x00\x00\x06a.test\x00\x0a\x00\x04\x00\x02\x00\x1d";
        let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0, 0], &[extensions.len() as u8], extensions].concat();
        let message = [&[1, 0, 0, body.len() as u8], &body[..]].concat();
        message.chunks(record).flat_map(|part| [&[22, 3, 1, 0, part.len() as u8], part].concat()).collect()
    }

    #[test]
    fn a_hello_is_read_over_its_records_and_kept_whole() {
        for (record, records) in [(200, 1), (40, 2), (1, 70)] {
            let bytes = hello(record);
            let read = block_on(read(&bytes));
            if records > MAX_RECORDS {
                assert!(matches!(read, Err(HelloError::Syntax)));
                continue;
            }
            let hello = read.unwrap();
            assert_eq!((hello.records, &hello.bytes), (records, &bytes));
            assert_eq!((hello.server_name(), hello.groups()), (Some("a.test"), Some(vec![Group(0x1d)])));
            assert_eq!((hello.suites.as_slice(), hello.random), (&[Suite(0xc02f)][..], [7; 32]));
            assert!(hello.offers(Version::Tls12, true) && hello.offers(Version::Ssl3, true));
            assert!(!hello.offers(Version::Tls13, true) && !hello.offers(Version::Ssl2, true));
            assert!(!hello.has_unknown_extension() && hello.schemes().is_none());
        }
    }

    #[test]
    fn a_hello_of_ssl2_offers_what_its_version_says() {
        let body = [&[1, 0, 2, 0, 6, 0, 0, 0, 16, 1, 0, 0x80, 0, 0, 5][..], &[9; 16]].concat();
        let hello = block_on(read(&[&[0x80, body.len() as u8], &body[..]].concat())).unwrap();
        assert_eq!(hello.suites, [Suite(0x01_0080), Suite(5)]);
        assert!(hello.is_ssl2 && hello.offers(Version::Ssl2, true) && !hello.offers(Version::Ssl3, true));
        assert_eq!((hello.random[..16].to_vec(), hello.random[16..].to_vec()), (vec![0; 16], vec![9; 16]));
    }

    #[test]
    fn what_is_no_hello_is_refused() {
        for bytes in [&b"GET / HTTP/1.0\r\n\r\n"[..], &[22, 3, 1, 0, 4, 2, 0, 0, 0], &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3]] {
            assert!(matches!(block_on(read(bytes)), Err(HelloError::Syntax)), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>) {
            let framed = [&[22, 3, 1, 0, bytes.len().min(255) as u8], &bytes[..]].concat();
            for bytes in [bytes, framed] {
                if let Ok(hello) = block_on(read(&bytes)) {
                    let _ = (hello.server_name(), hello.groups(), hello.schemes(), hello.key_shares(), hello.offers(Version::Tls13, true));
                }
            }
        }

        #[test]
        fn a_mutated_hello_does_no_harm(at in 0..75_usize, byte: u8) {
            let mut bytes = hello(200);
            bytes[at] = byte;
            if let Ok(hello) = block_on(read(&bytes)) {
                let _ = (hello.server_name(), hello.groups(), hello.schemes(), hello.key_shares(), hello.offers(Version::Tls13, true));
            }
        }
    }
}
