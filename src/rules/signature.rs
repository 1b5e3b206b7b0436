//! Whose signature a certificate carries: the arithmetic under [`super::path`].
//!
//! Weak algorithms are verified too. Whether a signature is right and whether it is
//! strong enough are two questions, and rules of their own answer the second.

use aws_lc_rs::signature as aws;
use md5::Md5;
use rsa::{BoxedUint, pkcs1v15::Pkcs1v15Sign, pss::Pss};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_parser::{
    certificate::X509Certificate,
    der_parser::{
        asn1_rs::{Any, BitString, Oid},
        oid,
    },
    oid_registry::{OID_HASH_SHA1, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_RSASSAPSS},
    prelude::FromDer as _,
    public_key::{PublicKey, RSAPublicKey},
    signature_algorithm::RsaSsaPssParams,
    verify::verify_signature,
    x509::{AlgorithmIdentifier, SubjectPublicKeyInfo},
};

use crate::facts::Certificate;

/// What the check of one signature gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The issuer's key made it.
    Right,
    /// Another key made it, or the certificate was changed.
    Wrong,
    /// This build cannot tell.
    Unknown,
}

/// The largest modulus that is computed with: bounds the work that a hostile chain can cause.
const MAX_RSA_BITS: usize = 16_384;

/// Something that bears a signature: a certificate, a list of revoked ones, an answer of OCSP.
#[derive(Debug)]
pub struct Signed<'a> {
    /// What is signed, in DER.
    pub message: &'a [u8],
    /// How.
    pub algorithm: &'a AlgorithmIdentifier<'a>,
    /// The signature.
    pub signature: &'a BitString<'a>,
}

/// Whether `issuer`'s key signed `child`. Names are not compared.
pub fn check(child: &X509Certificate, issuer: &X509Certificate) -> Checked {
    let signed = Signed {
        message: child.tbs_certificate.as_ref(),
        algorithm: &child.signature_algorithm,
        signature: &child.signature_value,
    };
    signed.is_by(issuer.public_key())
}

impl Signed<'_> {
    /// Whether this key made the signature.
    pub fn is_by(&self, key: &SubjectPublicKeyInfo) -> Checked {
        if verify_signature(key, self.algorithm, self.signature, self.message).is_ok() {
            return Checked::Right;
        }
        let algorithm = &self.algorithm.algorithm;
        // The first try knows neither small keys nor old hashes, and does not say which of
        // these made it fail.
        match key.parsed() {
            Ok(PublicKey::RSA(key)) => check_rsa(self, &key),
            Ok(PublicKey::EC(point)) => check_ecdsa(self, key, point.data()),
            // Ed25519 was tried, and no other known kind of key signs with it.
            _ if *algorithm == oid!(1.3.101.112) => Checked::Wrong,
            _ if key.algorithm.algorithm == oid!(1.3.101.112) && is_of(algorithm, &[RSA, ECDSA]) => Checked::Wrong,
            _ => Checked::Unknown,
        }
    }
}

fn check_rsa(signed: &Signed, key: &RSAPublicKey) -> Checked {
    let (Some(modulus), Some(exponent)) = (number(key.modulus), number(key.exponent)) else { return Checked::Unknown };
    let Ok(key) = rsa::PublicKey::new_with_size_limits(modulus, exponent, 256..=MAX_RSA_BITS) else { return Checked::Unknown };
    let message = signed.message;
    let signature = &*signed.signature.data;
    let algorithm = &signed.algorithm.algorithm;
    let right = if let Some((digest, prefix)) = pkcs1_digest(algorithm, message) {
        let scheme = Pkcs1v15Sign { hash_len: Some(digest.len()), prefix: prefix.into_boxed_slice() };
        key.verify(scheme, &digest, signature).is_ok()
    } else if *algorithm == oid!(1.2.840.113549.1.1.10) {
        match pss_is_right(&key, signed.algorithm.parameters(), message, signature) {
            Some(right) => right,
            None => return Checked::Unknown,
        }
    } else {
        return if is_of(algorithm, &[ECDSA, EDDSA]) { Checked::Wrong } else { Checked::Unknown };
    };
    if right { Checked::Right } else { Checked::Wrong }
}

fn number(bytes: &[u8]) -> Option<BoxedUint> {
    let start = bytes.iter().position(|byte| *byte != 0)?;
    let significant = &bytes[start..];
    (significant.len() * 8 <= MAX_RSA_BITS).then(|| BoxedUint::from_be_slice_vartime(significant))
}

/// The digest that the algorithm asks for, and the head of the DigestInfo (RFC 8017, 9.2).
fn pkcs1_digest(algorithm: &Oid, message: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    const NIST_HASH: [u8; 8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    let nist = |last: u8| [&NIST_HASH[..], &[last]].concat();
    let (digest, hash) = if *algorithm == oid!(1.2.840.113549.1.1.4) {
        (Md5::digest(message).to_vec(), vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05])
    } else if *algorithm == oid!(1.2.840.113549.1.1.5) || *algorithm == oid!(1.3.14.3.2.29) {
        (Sha1::digest(message).to_vec(), vec![0x2b, 0x0e, 0x03, 0x02, 0x1a])
    } else if *algorithm == oid!(1.2.840.113549.1.1.14) {
        (Sha224::digest(message).to_vec(), nist(4))
    } else if *algorithm == oid!(1.2.840.113549.1.1.11) {
        (Sha256::digest(message).to_vec(), nist(1))
    } else if *algorithm == oid!(1.2.840.113549.1.1.12) {
        (Sha384::digest(message).to_vec(), nist(2))
    } else if *algorithm == oid!(1.2.840.113549.1.1.13) {
        (Sha512::digest(message).to_vec(), nist(3))
    } else {
        return None;
    };
    // All lengths are below 128, so each takes one byte.
    let identifier = [&[0x06, hash.len() as u8], &hash[..], &[0x05, 0x00]].concat();
    let inner = [&[0x30, identifier.len() as u8], &identifier[..], &[0x04, digest.len() as u8]].concat();
    let prefix = [&[0x30, (inner.len() + digest.len()) as u8], &inner[..]].concat();
    Some((digest, prefix))
}

/// The bytes of salt in the RSASSA-PSS signature on a certificate, and of its hash, where the two differ.
pub fn odd_salt(certificate: &Certificate) -> Option<(u32, u32)> {
    let (_, parsed) = X509Certificate::from_der(certificate.der()).ok()?;
    let algorithm = &parsed.signature_algorithm;
    if algorithm.algorithm != OID_PKCS1_RSASSAPSS {
        return None;
    }
    let parameters = RsaSsaPssParams::try_from(algorithm.parameters()?).ok()?;
    let hash = parameters.hash_algorithm_oid();
    let lengths = [(OID_HASH_SHA1, 20), (OID_NIST_HASH_SHA256, 32), (OID_NIST_HASH_SHA384, 48), (OID_NIST_HASH_SHA512, 64)];
    let (_, length) = lengths.into_iter().find(|(oid, _)| oid == hash)?;
    (parameters.salt_length() != length).then_some((parameters.salt_length(), length))
}

/// Whether the RSASSA-PSS signature is right (RFC 4055, 3.1); none where its parameters are not known here.
fn pss_is_right(key: &rsa::PublicKey, parameters: Option<&Any>, message: &[u8], signature: &[u8]) -> Option<bool> {
    let parameters = RsaSsaPssParams::try_from(parameters?).ok()?;
    let salt = usize::try_from(parameters.salt_length()).ok().filter(|salt| *salt <= MAX_RSA_BITS / 8)?;
    let hash = parameters.hash_algorithm_oid();
    // The library has one hash for both, as everybody has.
    if parameters.mask_gen_algorithm().ok().is_none_or(|mask| mask.hash != *hash) {
        return None;
    }
    let verified = if *hash == OID_HASH_SHA1 {
        key.verify(Pss::<Sha1>::new_with_salt(salt), &Sha1::digest(message), signature)
    } else if *hash == OID_NIST_HASH_SHA256 {
        key.verify(Pss::<Sha256>::new_with_salt(salt), &Sha256::digest(message), signature)
    } else if *hash == OID_NIST_HASH_SHA384 {
        key.verify(Pss::<Sha384>::new_with_salt(salt), &Sha384::digest(message), signature)
    } else if *hash == OID_NIST_HASH_SHA512 {
        key.verify(Pss::<Sha512>::new_with_salt(salt), &Sha512::digest(message), signature)
    } else {
        return None;
    };
    Some(verified.is_ok())
}

fn check_ecdsa(signed: &Signed, key: &SubjectPublicKeyInfo, point: &[u8]) -> Checked {
    let curve = key.algorithm.parameters().and_then(|any| any.as_oid().ok());
    let Some(curve) = curve else { return Checked::Unknown };
    let (p256, p384, p521) = (oid!(1.2.840.10045.3.1.7), oid!(1.3.132.0.34), oid!(1.3.132.0.35));
    let algorithm = &signed.algorithm.algorithm;
    let hashes = [
        oid!(1.2.840.10045.4.1),
        oid!(1.2.840.10045.4.3.1),
        oid!(1.2.840.10045.4.3.2),
        oid!(1.2.840.10045.4.3.3),
        oid!(1.2.840.10045.4.3.4),
    ];
    let scheme: &aws::EcdsaVerificationAlgorithm = match hashes.iter().position(|hash| hash == algorithm) {
        Some(0) if curve == p256 => &aws::ECDSA_P256_SHA1_ASN1,
        Some(0) if curve == p521 => &aws::ECDSA_P521_SHA1_ASN1,
        Some(1) if curve == p521 => &aws::ECDSA_P521_SHA224_ASN1,
        Some(2) if curve == p521 => &aws::ECDSA_P521_SHA256_ASN1,
        Some(3) if curve == p521 => &aws::ECDSA_P521_SHA384_ASN1,
        Some(4) if curve == p521 => &aws::ECDSA_P521_SHA512_ASN1,
        Some(4) if curve == p256 => &aws::ECDSA_P256_SHA512_ASN1,
        Some(4) if curve == p384 => &aws::ECDSA_P384_SHA512_ASN1,
        // The first try knew these.
        Some(2 | 3) if curve == p256 || curve == p384 => return Checked::Wrong,
        Some(_) => return Checked::Unknown,
        None if is_of(algorithm, &[RSA, EDDSA]) => return Checked::Wrong,
        None => return Checked::Unknown,
    };
    let key = aws::UnparsedPublicKey::new(scheme, point);
    match key.verify(signed.message, &signed.signature.data) {
        Ok(()) => Checked::Right,
        Err(_) => Checked::Wrong,
    }
}

/// The families of signature algorithms; a key of one never signs with another.
const RSA: &[u64] = &[1, 2, 840, 113_549, 1, 1];
const ECDSA: &[u64] = &[1, 2, 840, 10_045, 4];
const EDDSA: &[u64] = &[1, 3, 101];

/// Whether a key of this kind makes signatures of that algorithm; a kind that is not known may make any.
pub fn is_of_kind(algorithm: &AlgorithmIdentifier, key: &SubjectPublicKeyInfo) -> bool {
    let family = match key.parsed() {
        Ok(PublicKey::RSA(_)) => RSA,
        Ok(PublicKey::EC(_)) => ECDSA,
        _ if is_of(&key.algorithm.algorithm, &[EDDSA]) => EDDSA,
        _ => return true,
    };
    is_of(&algorithm.algorithm, &[family])
}

fn is_of(algorithm: &Oid, families: &[&[u64]]) -> bool {
    families.iter().any(|family| Oid::from(family).is_ok_and(|family| algorithm.starts_with(&family)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use x509_parser::prelude::FromDer as _;

    use super::*;
    use crate::{
        facts::Certificate,
        rules::test_facts::{Authority, Hash, Key},
    };

    fn checked(child: &Certificate, issuer: &Certificate) -> Checked {
        let parse = |certificate: &Certificate| certificate.der().to_vec();
        let (child, issuer) = (parse(child), parse(issuer));
        check(&X509Certificate::from_der(&child).unwrap().1, &X509Certificate::from_der(&issuer).unwrap().1)
    }

    #[rstest]
    #[case(Key::P256, Hash::Sha256)]
    #[case(Key::P384, Hash::Sha256)]
    #[case(Key::P521, Hash::Sha256)]
    #[case(Key::Ed25519, Hash::Sha256)]
    #[case(Key::Rsa(2048), Hash::Sha256)]
    #[case(Key::Rsa(1024), Hash::Sha256)]
    #[case(Key::Rsa(512), Hash::Sha256)]
    #[case(Key::Rsa(1024), Hash::Sha1)]
    #[case(Key::Rsa(2048), Hash::Sha224)]
    #[case(Key::Rsa(512), Hash::Md5)]
    #[case(Key::Rsa(1024), Hash::Md5)]
    fn a_signature_is_told_from_anothers(#[case] key: Key, #[case] hash: Hash) {
        let issuer = Authority::root_with(key, "Right CA");
        let other = Authority::root_with(if key == Key::Rsa(1024) { Key::Rsa(512) } else { Key::Rsa(1024) }, "Other CA");
        let child = hash.resign(issuer.leaf(|_| {}), &issuer);
        assert_eq!(checked(&child, &issuer.certificate), Checked::Right);
        assert_eq!(checked(&child, &other.certificate), Checked::Wrong);
        assert_eq!(checked(&child, &Authority::root_with(Key::P256, "Third CA").certificate), Checked::Wrong);
    }

    /// Real certificates: RSA of all sizes, P-256, P-384, SHA-1 and better.
    #[test]
    fn every_root_of_mozilla_is_signed_by_itself() {
        for anchor in crate::trust::TrustStore::mozilla().anchors {
            let (_, root) = X509Certificate::from_der(&anchor).unwrap();
            assert_eq!(check(&root, &root), Checked::Right, "{}", root.subject());
        }
    }
}
