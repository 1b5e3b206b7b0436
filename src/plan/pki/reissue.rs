//! Certificates that no library makes: taken apart, changed and signed again.

use md5::Md5;
use rcgen::SigningKey as _;
use rsa::{Pkcs1v15Sign, pss::Pss};
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256};
use yasna::{Tag, models::ObjectIdentifier};

use super::{
    super::{keys::LabKey, mint::Mint},
    PlanError,
};
use crate::scenario::{FormFault, WeakHash};

/// A TBSCertificate (RFC 5280, 4.1.2): each element as its DER.
pub(super) struct Body {
    /// Left out in version 1.
    version: Option<Vec<u8>>,
    serial: Vec<u8>,
    algorithm: Vec<u8>,
    /// Issuer, validity, subject and key, in this order.
    middle: Vec<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
}

/// How a certificate is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// As the certificate that was taken apart.
    Same,
    /// RSASSA-PKCS1-v1_5 with a hash that no library signs with.
    Weak(WeakHash),
    /// RSASSA-PSS with SHA-256 and a salt of so many bytes (RFC 4055, 3.1), by a key that may do either.
    Pss(u8),
}

/// The salt of those who leave out its length: that of SHA-1 (RFC 4055, 3.1).
const SHORT_SALT: u8 = 20;
/// The tag of the version: `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;
/// id-ce-extKeyUsage as it stands in an extension.
const EXTENDED_KEY_USAGE: [u8; 5] = [6, 3, 0x55, 0x1d, 0x25];
/// ecdsa-with-SHA512, which no CA of the lab signs with.
const ANOTHER_ALGORITHM: &[u64] = &[1, 2, 840, 10045, 4, 3, 4];

impl Body {
    /// Takes a certificate apart; its signature is forgotten.
    pub fn of(certificate: &[u8]) -> Result<Self, PlanError> {
        let outer = elements(certificate)?;
        let mut parts = elements(outer.first().ok_or(PlanError::Der)?)?.into_iter();
        let mut next = || parts.next().ok_or(PlanError::Der);
        let mut serial = next()?;
        let version = if serial.first() == Some(&VERSION) { Some(std::mem::replace(&mut serial, next()?)) } else { None };
        let algorithm = next()?;
        let middle = vec![next()?, next()?, next()?, next()?];
        let extensions = match parts.next() {
            Some(tagged) => yasna::parse_der(&tagged, |reader| {
                reader.read_tagged(Tag::context(3), |list| list.collect_sequence_of(|extension| extension.read_der()))
            })?,
            None => Vec::new(),
        };
        Ok(Self { version, serial, algorithm, middle, extensions })
    }

    /// The same for another SubjectPublicKeyInfo.
    pub fn with_key(mut self, info: &[u8]) -> Self {
        self.middle[3] = info.to_vec();
        self
    }

    /// Puts it together again, with the algorithm in both places (RFC 5280, 4.1.1.2).
    pub fn sign(mut self, scheme: Scheme, key: &LabKey, mint: &Mint) -> Result<Vec<u8>, PlanError> {
        self.algorithm = scheme.algorithm().unwrap_or(self.algorithm);
        let body = self.der();
        let signature = scheme.sign(key, &body, mint)?;
        Ok(signed(&body, &self.algorithm, &signature))
    }

    /// Signed again by its issuer, with one flaw of its form.
    pub fn deform(mut self, flaw: FormFault, key: &LabKey, mint: &Mint) -> Result<Vec<u8>, PlanError> {
        match flaw {
            FormFault::Version1 => {
                self.version = None;
                self.extensions.clear();
            }
            FormFault::NegativeSerial => self.serial = vec![2, 4, 0x9a, 0x3c, 0x51, 0x07],
            FormFault::ZeroSerial => self.serial = vec![2, 1, 0],
            FormFault::LongSerial => self.serial = [&[2, 21], &[0x55; 21][..]].concat(),
            FormFault::DuplicateExtension => {
                let is_usage = |extension: &&Vec<u8>| extension.windows(5).any(|window| window == EXTENDED_KEY_USAGE);
                let twice = self.extensions.iter().find(is_usage).ok_or(PlanError::Der)?.clone();
                self.extensions.push(twice);
            }
            FormFault::Version2 => self.version = Some(vec![VERSION, 3, 2, 1, 1]),
            FormFault::ShortSalt => return self.sign(Scheme::Pss(SHORT_SALT), key, mint),
            FormFault::CorruptSignature | FormFault::TwoAlgorithms => {}
        }
        let outer = self.algorithm.clone();
        if flaw == FormFault::TwoAlgorithms {
            self.algorithm = algorithm(ANOTHER_ALGORITHM, false);
        }
        let body = self.der();
        let mut signature = Scheme::Same.sign(key, &body, mint)?;
        if flaw == FormFault::CorruptSignature {
            // In the middle of the signature's first number: what is left is still well formed.
            signature[12] ^= 1;
        }
        Ok(signed(&body, &outer, &signature))
    }

    fn der(&self) -> Vec<u8> {
        let extensions = (!self.extensions.is_empty()).then(|| {
            let list = sequence(&self.extensions);
            yasna::construct_der(|writer| writer.write_tagged(Tag::context(3), |tagged| tagged.write_der(&list)))
        });
        let parts = self.version.iter().chain([&self.serial, &self.algorithm]).chain(&self.middle).chain(&extensions);
        sequence(&parts.cloned().collect::<Vec<_>>())
    }
}

impl Scheme {
    fn algorithm(self) -> Option<Vec<u8>> {
        match self {
            Self::Same => None,
            Self::Weak(WeakHash::Md5) => Some(algorithm(&[1, 2, 840, 113_549, 1, 1, 4], true)),
            Self::Weak(WeakHash::Sha1) => Some(algorithm(&[1, 2, 840, 113_549, 1, 1, 5], true)),
            Self::Weak(WeakHash::Sha224) => Some(algorithm(&[1, 2, 840, 113_549, 1, 1, 14], true)),
            Self::Pss(salt) => Some(pss_algorithm(salt)),
        }
    }

    fn sign(self, key: &LabKey, message: &[u8], mint: &Mint) -> Result<Vec<u8>, PlanError> {
        Ok(match self {
            Self::Same => key.sign(message)?,
            Self::Weak(WeakHash::Md5) => key.to_rsa()?.sign(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(message))?,
            Self::Weak(WeakHash::Sha1) => key.to_rsa()?.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message))?,
            Self::Weak(WeakHash::Sha224) => key.to_rsa()?.sign(Pkcs1v15Sign::new::<Sha224>(), &Sha224::digest(message))?,
            Self::Pss(salt) => {
                let scheme = Pss::<Sha256>::new_with_salt(salt.into());
                key.to_rsa()?.sign_with_rng(&mut *mint.rng(), scheme, &Sha256::digest(message))?
            }
        })
    }
}

/// An AlgorithmIdentifier, with NULL for parameters or without any.
fn algorithm(oid: &[u64], has_null: bool) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_oid(&ObjectIdentifier::from_slice(oid));
            if has_null {
                parts.next().write_null();
            }
        });
    })
}

/// id-RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of so many bytes.
fn pss_algorithm(salt: u8) -> Vec<u8> {
    let sha256 = algorithm(&[2, 16, 840, 1, 101, 3, 4, 2, 1], true);
    let mgf1 = yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_oid(&ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 1, 8]));
            parts.next().write_der(&sha256);
        });
    });
    yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_oid(&ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 1, 10]));
            parts.next().write_sequence(|parameters| {
                parameters.next().write_tagged(Tag::context(0), |hash| hash.write_der(&sha256));
                parameters.next().write_tagged(Tag::context(1), |mask| mask.write_der(&mgf1));
                parameters.next().write_tagged(Tag::context(2), |tagged| tagged.write_u8(salt));
            });
        });
    })
}

/// What is signed of a certificate: its first element.
pub(super) fn signed_part(certificate: &[u8]) -> Result<Vec<u8>, PlanError> {
    elements(certificate)?.into_iter().next().ok_or(PlanError::Der)
}

/// The SubjectPublicKeyInfo of a certificate, in DER.
pub(in super::super) fn public_key_info(certificate: &[u8]) -> Result<Vec<u8>, PlanError> {
    /// `[0] EXPLICIT`: what does not begin with it is of version 1.
    const VERSION: u8 = 0xa0;
    let parts = elements(&signed_part(certificate)?)?;
    let has_version = parts.first().and_then(|part| part.first()) == Some(&VERSION);
    parts.into_iter().nth(if has_version { 6 } else { 5 }).ok_or(PlanError::Der)
}

fn signed(body: &[u8], algorithm: &[u8], signature: &[u8]) -> Vec<u8> {
    let signature = yasna::construct_der(|writer| writer.write_bitvec_bytes(signature, signature.len() * 8));
    sequence(&[body.to_vec(), algorithm.to_vec(), signature])
}

fn elements(der: &[u8]) -> Result<Vec<Vec<u8>>, PlanError> {
    Ok(yasna::parse_der(der, |reader| reader.collect_sequence_of(|element| element.read_der()))?)
}

fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            for element in elements {
                parts.next().write_der(element);
            }
        });
    })
}
