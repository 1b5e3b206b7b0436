//! The TLS handshake of a client that records instead of judging.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, InvalidMessage, PeerIncompatible, PeerMisbehaved, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::io::InspectReader;

use super::{possession, timed_out};
use crate::{
    facts::{Certificate, Failure, OcspResponse, Possession, TlsSession},
    hello::FlightReader,
    name::Name,
    smtp::Reply,
    tls::Alert,
    wire::WireText,
};

/// A connection whose first bytes are kept, to be quoted if they are no TLS.
pub(super) type Watched = InspectReader<TcpStream, Box<dyn FnMut(&[u8]) + Send>>;

/// What a handshake showed, whether or not it was finished.
pub(super) struct Handshake {
    /// The stream inside TLS and what was negotiated.
    pub outcome: Result<(TlsStream<Watched>, TlsSession), Failure>,
    /// The chain as it was sent, if it was.
    pub certificates: Option<Vec<Certificate>>,
    /// The OCSP response that was stapled to the chain; none where the chain came and none was stapled.
    pub staple: Option<Option<OcspResponse>>,
    /// What the server's signature over the handshake proved, if it was sent.
    pub possession: Option<Possession>,
    /// Where a client certificate was asked for, the size of the names of authorities in bytes.
    pub certificate_request: Option<u32>,
    /// The protocol that the server chose by ALPN.
    pub alpn: Option<Vec<u8>>,
    /// How the server refused it, if that was its answer.
    pub refusal: Option<Refused>,
}

/// The server answered, and the answer was that there is nothing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The alert that said so; none where the server chose what this client does not have.
    pub alert: Option<Alert>,
    /// Whether it was the versions that were refused, whatever else was offered with them.
    pub is_of_versions: bool,
}

/// What a handshake offers besides versions and suites.
pub(super) struct Wanted {
    /// The server name indication.
    pub server_name: String,
    /// Whether it is sent.
    pub with_sni: bool,
    /// The schemes to sign with, which decide between certificates.
    pub schemes: Vec<SignatureScheme>,
    /// The protocols of ALPN.
    pub alpn: Vec<Vec<u8>>,
}

impl Wanted {
    /// What a mail server that sends would offer.
    pub fn usual(name: &Name) -> Self {
        Self { server_name: name.as_str().to_owned(), with_sni: true, schemes: possession::OFFERED.to_vec(), alpn: Vec::new() }
    }
}

/// Certificates of one chain that are kept; a server may send more, a report need not hold them.
const MAX_CERTIFICATES: usize = 64;

/// Bytes that are kept of what comes first.
const MAX_QUOTED: usize = 200;

/// Does the handshake as it is wanted; ends within `patience`.
pub(super) async fn connect(stream: TcpStream, wanted: &Wanted, patience: Duration) -> Handshake {
    let recorder = Arc::new(Recorder { schemes: wanted.schemes.clone(), seen: Mutex::default() });
    let watcher = Arc::clone(&recorder);
    let watched: Watched = InspectReader::new(stream, Box::new(move |bytes| watcher.record(|seen| seen.keep(bytes))));
    let outcome = match timeout(patience, finish(watched, wanted, Arc::clone(&recorder))).await {
        Ok(outcome) => outcome,
        Err(_) => Err(timed_out(patience)),
    };
    let Seen { certificates, staple, possession, certificate_request, refusal, begin } =
        std::mem::take(&mut *recorder.seen.lock().unwrap_or_else(PoisonError::into_inner));
    let alpn = outcome.as_ref().ok().and_then(|(stream, _)| stream.get_ref().1.alpn_protocol()).map(<[u8]>::to_vec);
    let (outcome, refusal) = match (outcome, first_alert(&begin)) {
        // Several alerts in one record are too much for this library (RFC 5246, 6.2.1 allows them).
        (Err(Failure::Tls(_)), Some(alert)) if refusal.is_none_or(|refused| refused.alert.is_none()) => {
            let refused = Refused { alert: Some(alert), is_of_versions: alert == Alert::PROTOCOL_VERSION };
            (Err(Failure::alert(alert)), Some(refused))
        }
        (outcome, _) => (outcome, refusal),
    };
    let outcome = outcome.map_err(|failure| if is_tls(&begin) { failure } else { not_tls(&begin) });
    Handshake { outcome, certificates, staple, possession, certificate_request, alpn, refusal }
}

/// Whether bytes can be the begin of a record: type and major version (RFC 8446, 5.1).
pub(super) fn is_tls(begin: &[u8]) -> bool {
    matches!(begin, [] | [20..=24] | [20..=24, 3, ..])
}

/// The alert with which the server ended the handshake, where that was its whole answer.
fn first_alert(begin: &[u8]) -> Option<Alert> {
    let mut reader = FlightReader::default();
    // An alert has two bytes; a record with half of one is none (RFC 5246, 7.2).
    let is_whole = begin.get(4).is_some_and(|length| length % 2 == 0);
    let is_complete = is_whole && begin.first() == Some(&21) && reader.push(begin).ok()?;
    let flight = reader.into_flight();
    flight.alert.filter(|_| is_complete && flight.hello.is_none())
}

/// Quotes the first line: what comes behind it answers a hello that was read as commands.
pub(super) fn not_tls(begin: &[u8]) -> Failure {
    // RFC 5321, 3.8: 421 may come at any time, in answer to anything.
    if let Some(reply) = Reply::closing(begin) {
        return Failure::put_off(reply);
    }
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Failure::NotTls(WireText::from_bytes(line.trim_ascii_end()))
}

async fn finish(stream: Watched, wanted: &Wanted, recorder: Arc<Recorder>) -> Result<(TlsStream<Watched>, TlsSession), Failure> {
    let name = &wanted.server_name;
    let server_name = ServerName::try_from(name.clone())
        .map_err(|_| Failure::Local(format!("{name} cannot be sent as server name indication")))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
        .map_err(|error| Failure::Local(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
        .with_client_cert_resolver(Arc::clone(&recorder) as Arc<dyn ResolvesClientCert>);
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = wanted.with_sni;
    config.alpn_protocols.clone_from(&wanted.alpn);
    let stream = TlsConnector::from(Arc::new(config)).connect(server_name, stream).await.map_err(|error| {
        recorder.record(|seen| seen.refusal = refusal(&error));
        failure(&error)
    })?;
    let (_, connection) = stream.get_ref();
    let session = TlsSession {
        version: match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            _ => "TLSv1.2".to_owned(),
        },
        suite: connection.negotiated_cipher_suite().map(|s| iana_suite(s.suite())).unwrap_or_default(),
        group: connection.negotiated_key_exchange_group().map(|group| iana_group(group.name())),
    };
    Ok((stream, session))
}

/// A fatal alert is an answer; an end of the stream is none.
fn failure(error: &io::Error) -> Failure {
    super::failure::lost_connection(error).unwrap_or_else(|| tls_failure(error))
}

/// How the server refused what it was offered; none where it was lost or talked nonsense.
fn refusal(error: &io::Error) -> Option<Refused> {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>())? {
        TlsError::AlertReceived(alert) => {
            let alert = Alert(u8::from(*alert));
            Some(Refused { alert: Some(alert), is_of_versions: alert == Alert::PROTOCOL_VERSION })
        }
        // A version or suite that this library does not have.
        TlsError::PeerIncompatible(why) => {
            let is_of_versions = matches!(why, PeerIncompatible::ServerDoesNotSupportTls12Or13);
            Some(Refused { alert: None, is_of_versions })
        }
        // A plain reader takes larger chains than this library.
        TlsError::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            Some(Refused { alert: None, is_of_versions: false })
        }
        TlsError::PeerMisbehaved(_) => Some(Refused { alert: None, is_of_versions: false }),
        _ => None,
    }
}

/// What a TLS error says, an alert by its name in RFC 8446, 6.
pub(super) fn tls_failure(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::AlertReceived(alert)) => Failure::alert(Alert(u8::from(*alert))),
        Some(other) => Failure::Tls(words(other).to_owned()),
        None => Failure::Tls(WireText::from(&*error.to_string()).to_string()),
    }
}

/// What a library says of an answer that it cannot use, for those who do not know its words.
fn words(error: &TlsError) -> &'static str {
    match error {
        TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => Failure::OLDER_VERSION,
        TlsError::PeerIncompatible(_) => "the server chose something that the TLS library of this checker does not have",
        TlsError::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            "the server sent a handshake message of more than 64 KiB"
        }
        TlsError::InvalidMessage(InvalidMessage::MessageTooLarge) | TlsError::PeerSentOversizedRecord => {
            "the server sent a record that is longer than TLS allows"
        }
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "the server sent something that is no record of TLS"
        }
        TlsError::InvalidMessage(_) => "the server sent a malformed message of TLS",
        // Such as Ed448 in TLS 1.2, which others take.
        TlsError::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => {
            "the server signed with a scheme that the TLS library of this checker does not take"
        }
        TlsError::PeerMisbehaved(PeerMisbehaved::TooManyWarningAlertsReceived) => "the server sent warning after warning",
        TlsError::PeerMisbehaved(_) => "the server broke a rule of the TLS handshake",
        TlsError::InappropriateMessage { .. } | TlsError::InappropriateHandshakeMessage { .. } => {
            "the server sent a message of TLS out of order"
        }
        TlsError::DecryptError => "the server sent a record that cannot be decrypted",
        TlsError::NoCertificatesPresented => "the server sent no certificate",
        TlsError::InvalidCertificate(_) => "the TLS library of this checker cannot use the certificate",
        _ => "the TLS library of this checker gave up",
    }
}

/// The IANA name: `TLS_AES_256_GCM_SHA384`.
fn iana_suite(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

/// The IANA name of the group: `x25519`, `secp256r1`.
fn iana_group(group: rustls::NamedGroup) -> String {
    match group {
        rustls::NamedGroup::X25519 => "x25519".to_owned(),
        rustls::NamedGroup::X448 => "x448".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Takes every certificate and records what was shown: whether it is any good is for the
/// rules to say, over the recorded chain.
#[derive(Debug)]
struct Recorder {
    schemes: Vec<SignatureScheme>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    certificates: Option<Vec<Certificate>>,
    staple: Option<Option<OcspResponse>>,
    possession: Option<Possession>,
    certificate_request: Option<u32>,
    refusal: Option<Refused>,
    /// What the server sent first.
    begin: Vec<u8>,
}

impl Seen {
    /// Keeps of what arrives as much as a report quotes.
    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_QUOTED - self.begin.len();
        self.begin.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl Recorder {
    fn record(&self, write: impl FnOnce(&mut Seen)) {
        write(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn record_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) {
        let possession = possession::verify(message, certificate, signed.scheme, signed.signature());
        self.record(|seen| seen.possession = Some(possession));
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        staple: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let chain = std::iter::once(end_entity).chain(others).take(MAX_CERTIFICATES);
        let certificates = chain.map(|der| Certificate::from_der(der)).collect();
        let staple = (!staple.is_empty()).then(|| OcspResponse::from_der(staple));
        self.record(|seen| (seen.certificates, seen.staple) = (Some(certificates), Some(staple)));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.record_signature(message, certificate, signed);
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.record_signature(message, certificate, signed);
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// There is no client certificate; what is recorded is that one was asked for.
impl ResolvesClientCert for Recorder {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Each name is sent with a length of two bytes (RFC 8446, 4.2.4).
        let bytes = authorities.iter().map(|name| name.len() + 2).sum::<usize>();
        self.record(|seen| seen.certificate_request = Some(u32::try_from(bytes).unwrap_or(u32::MAX)));
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What the handshake comes to with a server that answers its hello so.
    async fn answered(bytes: &'static [u8]) -> Handshake {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
        });
        let stream = TcpStream::connect(address).await.unwrap();
        let wanted = Wanted::usual(&Name::parse("mx.example.test").unwrap());
        let handshake = connect(stream, &wanted, Duration::from_secs(5)).await;
        server.abort();
        handshake
    }

    #[rstest]
    #[case::one(&[21, 3, 3, 0, 2, 2, 40])]
    #[case::two_in_one_record(&[21, 3, 3, 0, 4, 2, 40, 1, 0])]
    #[case::a_warning_before_it(&[21, 3, 3, 0, 4, 1, 112, 2, 40])]
    #[tokio::test]
    async fn an_alert_is_an_answer_whatever_comes_with_it(#[case] bytes: &'static [u8]) {
        let Handshake { outcome, refusal, .. } = answered(bytes).await;
        assert_eq!(outcome.err(), Some(Failure::alert(Alert(40))));
        assert_eq!(refusal, Some(Refused { alert: Some(Alert(40)), is_of_versions: false }));
    }

    #[rstest]
    #[case(&[22, 3, 3, 0, 4, 14, 0, 0, 0], "the server sent a message of TLS out of order")]
    #[case(&[22, 3, 3, 0, 6, 2, 0, 0, 2, 3, 3], "the server sent a malformed message of TLS")]
    #[tokio::test]
    async fn no_word_of_the_library_is_shown(#[case] bytes: &'static [u8], #[case] expected: &str) {
        assert_eq!(answered(bytes).await.outcome.err(), Some(Failure::Tls(expected.to_owned())));
    }

    #[test]
    fn an_older_version_has_words_of_its_own() {
        let error = io::Error::other(TlsError::from(PeerIncompatible::ServerDoesNotSupportTls12Or13));
        assert_eq!(tls_failure(&error), Failure::Tls(Failure::OLDER_VERSION.to_owned()));
    }
}
