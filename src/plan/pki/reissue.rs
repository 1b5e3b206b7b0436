//! Certificates that no library makes: taken apart, changed and signed again.

use md5::Md5;
use rsa::{Pkcs1v15Sign, PrivateKey};
use sha1::Sha1;
use sha2::Digest as _;
use yasna::models::ObjectIdentifier;

use super::{super::keys::LabKey, PlanError};
use crate::scenario::WeakHash;

/// The elements of a TBSCertificate (RFC 5280, 4.1.2), each as its DER.
pub(super) struct Body(Vec<Vec<u8>>);

/// What signs, and how.
pub(super) enum Signature<'a> {
    /// RSASSA-PKCS1-v1_5 with a hash that no library signs with.
    Weak(WeakHash, &'a LabKey),
}

impl Body {
    /// Takes a certificate apart; its signature is forgotten.
    pub fn of(certificate: &[u8]) -> Result<Self, PlanError> {
        let outer = elements(certificate)?;
        let [body, ..] = outer.as_slice() else { return Err(PlanError::Der) };
        Ok(Self(elements(body)?))
    }

    /// Puts it together again, with the algorithm in both places (RFC 5280, 4.1.1.2).
    pub fn sign(mut self, with: &Signature) -> Result<Vec<u8>, PlanError> {
        let algorithm = with.algorithm();
        *self.algorithm()? = algorithm.clone();
        let body = sequence(&self.0);
        let signature = with.sign(&body)?;
        let signature = yasna::construct_der(|writer| writer.write_bitvec_bytes(&signature, signature.len() * 8));
        Ok(sequence(&[body, algorithm, signature]))
    }

    /// The algorithm stands third, behind version and serial number; in version 1 the version is left out.
    fn algorithm(&mut self) -> Result<&mut Vec<u8>, PlanError> {
        let is_versioned = self.0.first().is_some_and(|first| first.first() == Some(&VERSION));
        self.0.get_mut(1 + usize::from(is_versioned)).ok_or(PlanError::Der)
    }
}

/// The tag of the version: `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;

impl Signature<'_> {
    fn algorithm(&self) -> Vec<u8> {
        let Self::Weak(hash, _) = self;
        let arc = match hash {
            WeakHash::Md5 => 4,
            WeakHash::Sha1 => 5,
        };
        yasna::construct_der(|writer| {
            writer.write_sequence(|parts| {
                parts.next().write_oid(&ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 1, arc]));
                parts.next().write_null();
            });
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PlanError> {
        let Self::Weak(hash, key) = self;
        let key: PrivateKey = key.to_rsa()?;
        Ok(match hash {
            WeakHash::Md5 => key.sign(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(message))?,
            WeakHash::Sha1 => key.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message))?,
        })
    }
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
