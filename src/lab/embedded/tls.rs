//! TLS of the embedded servers: rustls, with a signer of our own for RSA keys that it
//! rightly refuses to load.

use std::sync::Arc;

use rsa::{Pkcs1v15Sign, PrivateKey, pkcs8::DecodePrivateKey as _, pss::Pss, traits::PublicKeyParts as _};
use rustls::{
    ServerConfig, SignatureAlgorithm, SignatureScheme,
    crypto::{CryptoProvider, aws_lc_rs},
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio_rustls::TlsAcceptor;

use crate::{
    lab::persona::Persona,
    plan::{Answer, Credentials, Offer, ServerPlan},
    scenario::TlsVersion,
};

/// Why credentials cannot be served. The plan is at fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The key is no PKCS#8 PEM of a kind that is known here.
    #[error("cannot load the private key: {0}")]
    Key(String),
    /// The versions and the key do not go together.
    #[error("cannot configure TLS: {0}")]
    Config(#[from] rustls::Error),
}

/// The acceptor for a plan; none where TLS is off for everyone.
pub(super) fn acceptor(plan: &ServerPlan, persona: &Persona) -> Result<Option<TlsAcceptor>, TlsSetupError> {
    if matches!(plan.offer, Offer::Nobody | Offer::Masked) || plan.answer != Answer::Handshake {
        return Ok(None);
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let all = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    let offered = plan.min_tls.unwrap_or(persona.tls.min)..=plan.max_tls.unwrap_or(persona.tls.max);
    let versions: Vec<_> = all.iter().filter(|(version, _)| offered.contains(version)).map(|(_, v)| *v).collect();
    let key = certified_key(&plan.credentials, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.max_early_data_size = 0;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn certified_key(credentials: &Credentials, provider: &CryptoProvider) -> Result<CertifiedKey, TlsSetupError> {
    let chain = credentials.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes()).map_err(|e| TlsSetupError::Key(e.to_string()))?;
    let key: Arc<dyn SigningKey> = match provider.key_provider.load_private_key(key) {
        Ok(key) => key,
        // Weak keys must really sign: this one is RSA below 2048 bits, or no key at all.
        Err(_) => {
            let key = PrivateKey::from_pkcs8_pem(&credentials.key_pem).map_err(|e| TlsSetupError::Key(e.to_string()))?;
            Arc::new(WeakRsaKey(Arc::new(key)))
        }
    };
    Ok(CertifiedKey::new(chain, key))
}

#[derive(Debug)]
struct WeakRsaKey(Arc<PrivateKey>);

/// In rustls' own order, so that a weak key differs from a strong one in nothing else.
const SCHEMES: [SignatureScheme; 6] = [
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// The smallest modulus, in bytes, that has room for a signature of the scheme: PSS takes the
/// hash, a salt of its size and two bytes more (RFC 8017, 9.1.1), PKCS#1 v1.5 the hash, its
/// 19-byte identifier and eleven bytes more (9.2).
fn smallest_modulus(scheme: SignatureScheme) -> usize {
    match scheme {
        SignatureScheme::RSA_PSS_SHA512 => 2 * 64 + 2,
        SignatureScheme::RSA_PSS_SHA384 => 2 * 48 + 2,
        SignatureScheme::RSA_PSS_SHA256 => 2 * 32 + 2,
        SignatureScheme::RSA_PKCS1_SHA512 => 64 + 19 + 11,
        SignatureScheme::RSA_PKCS1_SHA384 => 48 + 19 + 11,
        _ => 32 + 19 + 11,
    }
}

impl SigningKey for WeakRsaKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let fits = |scheme: &SignatureScheme| smallest_modulus(*scheme) <= self.0.size() && offered.contains(scheme);
        let scheme = SCHEMES.into_iter().find(fits)?;
        Some(Box::new(WeakRsaSigner { key: Arc::clone(&self.0), scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

#[derive(Debug)]
struct WeakRsaSigner {
    key: Arc<PrivateKey>,
    scheme: SignatureScheme,
}

impl Signer for WeakRsaSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let mut rng = rand::rng();
        match self.scheme {
            SignatureScheme::RSA_PSS_SHA512 => self.key.sign_with_rng(&mut rng, Pss::<Sha512>::new(), &Sha512::digest(message)),
            SignatureScheme::RSA_PSS_SHA384 => self.key.sign_with_rng(&mut rng, Pss::<Sha384>::new(), &Sha384::digest(message)),
            SignatureScheme::RSA_PSS_SHA256 => self.key.sign_with_rng(&mut rng, Pss::<Sha256>::new(), &Sha256::digest(message)),
            SignatureScheme::RSA_PKCS1_SHA512 => self.key.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
            SignatureScheme::RSA_PKCS1_SHA384 => self.key.sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
            _ => self.key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)),
        }
        .map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
