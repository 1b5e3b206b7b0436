//! Handshakes that rustls completes: restricted to exactly what was chosen, so that it cannot choose otherwise.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{keys::OneScheme, stack::Choice};
use crate::{
    scenario::ClientCertificateFault,
    tls::{Group, Version},
};

/// The configuration for a choice; none where rustls lacks a part of it.
pub(super) fn config(
    choice: &Choice,
    client_certificate: Option<ClientCertificateFault>,
    with_tickets: bool,
) -> Result<Option<ServerConfig>, rustls::Error> {
    let Some(provider) = provider(choice) else { return Ok(None) };
    let (Some(credential), Some(scheme)) = (choice.credential, choice.scheme) else { return Ok(None) };
    let version = if choice.version == Version::Tls13 { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
    let key = OneScheme(Arc::clone(&credential.certified.key), scheme.0.into());
    // rustls signs with no MD5, SHA-1 or SHA-224, and with each curve only as TLS 1.3 does.
    if key.0.choose_scheme(&[key.1]).is_none() {
        return Ok(None);
    }
    let certified = CertifiedKey { key: Arc::new(key), ..(*credential.certified).clone() };
    let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version])?;
    let builder = match client_certificate {
        Some(asked) => builder.with_client_cert_verifier(Arc::new(AnyClient::new(asked))),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    if with_tickets {
        config.ticketer = aws_lc_rs::Ticketer::new()?;
    }
    Ok(Some(config))
}

/// Whether rustls has a group.
pub(super) fn has_group(group: Group) -> bool {
    aws_lc_rs::ALL_KX_GROUPS.iter().any(|known| u16::from(known.name()) == group.0)
}

/// With the chosen suite and group, and nothing else.
fn provider(choice: &Choice) -> Option<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = aws_lc_rs::ALL_CIPHER_SUITES.to_vec();
    provider.cipher_suites.retain(|suite| u32::from(u16::from(suite.suite())) == choice.suite.0);
    provider.kx_groups = aws_lc_rs::ALL_KX_GROUPS.to_vec();
    provider.kx_groups.retain(|group| Some(u16::from(group.name())) == choice.group.map(|group| group.0));
    (!provider.cipher_suites.is_empty() && !provider.kx_groups.is_empty()).then_some(provider)
}

/// Asks for a certificate, and takes any: the lab has no opinion of its clients.
#[derive(Debug)]
struct AnyClient {
    is_required: bool,
    authorities: Vec<DistinguishedName>,
    provider: CryptoProvider,
}

impl AnyClient {
    fn new(asked: ClientCertificateFault) -> Self {
        let authorities = super::flight::authorities(usize::from(asked.ca_bytes.unwrap_or(0)));
        Self {
            is_required: asked.required == Some(true),
            authorities: authorities.into_iter().map(DistinguishedName::from).collect(),
            provider: aws_lc_rs::default_provider(),
        }
    }
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
