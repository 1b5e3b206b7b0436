//! ECDSA on any curve and over any digest, which no library for TLS verifies: only whether the server holds the key of
//! its certificate hangs on it.

use ecdsa::hazmat::verify_prehashed;
use p256::elliptic_curve::PublicKey;
use x509_parser::der_parser::{asn1_rs::Oid, oid};

/// Whether a signature in DER over a digest is right; none where the curve is not known here either, or where the point
/// is none of the curve.
pub(super) fn verify(curve: &Oid, point: &[u8], digest: &[u8], signed: &[u8]) -> Option<bool> {
    macro_rules! verify {
        ($curve:ty) => {{
            let key = PublicKey::<$curve>::from_sec1_bytes(point).ok()?;
            // Some call the larger of two possible values of s wrong (BIP 62); TLS does not.
            let signature = ecdsa::Signature::<$curve>::from_der(signed).map(|signature| signature.normalize_s());
            Some(signature.is_ok_and(|signature| verify_prehashed(&key.to_projective(), digest, &signature).is_ok()))
        }};
    }
    // RFC 5480, 2.1.1.1; SEC 2, 2.4.1; RFC 5639, 4.1.
    if *curve == oid!(1.2.840.10045.3.1.7) {
        verify!(p256::NistP256)
    } else if *curve == oid!(1.3.132.0.34) {
        verify!(p384::NistP384)
    } else if *curve == oid!(1.3.132.0.35) {
        verify!(p521::NistP521)
    } else if *curve == oid!(1.2.840.10045.3.1.1) {
        verify!(p192::NistP192)
    } else if *curve == oid!(1.3.132.0.33) {
        verify!(p224::NistP224)
    } else if *curve == oid!(1.3.132.0.10) {
        verify!(k256::Secp256k1)
    } else if *curve == oid!(1.3.36.3.3.2.8.1.1.7) {
        verify!(bp256::BrainpoolP256r1)
    } else if *curve == oid!(1.3.36.3.3.2.8.1.1.11) {
        verify!(bp384::BrainpoolP384r1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use ecdsa::hazmat::sign_prehashed_rfc6979;
    use p256::elliptic_curve::Generate as _;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_right_signature_is_told_from_a_wrong_one() {
        let secret = k256::SecretKey::generate_from_rng(&mut rand::rng());
        let digest = Sha256::digest(b"message");
        let (signature, _) = sign_prehashed_rfc6979::<k256::Secp256k1, Sha256>(&secret.to_nonzero_scalar(), &digest, &[]);
        let (point, signed) = (secret.public_key().to_sec1_bytes(), signature.to_der());
        let verify = |digest: &[u8], signed: &[u8]| super::verify(&oid!(1.3.132.0.10), &point, digest, signed);
        assert_eq!(verify(&digest, signed.as_bytes()), Some(true));
        assert_eq!(verify(&Sha256::digest(b"another"), signed.as_bytes()), Some(false));
        assert_eq!(verify(&digest, b"no signature"), Some(false));
        assert_eq!(super::verify(&oid!(1.3.132.0.10), &[4; 65], &digest, signed.as_bytes()), None);
        assert_eq!(super::verify(&oid!(1.3.132.0.1), &point, &digest, signed.as_bytes()), None);
    }
}
