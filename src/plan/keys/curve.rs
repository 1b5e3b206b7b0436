//! Keys on curves that no sender offers by default.

use p256::elliptic_curve::Generate as _;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};

use super::{super::mint::Mint, PlanError};
use crate::scenario::OddKey;

/// The private key in PKCS#8 PEM and the SubjectPublicKeyInfo in DER.
pub(super) struct CurveKey {
    pub pem: String,
    pub info: Vec<u8>,
}

macro_rules! generate {
    ($mint:ident, $curve:ty) => {{
        let secret = <$curve>::generate_from_rng(&mut *$mint.rng());
        let info = secret.public_key().to_public_key_der().map_err(|_| PlanError::Der)?;
        let pem = secret.to_pkcs8_pem(LineEnding::LF).map_err(|_| PlanError::Der)?;
        Some(CurveKey { pem: pem.to_string(), info: info.as_bytes().to_vec() })
    }};
}

/// A fresh key; none for kinds that are on no curve.
pub(super) fn generate(kind: OddKey, mint: &Mint) -> Result<Option<CurveKey>, PlanError> {
    Ok(match kind {
        OddKey::EcdsaP192 => generate!(mint, p256::elliptic_curve::SecretKey<p192::NistP192>),
        OddKey::EcdsaP224 => generate!(mint, p224::SecretKey),
        OddKey::EcdsaSecp256k1 => generate!(mint, k256::SecretKey),
        OddKey::EcdsaBrainpoolP256r1 => generate!(mint, bp256::r1::SecretKey),
        OddKey::EcdsaBrainpoolP384r1 => generate!(mint, bp384::r1::SecretKey),
        OddKey::EcdsaExplicit | OddKey::Exponent3 | OddKey::ClosePrimes | OddKey::Roca | OddKey::Published | OddKey::PssAlone => {
            None
        }
    })
}
