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
    let outcome = outcome.map_err(|failure| if is_tls(&begin) { failure } else { not_tls(&begin) });
    Handshake { outcome, certificates, staple, possession, certificate_request, alpn, refusal }
}

/// Whether bytes can be the begin of a record: type and major version (RFC 8446, 5.1).
pub(super) fn is_tls(begin: &[u8]) -> bool {
    matches!(begin, [] | [20..=24] | [20..=24, 3, ..])
}

/// Quotes the first line: what comes behind it answers a hello that was read as commands.
fn not_tls(begin: &[u8]) -> Failure {
    // RFC 5321, 3.8: 421 may come at any time, in answer to anything.
    if let Some(reply) = Reply::closing(begin) {
        return Failure::Throttled(reply);
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
        Some(TlsError::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge)) => {
            Failure::Tls("the server sent a handshake message of more than 64 KiB".to_owned())
        }
        // Such as Ed448 in TLS 1.2, which others take.
        Some(TlsError::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm)) => {
            Failure::Tls("the server signed with a scheme that the TLS library of this checker does not take".to_owned())
        }
        Some(other) => Failure::Tls(WireText::from(&*other.to_string()).to_string()),
        None => Failure::Tls(WireText::from(&*error.to_string()).to_string()),
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
