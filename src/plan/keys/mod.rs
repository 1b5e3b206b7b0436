//! Keys: weak ones that really are weak, odd ones, and a cache for those that are slow to generate.

mod curve;
mod odd;
mod seeded;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

use chacha20::ChaCha20Rng;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_RSA_SHA256, RsaKeySize,
    SignatureAlgorithm,
};
use rsa::{
    Pkcs1v15Sign, PrivateKey,
    pkcs1::{EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _},
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding},
};
use sha2::{Digest as _, Sha256};
use yasna::models::ObjectIdentifier;

use super::{PlanError, mint::Mint};
use crate::scenario::{Key, OddKey};
use curve::CurveKey;
use seeded::{EcSigner, ed25519};

/// Makes an odd RSA key.
type Make = fn(&mut ChaCha20Rng) -> Result<PrivateKey, PlanError>;

/// id-RSASSA-PSS (RFC 4055, 3.1).
const RSASSA_PSS: &[u64] = &[1, 2, 840, 113_549, 1, 1, 10];
/// id-ecPublicKey (RFC 5480, 2.1.1).
const EC_PUBLIC_KEY: &[u64] = &[1, 2, 840, 10_045, 2, 1];

/// A private key of the lab, of any strength.
pub(super) enum LabKey {
    /// One that rcgen can hold.
    Strong(KeyPair),
    /// On one of the common curves, made from a seed: rcgen's own signatures are never the same twice.
    SeededEcdsa { key: KeyPair, signer: EcSigner },
    /// RSA below 2048 bits, with its PKCS#1 public key.
    WeakRsa { key: Box<PrivateKey>, public: Vec<u8> },
    /// Of a kind that rcgen does not know: certificates are made for another key, and then given this one.
    Other {
        /// The other key.
        stand_in: Box<LabKey>,
        /// The private key in PKCS#8 PEM.
        pem: String,
        /// The SubjectPublicKeyInfo in DER.
        info: Vec<u8>,
    },
}

impl LabKey {
    /// A fresh EC key: as fast to make as to read.
    pub fn ephemeral(mint: &Mint) -> Result<Self, PlanError> {
        Self::ecdsa(&PKCS_ECDSA_P256_SHA256, mint)
    }

    /// A fresh key on one of the common curves. The fast library takes no seed.
    fn ecdsa(algorithm: &'static SignatureAlgorithm, mint: &Mint) -> Result<Self, PlanError> {
        if !mint.is_seeded() {
            return Ok(Self::Strong(KeyPair::generate_for(algorithm)?));
        }
        let signer = EcSigner::generate(algorithm, mint)?;
        Ok(Self::SeededEcdsa { key: KeyPair::try_from(signer.to_pkcs8()?.as_slice())?, signer })
    }

    /// The key of a correct world. RSA keys of the same `slot` are shared by all scenarios.
    pub fn strong(kind: Key, slot: &str, mint: &Mint) -> Result<Self, PlanError> {
        let rsa = |size, bits| {
            let name = format!("rsa-{bits}-{slot}");
            Self::from_pem(&cached(&mint.kept_as(&name), || match mint.is_seeded() {
                false => Ok(KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size)?.serialize_pem()),
                true => Ok(PrivateKey::new(&mut mint.rng_for(&name), bits)?.to_pkcs8_pem(LineEnding::LF)?.to_string()),
            })?)
        };
        match kind {
            Key::Rsa2048 => rsa(RsaKeySize::_2048, 2048),
            // No library makes it by name; what makes the weak ones does.
            Key::Rsa2056 => Self::weak_rsa(2056, slot, mint),
            Key::Rsa3072 => rsa(RsaKeySize::_3072, 3072),
            Key::Rsa4096 => rsa(RsaKeySize::_4096, 4096),
            Key::Rsa8192 => Self::rsa_from_pem(include_str!("../../../lab/keys/rsa-8192.pem")),
            Key::Rsa16384 => Self::rsa_from_pem(include_str!("../../../lab/keys/rsa-16384.pem")),
            Key::EcdsaP256 => Self::ecdsa(&PKCS_ECDSA_P256_SHA256, mint),
            Key::EcdsaP384 => Self::ecdsa(&PKCS_ECDSA_P384_SHA384, mint),
            Key::EcdsaP521 => Self::ecdsa(&PKCS_ECDSA_P521_SHA512, mint),
            Key::Ed25519 => Ok(Self::Strong(KeyPair::try_from(ed25519(&mut *mint.rng()).as_slice())?)),
        }
    }

    /// An RSA key that no library generates unless it is told twice.
    pub fn weak_rsa(bits: u16, slot: &str, mint: &Mint) -> Result<Self, PlanError> {
        let name = format!("rsa-{bits}-{slot}");
        let pem = cached(&mint.kept_as(&name), || {
            let key = PrivateKey::new_unchecked(&mut mint.rng_for(&name), usize::from(bits))?;
            Ok(key.to_pkcs8_pem(LineEnding::LF)?.to_string())
        })?;
        Self::rsa_from_pem(&pem)
    }

    fn rsa_from_pem(pem: &str) -> Result<Self, PlanError> {
        let key = PrivateKey::from_pkcs8_pem(pem)?;
        let public = key.as_public_key().to_pkcs1_der()?.as_bytes().to_vec();
        Ok(Self::WeakRsa { key: Box::new(key), public })
    }

    /// A key that senders do not take, or that is worth nothing.
    pub fn odd(kind: OddKey, mint: &Mint) -> Result<Self, PlanError> {
        if let Some(CurveKey { pem, info }) = curve::generate(kind, mint)? {
            return Ok(Self::Other { stand_in: Box::new(Self::ephemeral(mint)?), pem, info });
        }
        match kind {
            OddKey::Published => return Self::rsa_from_pem(include_str!("../../../lab/keys/rsa-published.pem")),
            OddKey::PssAlone => return Self::pss_alone(mint),
            OddKey::EcdsaExplicit => return Self::explicit(mint),
            _ => {}
        }
        let (name, make): (_, Make) = match kind {
            OddKey::ClosePrimes => ("rsa-close-primes", odd::close_primes),
            OddKey::Roca => ("rsa-roca", odd::roca),
            _ => ("rsa-exponent-3", odd::exponent_3),
        };
        Self::rsa_from_pem(&cached(&mint.kept_as(name), || {
            Ok(make(&mut mint.rng_for(name))?.to_pkcs8_pem(LineEnding::LF)?.to_string())
        })?)
    }

    /// An RSA key that is bound to PSS (RFC 4055, 1.2), without parameters: any hash and any salt.
    fn pss_alone(mint: &Mint) -> Result<Self, PlanError> {
        let key = Self::strong(Key::Rsa2048, "pss", mint)?;
        let rsa = key.to_rsa()?;
        let (private, public) = (rsa.to_pkcs1_der()?, rsa.as_public_key().to_pkcs1_der()?);
        let algorithm = |writer: yasna::DERWriter| {
            writer.write_sequence(|parts| parts.next().write_oid(&ObjectIdentifier::from_slice(RSASSA_PSS)))
        };
        let pkcs8 = yasna::construct_der(|writer| {
            writer.write_sequence(|out| {
                out.next().write_u8(0);
                algorithm(out.next());
                out.next().write_bytes(private.as_bytes());
            });
        });
        let info = yasna::construct_der(|writer| {
            writer.write_sequence(|out| {
                algorithm(out.next());
                out.next().write_bitvec_bytes(public.as_bytes(), public.as_bytes().len() * 8);
            });
        });
        Ok(Self::Other { stand_in: Box::new(key), pem: private_key_pem(pkcs8), info })
    }

    /// A key on P-256 whose certificate spells the curve out.
    fn explicit(mint: &Mint) -> Result<Self, PlanError> {
        let key = Self::ephemeral(mint)?;
        let info = yasna::construct_der(|writer| {
            writer.write_sequence(|out| {
                out.next().write_sequence(|algorithm| {
                    algorithm.next().write_oid(&ObjectIdentifier::from_slice(EC_PUBLIC_KEY));
                    algorithm.next().write_der(include_bytes!("../../../lab/keys/p256-parameters.der"));
                });
                let point = rcgen::PublicKeyData::der_bytes(&key);
                out.next().write_bitvec_bytes(point, point.len() * 8);
            });
        });
        let pem = key.to_pem()?;
        Ok(Self::Other { stand_in: Box::new(key), pem, info })
    }

    /// The SubjectPublicKeyInfo that the certificate is to have instead of the one that rcgen gives it.
    pub fn other_info(&self) -> Option<&[u8]> {
        match self {
            Self::Other { info, .. } => Some(info),
            Self::Strong(_) | Self::SeededEcdsa { .. } | Self::WeakRsa { .. } => None,
        }
    }

    /// PKCS#8 PEM, in the version without a public key (RFC 5208): OpenSSL 3.0 reads no other.
    pub fn to_pem(&self) -> Result<String, PlanError> {
        match self {
            Self::Strong(key) | Self::SeededEcdsa { key, .. } => Ok(private_key_pem(without_public_key(key.serialized_der())?)),
            Self::WeakRsa { key, .. } => Ok(key.to_pkcs8_pem(LineEnding::LF)?.to_string()),
            Self::Other { pem, .. } => Ok(pem.clone()),
        }
    }

    /// Whether it is RSA, for the key usage.
    pub fn is_rsa(&self) -> bool {
        std::ptr::eq(rcgen::PublicKeyData::algorithm(self), &PKCS_RSA_SHA256)
    }

    /// As the `rsa` crate holds it, which signs with any hash.
    pub fn to_rsa(&self) -> Result<PrivateKey, PlanError> {
        Ok(PrivateKey::from_pkcs8_pem(&self.to_pem()?)?)
    }

    /// A key that was written by [`to_pem`](Self::to_pem), of a kind that rcgen can hold.
    pub fn from_pem(pem: &str) -> Result<Self, PlanError> {
        Ok(Self::Strong(KeyPair::from_pem(pem)?))
    }
}

impl rcgen::PublicKeyData for LabKey {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Strong(key) | Self::SeededEcdsa { key, .. } => key.der_bytes(),
            Self::Other { stand_in, .. } => stand_in.der_bytes(),
            Self::WeakRsa { public, .. } => public,
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Strong(key) | Self::SeededEcdsa { key, .. } => rcgen::PublicKeyData::algorithm(key),
            Self::Other { stand_in, .. } => rcgen::PublicKeyData::algorithm(stand_in.as_ref()),
            Self::WeakRsa { .. } => &PKCS_RSA_SHA256,
        }
    }
}

impl rcgen::SigningKey for LabKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Strong(key) => key.sign(message),
            Self::SeededEcdsa { signer, .. } => Ok(signer.sign(message)),
            Self::Other { stand_in, .. } => stand_in.sign(message),
            Self::WeakRsa { key, .. } => {
                key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)).map_err(|_| rcgen::Error::RemoteKeyError)
            }
        }
    }
}

fn private_key_pem(pkcs8: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("PRIVATE KEY", pkcs8), config)
}

/// The version, the algorithm and the key of RFC 5958's OneAsymmetricKey, as RFC 5208's PrivateKeyInfo.
fn without_public_key(der: &[u8]) -> Result<Vec<u8>, PlanError> {
    let parts = yasna::parse_der(der, |reader| reader.collect_sequence_of(|part| part.read_der()))?;
    let [_, algorithm, key, ..] = parts.as_slice() else { return Err(PlanError::Der) };
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|out| {
            out.next().write_u8(0);
            out.next().write_der(algorithm);
            out.next().write_der(key);
        });
    }))
}

/// A PEM key by name: from this process, from the disk, or made and then kept in both.
///
/// Keys of the lab protect nothing. They are kept because RSA keys take up to seconds to
/// make, with mode 0600 because a key that others can read is a bad habit. A cache that
/// cannot be read or written only costs time.
fn cached(name: &str, make: impl FnOnce() -> Result<String, PlanError>) -> Result<String, PlanError> {
    static KNOWN: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);
    // Held while the key is made, so that parallel scenarios make it once.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pem) = known.get(name) {
        return Ok(pem.clone());
    }
    let path = cache_dir().map(|dir| dir.join(format!("{name}.pem")));
    let on_disk =
        path.as_deref().and_then(|path| fs::read_to_string(path).ok()).filter(|pem| PrivateKey::from_pkcs8_pem(pem).is_ok());
    let pem = match on_disk {
        Some(pem) => pem,
        None => {
            let pem = make()?;
            if let Some(path) = path {
                let _ = store(&path, &pem);
            }
            pem
        }
    };
    known.insert(name.to_owned(), pem.clone());
    Ok(pem)
}

/// `$MTALAB_CACHE_DIR`, or the user's cache folder.
fn cache_dir() -> Option<PathBuf> {
    use etcetera::BaseStrategy as _;
    let base = match std::env::var_os("MTALAB_CACHE_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => etcetera::choose_base_strategy().ok()?.cache_dir().join("mtalab"),
    };
    Some(base.join("keys"))
}

/// Writes the whole file under a temporary name of mode 0600, then renames it: another
/// process sees the old file or the new one, never half of one.
fn store(path: &Path, pem: &str) -> io::Result<()> {
    use io::Write as _;
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(pem.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
