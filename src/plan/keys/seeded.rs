//! Keys and signatures that are the same for the same seed.

use p256::elliptic_curve::Generate as _;
use rand::RngExt as _;
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm};
use rsa::pkcs8::EncodePrivateKey as _;

use super::{super::mint::Mint, PlanError};

/// Signs with ECDSA as RFC 6979 has it: the message decides the nonce.
pub(in crate::plan) enum EcSigner {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
}

impl EcSigner {
    pub fn generate(algorithm: &'static SignatureAlgorithm, mint: &Mint) -> Result<Self, PlanError> {
        let mut rng = mint.rng();
        Ok(if std::ptr::eq(algorithm, &PKCS_ECDSA_P256_SHA256) {
            Self::P256(p256::SecretKey::generate_from_rng(&mut *rng))
        } else if std::ptr::eq(algorithm, &PKCS_ECDSA_P384_SHA384) {
            Self::P384(p384::SecretKey::generate_from_rng(&mut *rng))
        } else {
            Self::P521(p521::SecretKey::generate_from_rng(&mut *rng))
        })
    }

    pub fn to_pkcs8(&self) -> Result<Vec<u8>, PlanError> {
        let der = match self {
            Self::P256(key) => key.to_pkcs8_der(),
            Self::P384(key) => key.to_pkcs8_der(),
            Self::P521(key) => key.to_pkcs8_der(),
        };
        Ok(der.map_err(|_| PlanError::Der)?.as_bytes().to_vec())
    }

    /// Over the hash that goes with the curve; the signature is in DER.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        macro_rules! sign {
            ($key:ident, $curve:ident) => {{
                use $curve::ecdsa::{DerSignature, SigningKey, signature::Signer as _};
                let signature: DerSignature = SigningKey::from($key).sign(message);
                signature.as_bytes().to_vec()
            }};
        }
        match self {
            Self::P256(key) => sign!(key, p256),
            Self::P384(key) => sign!(key, p384),
            Self::P521(key) => sign!(key, p521),
        }
    }
}

/// An Ed25519 key in PKCS#8 (RFC 8410, 7): any 32 octets are one.
pub(super) fn ed25519(rng: &mut impl rand::Rng) -> Vec<u8> {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let secret: [u8; 32] = rng.random();
    [&HEAD[..], &secret].concat()
}
