//! The ServerKeyExchange of TLS 1.2 and older: what is computed with, and the server's signature over it.

use tls_parser::{ECParametersContent, TlsCipherAu as Au, TlsCipherKx as Kx, TlsCipherSuite, parse_dh_params, parse_ecdh_params};

use super::cursor::Cursor;
use crate::tls::{Authentication, Group, SignatureScheme, Suite, Version};

/// A ServerKeyExchange (RFC 5246, 7.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyExchange {
    /// What is computed with.
    pub parameters: Parameters,
    /// The server's signature; none where the suite is anonymous, or of a kind that is not read here.
    pub signature: Option<Signature>,
}

/// The public parameters of a key exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Diffie-Hellman over integers; big-endian, leading zeros as they were sent.
    FiniteField {
        /// The modulus.
        prime: Vec<u8>,
        /// The generator.
        generator: Vec<u8>,
    },
    /// Diffie-Hellman over a named curve.
    Curve(Group),
    /// Over a curve that the server describes itself (RFC 4492, 5.4; prohibited by RFC 8422, 5.1.1).
    ExplicitCurve,
    /// A temporary RSA key of the export suites (RFC 2246, 7.4.3).
    Rsa {
        /// The modulus, big-endian.
        modulus: Vec<u8>,
    },
    /// Of a key exchange that no mail server uses: a password, a shared key and nothing else.
    Other,
}

/// A signature over both randoms and the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The scheme, which is said since TLS 1.2.
    pub scheme: Option<SignatureScheme>,
    /// The bytes of the parameters as they were sent and signed.
    pub parameters: Vec<u8>,
    /// The signature itself.
    pub bytes: Vec<u8>,
}

/// Reads the body of a ServerKeyExchange; `None` where it is malformed.
pub(crate) fn read(body: &[u8], suite: Suite, version: Version) -> Option<KeyExchange> {
    let Some(registered) = u16::try_from(suite.0).ok().and_then(TlsCipherSuite::from_id) else {
        return Some(KeyExchange { parameters: Parameters::Other, signature: None });
    };
    let body = past_identity_hint(body, suite)?;
    let has_shared_key = has_identity_hint(suite);
    let is_unsigned = suite.authentication() == Authentication::Anonymous || has_shared_key;
    if (suite.authentication() == Authentication::Other && !has_shared_key) || registered.name.contains("_SRP_") {
        return Some(KeyExchange { parameters: Parameters::Other, signature: None });
    }
    let (rest, parameters) = match registered.kx {
        Kx::Dhe | Kx::Dh => {
            let (rest, dh) = parse_dh_params(body).ok()?;
            (rest, Parameters::FiniteField { prime: dh.dh_p.to_vec(), generator: dh.dh_g.to_vec() })
        }
        Kx::Ecdhe | Kx::Ecdh => {
            let (rest, ecdh) = parse_ecdh_params(body).ok()?;
            let parameters = match ecdh.curve_params.params_content {
                ECParametersContent::NamedGroup(group) => Parameters::Curve(Group(group.0)),
                ECParametersContent::ExplicitPrime(_) => Parameters::ExplicitCurve,
            };
            (rest, parameters)
        }
        Kx::Rsa => {
            let mut cursor = Cursor(body);
            let modulus = cursor.vec16()?.to_vec();
            cursor.vec16()?;
            (cursor.0, Parameters::Rsa { modulus })
        }
        _ => return Some(KeyExchange { parameters: Parameters::Other, signature: None }),
    };
    let signed = &body[..body.len() - rest.len()];
    let mut cursor = Cursor(rest);
    let signature = if is_unsigned {
        None
    } else {
        let scheme = if version >= Version::Tls12 { Some(SignatureScheme(cursor.u16()?)) } else { None };
        Some(Signature { scheme, parameters: signed.to_vec(), bytes: cursor.vec16()?.to_vec() })
    };
    cursor.is_empty().then_some(KeyExchange { parameters, signature })
}

/// What is behind the hint at the shared key, where the suite is of Diffie-Hellman with one (RFC 4279, 3; RFC 5489, 2);
/// `None` where it is malformed.
pub(crate) fn past_identity_hint(body: &[u8], suite: Suite) -> Option<&[u8]> {
    let mut cursor = Cursor(body);
    if has_identity_hint(suite) {
        cursor.vec16()?;
    }
    Some(cursor.0)
}

fn has_identity_hint(suite: Suite) -> bool {
    let registered = u16::try_from(suite.0).ok().and_then(TlsCipherSuite::from_id);
    registered.is_some_and(|known| known.au == Au::Psk && matches!(known.kx, Kx::Dhe | Kx::Ecdhe))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECDHE: Suite = Suite(0xc02f);
    const DHE: Suite = Suite(0x0033);
    const DH_ANON: Suite = Suite(0x0034);
    const EXPORT: Suite = Suite(0x0003);

    #[test]
    fn a_curve_with_a_signature() {
        let body = [3, 0, 0x1d, 2, 5, 6, 0x08, 0x04, 0, 3, 7, 8, 9];
        let read = super::read(&body, ECDHE, Version::Tls12).unwrap();
        assert_eq!(read.parameters, Parameters::Curve(Group(0x1d)));
        let signature = read.signature.unwrap();
        assert_eq!(signature.scheme, Some(SignatureScheme(0x0804)));
        assert_eq!((signature.parameters.as_slice(), signature.bytes.as_slice()), (&body[..6], &[7, 8, 9][..]));
        assert_eq!(super::read(&body[..12], ECDHE, Version::Tls12), None, "cut short");
        assert_eq!(super::read(&[&body[..], &[0]].concat(), ECDHE, Version::Tls12), None, "bytes left over");
    }

    #[test]
    fn a_prime_with_and_without_a_signature() {
        let body = [0, 2, 0xab, 0xcd, 0, 1, 2, 0, 2, 1, 1];
        let expected = Parameters::FiniteField { prime: vec![0xab, 0xcd], generator: vec![2] };
        let anonymous = super::read(&body, DH_ANON, Version::Tls10).unwrap();
        assert_eq!(anonymous, KeyExchange { parameters: expected.clone(), signature: None });
        let signed = super::read(&[&body[..], &[0, 1, 9]].concat(), DHE, Version::Tls11).unwrap();
        assert_eq!(signed.parameters, expected);
        assert_eq!(signed.signature.unwrap().scheme, None);
    }

    #[test]
    fn a_shared_key_besides() {
        let (ecdhe_psk, dhe_psk, rsa_psk) = (Suite(0xc035), Suite(0x0090), Suite(0x0094));
        let read = |body: &[u8], suite| super::read(body, suite, Version::Tls12);
        let unsigned = |parameters| Some(KeyExchange { parameters, signature: None });
        assert_eq!(read(&[0, 1, b'x', 3, 0, 0x17, 2, 5, 6], ecdhe_psk), unsigned(Parameters::Curve(Group(0x17))));
        let finite = Parameters::FiniteField { prime: vec![0xab], generator: vec![2] };
        assert_eq!(read(&[0, 0, 0, 1, 0xab, 0, 1, 2, 0, 1, 1], dhe_psk), unsigned(finite));
        assert_eq!(read(&[0, 1, b'x'], rsa_psk), unsigned(Parameters::Other));
        assert_eq!(read(&[0, 9, b'x'], ecdhe_psk), None, "cut short");
    }

    #[test]
    fn a_temporary_rsa_key() {
        let read = super::read(&[0, 2, 0xab, 0xcd, 0, 1, 3, 0, 1, 9], EXPORT, Version::Ssl3).unwrap();
        assert_eq!(read.parameters, Parameters::Rsa { modulus: vec![0xab, 0xcd] });
    }
}
