//! The TLS handshake of a client that records instead of judging.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{possession, timed_out};
use crate::{
    facts::{Certificate, Failure, Possession, TlsSession},
    name::Name,
    wire::WireText,
};

/// What a handshake showed, whether or not it was finished.
pub(super) struct Handshake {
    /// The stream inside TLS and what was negotiated.
    pub outcome: Result<(TlsStream<TcpStream>, TlsSession), Failure>,
    /// The chain as it was sent, if it was.
    pub certificates: Option<Vec<Certificate>>,
    /// What the server's signature over the handshake proved, if it was sent.
    pub possession: Option<Possession>,
}

/// Certificates of one chain that are kept; a server may send more, a report need not hold them.
const MAX_CERTIFICATES: usize = 64;

/// Does the handshake with `name` as SNI; ends within `patience`.
pub(super) async fn connect(stream: TcpStream, name: &Name, patience: Duration) -> Handshake {
    let recorder = Arc::new(Recorder::default());
    let outcome = match timeout(patience, finish(stream, name, Arc::clone(&recorder))).await {
        Ok(outcome) => outcome,
        Err(_) => Err(timed_out(patience)),
    };
    let seen = std::mem::take(&mut *recorder.seen.lock().unwrap_or_else(PoisonError::into_inner));
    Handshake { outcome, certificates: seen.certificates, possession: seen.possession }
}

async fn finish(stream: TcpStream, name: &Name, recorder: Arc<Recorder>) -> Result<(TlsStream<TcpStream>, TlsSession), Failure> {
    let server_name = ServerName::try_from(name.as_str().to_owned())
        .map_err(|_| Failure::Local(format!("{name} cannot be sent as server name indication")))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
        .map_err(|error| Failure::Local(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(recorder)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let stream = TlsConnector::from(Arc::new(config)).connect(server_name, stream).await.map_err(|error| failure(&error))?;
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
    super::dialog::lost_connection(error).unwrap_or_else(|| tls_failure(error))
}

/// What a TLS error says, an alert by its name in RFC 8446, 6.
pub(super) fn tls_failure(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::AlertReceived(alert)) => {
            Failure::Tls(format!("the server sent the alert {}", snake(&format!("{alert:?}"))))
        }
        Some(other) => Failure::Tls(WireText::from(&*other.to_string()).to_string()),
        None => Failure::Tls(WireText::from(&*error.to_string()).to_string()),
    }
}

/// `ProtocolVersion` as RFC 8446, 6 writes it: `protocol_version`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
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
#[derive(Debug, Default)]
struct Recorder {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    certificates: Option<Vec<Certificate>>,
    possession: Option<Possession>,
}

impl Recorder {
    fn record_signature(&self, message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) {
        let possession = possession::verify(message, certificate, signed.scheme, signed.signature());
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).possession = Some(possession);
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let chain = std::iter::once(end_entity).chain(others).take(MAX_CERTIFICATES);
        let certificates = chain.map(|der| Certificate::from_der(der)).collect();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).certificates = Some(certificates);
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
        possession::OFFERED.to_vec()
    }
}
