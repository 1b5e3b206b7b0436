//! Does the server hold the key of its certificate? Its signature over the handshake says,
//! whatever one thinks of that certificate.
//!
//! webpki would refuse to look at a weak key, a v1 certificate or an expired one. Here only
//! the signature is verified: with aws-lc for curves, with the `rsa` crate for RSA of any size.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use md5::Md5;
use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey, pss::Pss};
use rustls::SignatureScheme;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_parser::{
    der_parser::{asn1_rs::Oid, oid},
    oid_registry::OID_PKCS1_RSASSAPSS,
    prelude::{FromDer as _, X509Certificate},
    public_key::{PublicKey as SubjectKey, RSAPublicKey},
    x509::SubjectPublicKeyInfo,
};

use super::odd_curve;
use crate::{facts::Possession, tls};

/// The schemes that the ClientHello offers, best first; the last ones for servers that know
/// nothing better. PKCS#1 with SHA-256 stands before its longer sisters, since OpenSSL takes the
/// first one without a look at whether a 512-bit key has room for it.
pub(super) const OFFERED: [SignatureScheme; 13] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// The schemes of keys that sign with PSS alone (RFC 8446, 4.2.3), which rustls has no names for.
const PSS_PSS_SHA256: SignatureScheme = SignatureScheme::Unknown(0x0809);
const PSS_PSS_SHA384: SignatureScheme = SignatureScheme::Unknown(0x080a);
const PSS_PSS_SHA512: SignatureScheme = SignatureScheme::Unknown(0x080b);

/// The named curves of RFC 5480, 2.1.1.1.
const P256: Oid = oid!(1.2.840.10045.3.1.7);
const P384: Oid = oid!(1.3.132.0.34);
const P521: Oid = oid!(1.3.132.0.35);

/// RSA moduli that are verified, in bits. Larger ones would cost a hostile server nothing and us much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 512..=16384;

/// Verifies the server's signature over `message` with the key of its certificate.
pub(crate) fn verify(message: &[u8], certificate: &[u8], scheme: SignatureScheme, signed: &[u8]) -> Possession {
    let name = scheme_name(scheme);
    match is_right(message, certificate, scheme, signed) {
        Ok(true) => Possession::Proven(name),
        Ok(false) => Possession::Refuted(name),
        Err(why) => Possession::NotVerified(format!("{name}: {why}")),
    }
}

/// Verifies the signature of a ServerKeyExchange, whose scheme is said only since TLS 1.2. Before, it was MD5 and
/// SHA-1 side by side for RSA, and SHA-1 for all else (RFC 4346, 7.4.3; RFC 8422, 5.4).
pub(crate) fn verify_key_exchange(
    message: &[u8],
    certificate: &[u8],
    scheme: Option<tls::SignatureScheme>,
    signed: &[u8],
) -> Possession {
    if let Some(scheme) = scheme {
        return verify(message, certificate, SignatureScheme::from(scheme.0), signed);
    }
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Possession::NotVerified("the certificate cannot be parsed".to_owned());
    };
    match parsed.public_key().parsed() {
        Ok(SubjectKey::RSA(rsa)) => {
            let name = "rsa_pkcs1_md5_sha1".to_owned();
            let digests = [&Md5::digest(message)[..], &Sha1::digest(message)[..]].concat();
            match rsa_key(rsa.modulus, rsa.exponent) {
                Ok(key) if key.verify(Pkcs1v15Sign::new_unprefixed(), &digests, signed).is_ok() => Possession::Proven(name),
                Ok(_) => Possession::Refuted(name),
                Err(why) => Possession::NotVerified(format!("{name}: {why}")),
            }
        }
        Ok(SubjectKey::EC(_)) => verify(message, certificate, SignatureScheme::ECDSA_SHA1_Legacy, signed),
        _ => Possession::NotVerified("this build cannot verify it with a key like that of the certificate".to_owned()),
    }
}

/// The RSA key, whether it is bound to PSS or not (RFC 4055, 1.2).
fn rsa_of<'a>(key: &'a SubjectPublicKeyInfo) -> Option<RSAPublicKey<'a>> {
    match key.parsed() {
        Ok(SubjectKey::RSA(rsa)) => Some(rsa),
        _ if key.algorithm.algorithm == OID_PKCS1_RSASSAPSS => {
            RSAPublicKey::from_der(&key.subject_public_key.data).ok().map(|(_, rsa)| rsa)
        }
        _ => None,
    }
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, String> {
    let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
    PublicKey::new_with_size_limits(number(modulus), number(exponent), RSA_BITS).map_err(|error| error.to_string())
}

fn is_right(message: &[u8], certificate: &[u8], scheme: SignatureScheme, signed: &[u8]) -> Result<bool, String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| "the certificate cannot be parsed".to_owned())?;
    let key = certificate.public_key();
    if let Some(right) = on_odd_curve(message, key, scheme, signed) {
        return Ok(right);
    }
    let algorithm: &dyn VerificationAlgorithm = match scheme {
        SignatureScheme::ED25519 => &signature::ED25519,
        SignatureScheme::ECDSA_NISTP256_SHA256 => ecdsa(key, Hash::Sha256)?,
        SignatureScheme::ECDSA_NISTP384_SHA384 => ecdsa(key, Hash::Sha384)?,
        SignatureScheme::ECDSA_NISTP521_SHA512 => ecdsa(key, Hash::Sha512)?,
        SignatureScheme::ECDSA_SHA1_Legacy => ecdsa(key, Hash::Sha1)?,
        _ => {
            let Some(rsa) = rsa_of(key) else {
                return Err("it does not fit the key of the certificate".to_owned());
            };
            return is_right_rsa(message, rsa.modulus, rsa.exponent, scheme, signed);
        }
    };
    Ok(UnparsedPublicKey::new(algorithm, &key.subject_public_key.data).verify(message, signed).is_ok())
}

/// The hash of an ECDSA scheme.
#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// The curve comes from the certificate and only the hash from the scheme: up to TLS 1.2 the scheme
/// that TLS 1.3 calls ecdsa_secp384r1_sha384 is SHA-384 on any curve (RFC 8446, 4.2.3).
fn ecdsa(key: &SubjectPublicKeyInfo, hash: Hash) -> Result<&'static dyn VerificationAlgorithm, String> {
    use signature as s;
    let named = key.algorithm.parameters().and_then(|any| any.as_oid().ok());
    let is = |curve: Oid| named.as_ref() == Some(&curve);
    let algorithm: &dyn VerificationAlgorithm = match hash {
        Hash::Sha1 if is(P256) => &s::ECDSA_P256_SHA1_ASN1,
        Hash::Sha256 if is(P256) => &s::ECDSA_P256_SHA256_ASN1,
        Hash::Sha384 if is(P256) => &s::ECDSA_P256_SHA384_ASN1,
        Hash::Sha512 if is(P256) => &s::ECDSA_P256_SHA512_ASN1,
        Hash::Sha256 if is(P384) => &s::ECDSA_P384_SHA256_ASN1,
        Hash::Sha384 if is(P384) => &s::ECDSA_P384_SHA384_ASN1,
        Hash::Sha512 if is(P384) => &s::ECDSA_P384_SHA512_ASN1,
        Hash::Sha1 if is(P521) => &s::ECDSA_P521_SHA1_ASN1,
        Hash::Sha256 if is(P521) => &s::ECDSA_P521_SHA256_ASN1,
        Hash::Sha384 if is(P521) => &s::ECDSA_P521_SHA384_ASN1,
        Hash::Sha512 if is(P521) => &s::ECDSA_P521_SHA512_ASN1,
        _ => return Err("this build cannot verify it with a key like that of the certificate".to_owned()),
    };
    Ok(algorithm)
}

/// The same where the key is on a curve that aws-lc does not know; none where it is not.
fn on_odd_curve(message: &[u8], key: &SubjectPublicKeyInfo, scheme: SignatureScheme, signed: &[u8]) -> Option<bool> {
    let digest = match scheme {
        SignatureScheme::ECDSA_SHA1_Legacy => Sha1::digest(message).to_vec(),
        SignatureScheme::ECDSA_NISTP256_SHA256 => Sha256::digest(message).to_vec(),
        SignatureScheme::ECDSA_NISTP384_SHA384 => Sha384::digest(message).to_vec(),
        SignatureScheme::ECDSA_NISTP521_SHA512 => Sha512::digest(message).to_vec(),
        _ => return None,
    };
    let named = key.algorithm.parameters()?.as_oid().ok()?;
    odd_curve::verify(&named, &key.subject_public_key.data, &digest, signed)
}

fn is_right_rsa(message: &[u8], modulus: &[u8], exponent: &[u8], scheme: SignatureScheme, signed: &[u8]) -> Result<bool, String> {
    let key = rsa_key(modulus, exponent)?;
    let verified = match scheme {
        SignatureScheme::RSA_PSS_SHA256 | PSS_PSS_SHA256 => key.verify(Pss::<Sha256>::new(), &Sha256::digest(message), signed),
        SignatureScheme::RSA_PSS_SHA384 | PSS_PSS_SHA384 => key.verify(Pss::<Sha384>::new(), &Sha384::digest(message), signed),
        SignatureScheme::RSA_PSS_SHA512 | PSS_PSS_SHA512 => key.verify(Pss::<Sha512>::new(), &Sha512::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA1 => key.verify(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message), signed),
        _ => return Err("this build cannot verify it".to_owned()),
    };
    Ok(verified.is_ok())
}

/// The IANA name (RFC 8446, 4.2.3).
fn scheme_name(scheme: SignatureScheme) -> String {
    match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => "ecdsa_secp256r1_sha256",
        SignatureScheme::ECDSA_NISTP384_SHA384 => "ecdsa_secp384r1_sha384",
        SignatureScheme::ECDSA_NISTP521_SHA512 => "ecdsa_secp521r1_sha512",
        SignatureScheme::ECDSA_SHA1_Legacy => "ecdsa_sha1",
        SignatureScheme::ED25519 => "ed25519",
        SignatureScheme::ED448 => "ed448",
        SignatureScheme::RSA_PSS_SHA256 => "rsa_pss_rsae_sha256",
        SignatureScheme::RSA_PSS_SHA384 => "rsa_pss_rsae_sha384",
        SignatureScheme::RSA_PSS_SHA512 => "rsa_pss_rsae_sha512",
        SignatureScheme::RSA_PKCS1_SHA1 => "rsa_pkcs1_sha1",
        SignatureScheme::RSA_PKCS1_SHA256 => "rsa_pkcs1_sha256",
        SignatureScheme::RSA_PKCS1_SHA384 => "rsa_pkcs1_sha384",
        SignatureScheme::RSA_PKCS1_SHA512 => "rsa_pkcs1_sha512",
        other => return tls::SignatureScheme(u16::from(other)).to_string(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SigningKey as _};
    use rstest::rstest;

    use super::*;

    fn signed_by(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(["mx.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.der().to_vec(), key.sign(b"the handshake").unwrap())
    }

    #[rstest]
    #[case(&PKCS_ECDSA_P256_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256, "ecdsa_secp256r1_sha256")]
    #[case(&PKCS_ECDSA_P384_SHA384, SignatureScheme::ECDSA_NISTP384_SHA384, "ecdsa_secp384r1_sha384")]
    #[case(&PKCS_ED25519, SignatureScheme::ED25519, "ed25519")]
    fn a_right_signature_is_proof_and_a_wrong_one_is_none(
        #[case] algorithm: &'static rcgen::SignatureAlgorithm,
        #[case] scheme: SignatureScheme,
        #[case] name: &str,
    ) {
        let (certificate, signature) = signed_by(algorithm);
        assert_eq!(verify(b"the handshake", &certificate, scheme, &signature), Possession::Proven(name.to_owned()));
        assert_eq!(verify(b"another one", &certificate, scheme, &signature), Possession::Refuted(name.to_owned()));
        assert_eq!(verify(b"the handshake", &certificate, scheme, b"junk"), Possession::Refuted(name.to_owned()));
    }

    /// RFC 8446, 4.2.3: up to TLS 1.2 the scheme names the hash and says nothing of the curve.
    #[test]
    fn a_hash_on_another_curve_is_verified_with_the_curve_of_the_certificate() {
        use aws_lc_rs::{
            rand::SystemRandom,
            signature::{ECDSA_P521_SHA384_ASN1_SIGNING, EcdsaKeyPair},
        };
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let certificate = CertificateParams::new(["mx.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P521_SHA384_ASN1_SIGNING, key.serialized_der()).unwrap();
        let signature = signer.sign(&SystemRandom::new(), b"the handshake").unwrap();
        let verified = verify(b"the handshake", certificate.der(), SignatureScheme::ECDSA_NISTP384_SHA384, signature.as_ref());
        assert_eq!(verified, Possession::Proven("ecdsa_secp384r1_sha384".to_owned()));
    }

    #[test]
    fn what_cannot_be_verified_is_not_refuted() {
        let (certificate, signature) = signed_by(&PKCS_ED25519);
        for scheme in [SignatureScheme::ED448, SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256] {
            let verified = verify(b"the handshake", &certificate, scheme, &signature);
            assert!(matches!(verified, Possession::NotVerified(_)), "{verified:?}");
        }
        assert!(matches!(verify(b"x", b"junk", SignatureScheme::ED25519, b"y"), Possession::NotVerified(_)));
    }
}
