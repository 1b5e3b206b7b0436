//! The keys of an embedded server: for rustls, with a signer of our own for RSA keys that it
//! rightly refuses to load; and for signatures of versions that it rightly does not speak.

use std::sync::Arc;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use ecdsa::hazmat;
use md5::Md5;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use rsa::{
    Pkcs1v15Sign, PrivateKey,
    pkcs1::DecodeRsaPrivateKey as _,
    pkcs8::{DecodePrivateKey as _, ObjectIdentifier, PrivateKeyInfoRef},
    pss::Pss,
    traits::PublicKeyParts as _,
};
use rustls::{
    SignatureAlgorithm, SignatureScheme,
    crypto::CryptoProvider,
    sign::{CertifiedKey, Signer, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use super::TlsSetupError;
use crate::{plan::Credentials, tls};

/// A chain and its key.
#[derive(Debug)]
pub(super) struct Credential {
    pub kind: KeyKind,
    /// In DER, as it is sent.
    pub chain: Vec<Vec<u8>>,
    /// For rustls.
    pub certified: Arc<CertifiedKey>,
    /// For OpenSSL.
    #[cfg(feature = "legacy-tls")]
    pub key_pem: String,
    raw: RawKey,
}

/// A kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    Ecdsa,
    Ed25519,
}

#[derive(Debug)]
enum RawKey {
    Rsa(Arc<PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    /// On a curve that rustls does not know: up to TLS 1.2 the lab's own bytes are signed with it.
    Curve(tls::Group, OddSigner),
    /// Bound to PSS, which rustls has no scheme for: likewise.
    RsaPss(Arc<PrivateKey>),
}

/// Signs a digest; the signature is in DER.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

struct OddSigner(Sign);

impl std::fmt::Debug for OddSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OddSigner")
    }
}

/// A key on a curve that no sender offers by default, and the group of TLS that is the curve.
fn on_odd_curve(pkcs8: &[u8]) -> Option<(tls::Group, OddSigner)> {
    macro_rules! signer {
        ($group:literal, $secret:ty, $curve:ty, $hash:ty) => {
            if let Ok(secret) = <$secret>::from_pkcs8_der(pkcs8) {
                let scalar = secret.to_nonzero_scalar();
                let sign = move |digest: &[u8]| {
                    let (signature, _) = hazmat::sign_prehashed_rfc6979::<$curve, $hash>(&scalar, digest, &[]);
                    signature.to_der().as_bytes().to_vec()
                };
                return Some((tls::Group($group), OddSigner(Box::new(sign))));
            }
        };
    }
    signer!(0x13, p256::elliptic_curve::SecretKey<p192::NistP192>, p192::NistP192, Sha224);
    signer!(0x15, p224::SecretKey, p224::NistP224, Sha224);
    signer!(0x16, k256::SecretKey, k256::Secp256k1, Sha256);
    signer!(0x1a, bp256::r1::SecretKey, bp256::BrainpoolP256r1, Sha256);
    signer!(0x1b, bp384::r1::SecretKey, bp384::BrainpoolP384r1, Sha384);
    None
}

/// The key did not sign.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign with {0}")]
pub(super) struct SignError(String);

impl Credential {
    /// Reads the key for both uses.
    pub fn new(credentials: &Credentials, provider: &CryptoProvider) -> Result<Self, TlsSetupError> {
        let pem = credentials.key_pem.as_bytes();
        let failed = |error: String| TlsSetupError::Key(error);
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| failed(error.to_string()))?;
        // First, since the library reads it as any RSA key.
        let (kind, raw) = if let Some(key) = bound_to_pss(key.secret_der()) {
            (KeyKind::Rsa, RawKey::RsaPss(Arc::new(key)))
        } else if let Ok(key) = PrivateKey::from_pkcs8_pem(&credentials.key_pem) {
            (KeyKind::Rsa, RawKey::Rsa(Arc::new(key)))
        } else if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_der(key.secret_der()) {
            (KeyKind::Ecdsa, RawKey::P256(key))
        } else if let Ok(key) = p384::ecdsa::SigningKey::from_pkcs8_der(key.secret_der()) {
            (KeyKind::Ecdsa, RawKey::P384(key))
        } else if let Some((group, signer)) = on_odd_curve(key.secret_der()) {
            (KeyKind::Ecdsa, RawKey::Curve(group, signer))
        } else if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA512_ASN1_SIGNING, key.secret_der()) {
            (KeyKind::Ecdsa, RawKey::P521(key))
        } else {
            let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der()).map_err(|error| failed(error.to_string()))?;
            (KeyKind::Ed25519, RawKey::Ed25519(key))
        };
        let signing: Arc<dyn SigningKey> = match (provider.key_provider.load_private_key(key), &raw) {
            (Ok(key), _) => key,
            // Weak keys must really sign: this one is RSA below 2048 bits.
            (Err(_), RawKey::Rsa(key)) => Arc::new(WeakRsaKey(Arc::clone(key))),
            (Err(_), RawKey::Curve(..) | RawKey::RsaPss(_)) => Arc::new(NoKey),
            (Err(error), _) => return Err(failed(error.to_string())),
        };
        let chain = credentials.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        Ok(Self {
            kind,
            chain: credentials.chain.clone(),
            certified: Arc::new(CertifiedKey { ocsp: credentials.staple.clone(), ..CertifiedKey::new(chain, signing) }),
            #[cfg(feature = "legacy-tls")]
            key_pem: credentials.key_pem.clone(),
            raw,
        })
    }

    /// The size of the modulus in bits; none if it is no RSA key.
    pub fn rsa_bits(&self) -> Option<usize> {
        match &self.raw {
            RawKey::Rsa(key) | RawKey::RsaPss(key) => Some(key.size() * 8),
            _ => None,
        }
    }

    /// Whether rustls can sign with it.
    pub fn is_for_rustls(&self) -> bool {
        !matches!(self.raw, RawKey::Curve(..) | RawKey::RsaPss(_))
    }

    /// Whether the key may also decrypt, as a suite without a ServerKeyExchange has it do.
    pub fn decrypts(&self) -> bool {
        matches!(self.raw, RawKey::Rsa(_))
    }

    /// The curve of the key, where it is for ECDSA.
    pub fn curve(&self) -> Option<tls::Group> {
        match &self.raw {
            RawKey::P256(_) => Some(tls::Group(0x17)),
            RawKey::P384(_) => Some(tls::Group(0x18)),
            RawKey::P521(_) => Some(tls::Group(0x19)),
            RawKey::Curve(group, _) => Some(*group),
            RawKey::Rsa(_) | RawKey::RsaPss(_) | RawKey::Ed25519(_) => None,
        }
    }

    /// Whether the key signs with a scheme in a version.
    pub fn signs(&self, scheme: tls::SignatureScheme, version: tls::Version) -> bool {
        match &self.raw {
            RawKey::Rsa(key) => {
                matches!(scheme.0, 0x0101 | 0x0201 | 0x0301 | 0x0401 | 0x0501 | 0x0601 | 0x0804..=0x0806)
                    && smallest_modulus(SignatureScheme::from(scheme.0)) <= key.size()
            }
            // Before TLS 1.3 a scheme names the hash alone (RFC 8446, 4.2.3).
            RawKey::P256(_) | RawKey::P384(_) if version < tls::Version::Tls13 => {
                (2..=6).contains(&(scheme.0 >> 8)) && scheme.0 & 0xff == 3
            }
            RawKey::P256(_) => scheme.0 == 0x0403,
            RawKey::P384(_) => scheme.0 == 0x0503,
            // The library has this key sign with SHA-512 only.
            RawKey::P521(_) => scheme.0 == 0x0603,
            // The lab's own bytes go no further than TLS 1.2.
            RawKey::RsaPss(_) => version == tls::Version::Tls12 && matches!(scheme.0, 0x0809..=0x080b),
            RawKey::Curve(..) => version < tls::Version::Tls13 && (2..=6).contains(&(scheme.0 >> 8)) && scheme.0 & 0xff == 3,
            RawKey::Ed25519(_) => scheme.0 == 0x0807,
        }
    }

    /// Signs with a scheme, or as before TLS 1.2, with MD5 and SHA-1 together (RFC 2246, 7.4.3).
    pub fn sign(&self, scheme: Option<tls::SignatureScheme>, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |error: String| SignError(error);
        match (&self.raw, scheme) {
            (RawKey::Rsa(key), None) => {
                let hashes = [Md5::digest(message).as_slice(), Sha1::digest(message).as_slice()].concat();
                key.sign(Pkcs1v15Sign::new_unprefixed(), &hashes).map_err(|error| failed(error.to_string()))
            }
            (RawKey::RsaPss(_), None) => Err(failed("a key for RSASSA-PSS alone signs nothing before TLS 1.2".to_owned())),
            (RawKey::Rsa(key) | RawKey::RsaPss(key), Some(scheme)) => {
                rsa_sign(key, scheme.0.into(), message).map_err(|error| failed(error.to_string()))
            }
            (RawKey::P256(key), scheme) => {
                let signature: Result<p256::ecdsa::DerSignature, _> = key.sign_prehash(&ecdsa_digest(scheme, message));
                Ok(signature.map_err(|error| failed(error.to_string()))?.as_bytes().to_vec())
            }
            (RawKey::P384(key), scheme) => {
                let signature: Result<p384::ecdsa::DerSignature, _> = key.sign_prehash(&ecdsa_digest(scheme, message));
                Ok(signature.map_err(|error| failed(error.to_string()))?.as_bytes().to_vec())
            }
            (RawKey::P521(key), _) => {
                let signature = key.sign(&SystemRandom::new(), message);
                Ok(signature.map_err(|error| failed(error.to_string()))?.as_ref().to_vec())
            }
            (RawKey::Curve(_, OddSigner(sign)), scheme) => Ok(sign(&ecdsa_digest(scheme, message))),
            (RawKey::Ed25519(key), _) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}

/// An RSA key whose algorithm is id-RSASSA-PSS (RFC 4055, 1.2).
fn bound_to_pss(pkcs8: &[u8]) -> Option<PrivateKey> {
    let info = PrivateKeyInfoRef::try_from(pkcs8).ok()?;
    let is_pss = info.algorithm.oid == ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
    PrivateKey::from_pkcs1_der(info.private_key.as_bytes()).ok().filter(|_| is_pss)
}

/// The hash that a scheme of ECDSA names; before TLS 1.2 it is SHA-1 (RFC 4492, 5.4).
fn ecdsa_digest(scheme: Option<tls::SignatureScheme>, message: &[u8]) -> Vec<u8> {
    match scheme.map(|scheme| scheme.0) {
        Some(0x0303) => Sha224::digest(message).to_vec(),
        Some(0x0403) => Sha256::digest(message).to_vec(),
        Some(0x0503) => Sha384::digest(message).to_vec(),
        Some(0x0603) => Sha512::digest(message).to_vec(),
        _ => Sha1::digest(message).to_vec(),
    }
}

fn rsa_sign(key: &PrivateKey, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, rsa::Error> {
    let mut rng = rand::rng();
    match u16::from(scheme) {
        0x0101 => key.sign(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(message)),
        0x0201 => key.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message)),
        0x0301 => key.sign(Pkcs1v15Sign::new::<Sha224>(), &Sha224::digest(message)),
        0x0501 => key.sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
        0x0601 => key.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
        0x0804 | 0x0809 => key.sign_with_rng(&mut rng, Pss::<Sha256>::new(), &Sha256::digest(message)),
        0x0805 | 0x080a => key.sign_with_rng(&mut rng, Pss::<Sha384>::new(), &Sha384::digest(message)),
        0x0806 | 0x080b => key.sign_with_rng(&mut rng, Pss::<Sha512>::new(), &Sha512::digest(message)),
        _ => key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)),
    }
}

impl From<&rsa::Error> for SignError {
    fn from(error: &rsa::Error) -> Self {
        Self(error.to_string())
    }
}

/// A key that signs with one scheme only: the one that the lab has chosen.
#[derive(Debug)]
pub(super) struct OneScheme(pub Arc<dyn SigningKey>, pub SignatureScheme);

impl SigningKey for OneScheme {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        if offered.contains(&self.1) { self.0.choose_scheme(&[self.1]) } else { None }
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

/// What rustls gets where it is not to sign.
#[derive(Debug)]
struct NoKey;

impl SigningKey for NoKey {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        None
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
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
        // The shorter hashes need less, and no key here is that small.
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
        rsa_sign(&self.key, self.scheme, message).map_err(|error| rustls::Error::General(error.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
