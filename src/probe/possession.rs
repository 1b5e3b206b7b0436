//! Does the server hold the key of its certificate? Its signature over the handshake says,
//! whatever one thinks of that certificate.
//!
//! webpki would refuse to look at a weak key, a v1 certificate or an expired one. Here only
//! the signature is verified: with aws-lc for curves, with the `rsa` crate for RSA of any size.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey, pss::Pss};
use rustls::SignatureScheme;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_parser::{
    prelude::{FromDer as _, X509Certificate},
    public_key::PublicKey as SubjectKey,
};

use crate::facts::Possession;

/// The schemes that the ClientHello offers, best first; the last ones for servers that know
/// nothing better.
pub(super) const OFFERED: [SignatureScheme; 13] = [
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ED448,
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// RSA moduli that are verified, in bits. Larger ones would cost a hostile server nothing and us much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 512..=16384;

/// Verifies the server's signature over `message` with the key of its certificate.
pub(super) fn verify(message: &[u8], certificate: &[u8], scheme: SignatureScheme, signed: &[u8]) -> Possession {
    let name = scheme_name(scheme);
    match is_right(message, certificate, scheme, signed) {
        Ok(true) => Possession::Proven(name),
        Ok(false) => Possession::Refuted(name),
        Err(why) => Possession::NotVerified(format!("{name}: {why}")),
    }
}

fn is_right(message: &[u8], certificate: &[u8], scheme: SignatureScheme, signed: &[u8]) -> Result<bool, String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| "the certificate cannot be parsed".to_owned())?;
    let key = certificate.public_key();
    let curve: &dyn VerificationAlgorithm = match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => &signature::ECDSA_P256_SHA256_ASN1,
        SignatureScheme::ECDSA_NISTP384_SHA384 => &signature::ECDSA_P384_SHA384_ASN1,
        SignatureScheme::ECDSA_NISTP521_SHA512 => &signature::ECDSA_P521_SHA512_ASN1,
        SignatureScheme::ED25519 => &signature::ED25519,
        SignatureScheme::ED448 | SignatureScheme::ECDSA_SHA1_Legacy => {
            return Err("this build cannot verify it".to_owned());
        }
        _ => {
            let Ok(SubjectKey::RSA(rsa)) = key.parsed() else { return Ok(false) };
            return is_right_rsa(message, rsa.modulus, rsa.exponent, scheme, signed);
        }
    };
    Ok(UnparsedPublicKey::new(curve, &key.subject_public_key.data).verify(message, signed).is_ok())
}

fn is_right_rsa(message: &[u8], modulus: &[u8], exponent: &[u8], scheme: SignatureScheme, signed: &[u8]) -> Result<bool, String> {
    let number = |bytes: &[u8]| BoxedUint::from_be_slice_vartime(bytes);
    let key = PublicKey::new_with_size_limits(number(modulus), number(exponent), RSA_BITS).map_err(|error| error.to_string())?;
    let verified = match scheme {
        SignatureScheme::RSA_PSS_SHA256 => key.verify(Pss::<Sha256>::new(), &Sha256::digest(message), signed),
        SignatureScheme::RSA_PSS_SHA384 => key.verify(Pss::<Sha384>::new(), &Sha384::digest(message), signed),
        SignatureScheme::RSA_PSS_SHA512 => key.verify(Pss::<Sha512>::new(), &Sha512::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA256 => key.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA384 => key.verify(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA512 => key.verify(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message), signed),
        SignatureScheme::RSA_PKCS1_SHA1 => key.verify(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message), signed),
        _ => return Err("this build does not know it".to_owned()),
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
        other => return format!("{:#06x}", u16::from(other)),
    }
    .to_owned()
}
