//! Does the server hold the key of its certificate? Its signature over the handshake says,
//! whatever one thinks of that certificate.
//!
//! webpki would refuse to look at a weak key, a v1 certificate or an expired one. Here only
//! the signature is verified: on any curve and with any hash, and with RSA keys of any size.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use md5::Md5;
use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey, pss::Pss};
use rustls::SignatureScheme;
use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use x509_parser::{
    oid_registry::OID_PKCS1_RSASSAPSS,
    prelude::{FromDer as _, X509Certificate},
    public_key::{PublicKey as SubjectKey, RSAPublicKey},
    x509::SubjectPublicKeyInfo,
};

use super::ecdsa;
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

/// SHA-224 up to TLS 1.2 (RFC 5246, 7.4.1.4.1).
const RSA_PKCS1_SHA224: SignatureScheme = SignatureScheme::Unknown(0x0301);
const ECDSA_SHA224: SignatureScheme = SignatureScheme::Unknown(0x0303);

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
    if let Some(digest) = ecdsa_digest(message, scheme) {
        let curve = key.algorithm.parameters().and_then(|any| any.as_oid().ok());
        let right = curve.and_then(|curve| ecdsa::verify(&curve, &key.subject_public_key.data, &digest, signed));
        return right.ok_or_else(|| "this build cannot verify it with a key like that of the certificate".to_owned());
    }
    if scheme == SignatureScheme::ED25519 {
        return Ok(UnparsedPublicKey::new(&ED25519, &key.subject_public_key.data).verify(message, signed).is_ok());
    }
    match rsa_of(key) {
        Some(rsa) => is_right_rsa(message, rsa.modulus, rsa.exponent, scheme, signed),
        None => Err("it does not fit the key of the certificate".to_owned()),
    }
}

/// The curve comes from the certificate and only the hash from the scheme: up to TLS 1.2 the scheme
/// that TLS 1.3 calls ecdsa_secp384r1_sha384 is SHA-384 on any curve (RFC 8446, 4.2.3). None where it is no such scheme.
fn ecdsa_digest(message: &[u8], scheme: SignatureScheme) -> Option<Vec<u8>> {
    Some(match scheme {
        SignatureScheme::ECDSA_SHA1_Legacy => Sha1::digest(message).to_vec(),
        ECDSA_SHA224 => Sha224::digest(message).to_vec(),
        SignatureScheme::ECDSA_NISTP256_SHA256 => Sha256::digest(message).to_vec(),
        SignatureScheme::ECDSA_NISTP384_SHA384 => Sha384::digest(message).to_vec(),
        SignatureScheme::ECDSA_NISTP521_SHA512 => Sha512::digest(message).to_vec(),
        _ => return None,
    })
}

fn is_right_rsa(message: &[u8], modulus: &[u8], exponent: &[u8], scheme: SignatureScheme, signed: &[u8]) -> Result<bool, String> {
    let key = rsa_key(modulus, exponent)?;
    let verified = match scheme {
        SignatureScheme::RSA_PSS_SHA256 | PSS_PSS_SHA256 => key.verify(Pss::<Sha256>::new(), &Sha256::digest(message), signed),
        SignatureScheme::RSA_PSS_SHA384 | PSS_PSS_SHA384 => key.verify(Pss::<Sha384>::new(), &Sha384::digest(message), signed),
        SignatureScheme::RSA_PSS_SHA512 | PSS_PSS_SHA512 => key.verify(Pss::<Sha512>::new(), &Sha512::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signed),
        RSA_PKCS1_SHA224 => key.verify(Pkcs1v15Sign::new::<Sha224>(), &Sha224::digest(message), signed),
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
