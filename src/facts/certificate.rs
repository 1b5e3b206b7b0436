//! A certificate as it was sent, and what it says.

use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::{
    der_parser::{
        asn1_rs::{FromDer as _, Oid, Tag},
        oid,
    },
    extensions::{DistributionPointName, GeneralName, ParsedExtension},
    oid_registry::{
        OID_HASH_SHA1, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512,
        OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS, OID_SIG_ED448, OID_SIG_ED25519,
    },
    prelude::X509Certificate,
    public_key::RSAPublicKey,
    signature_algorithm::RsaSsaPssParams,
};

use super::{
    distinguished,
    encoded::{Details, Encoded, words},
};
use crate::wire::WireText;

/// One certificate of a chain.
pub type Certificate = Encoded<CertificateDetails>;

/// What a certificate says. Texts are escaped.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct CertificateDetails {
    /// The subject as text; a value that could pass for more stands in quotes (RFC 1779, 2.3).
    pub subject: WireText,
    /// The issuer, likewise.
    pub issuer: WireText,
    /// Every CN of the subject.
    pub common_names: Vec<WireText>,
    /// The subject alternative names, in order.
    pub subject_alt_names: Vec<SanEntry>,
    /// The first moment of validity.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub not_before: OffsetDateTime,
    /// The last moment of validity (RFC 5280, 4.1.2.5: inclusive).
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub not_after: OffsetDateTime,
    /// The subject's public key.
    pub key: PublicKey,
    /// The algorithm of the issuer's signature, by its usual name or OID.
    pub signature_algorithm: String,
    /// The hash of that signature, where it is known.
    pub signature_hash: SignatureHash,
    /// Whether the basic constraints say CA.
    pub is_ca: bool,
    /// 1 to 3.
    pub version: u32,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// Where the issuer's certificate can be fetched: the caIssuers of the AIA (RFC 5280, 4.2.2.1).
    pub ca_issuers: Vec<WireText>,
    /// Whom to ask by OCSP whether it was revoked (RFC 5280, 4.2.2.1).
    pub ocsp_responders: Vec<WireText>,
    /// Where the list of the revoked is that it would stand on (RFC 5280, 4.2.1.13).
    pub crl_places: Vec<WireText>,
    /// Whether it demands that a server staples an OCSP response (RFC 7633).
    pub must_staple: bool,
    /// How many signed certificate timestamps it holds (RFC 6962, 3.3).
    pub timestamps: usize,
    /// The SHA-256 of the DER in hexadecimal.
    pub sha256: String,
}

/// One subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SanEntry {
    /// A dNSName.
    Dns(WireText),
    /// An iPAddress.
    Ip(String),
    /// Anything else, by kind.
    Other(WireText),
}

/// A public key: its kind and strength.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PublicKey {
    /// The kind.
    pub algorithm: KeyAlgorithm,
    /// What is odd about a key of that kind, or what another kind is called; none where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<&'static str>,
    /// The size in bits: of the modulus, or of the curve's order. 0 where unknown.
    pub bits: usize,
    /// The usual name of the curve, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve: Option<&'static str>,
    /// The public exponent of RSA; none for other keys, and for one of more than 64 bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exponent: Option<u64>,
    /// The modulus of RSA in hexadecimal; empty for other keys.
    #[serde(skip)]
    pub modulus: String,
    /// The SHA-256 of the SubjectPublicKeyInfo in hexadecimal.
    pub sha256: String,
}

/// Kinds of public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyAlgorithm {
    /// RSA.
    Rsa,
    /// RSA that may sign with PSS alone (RFC 4055, 1.2).
    RsaPss,
    /// An elliptic curve key for ECDSA.
    Ec,
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// DSA or anything else.
    Other,
}

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureHash {
    /// Broken since 2004.
    Md5,
    /// Broken since 2017.
    Sha1,
    /// 112 bits of collision resistance.
    Sha224,
    /// SHA-256, SHA-384 or SHA-512, or one that the algorithm fixes (Ed25519).
    Strong,
    /// An algorithm that this build does not know.
    Unknown,
}

impl PublicKey {
    /// Whether it is an RSA key, whatever it may sign with.
    pub fn is_rsa(&self) -> bool {
        matches!(self.algorithm, KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss)
    }

    /// Whether it is on one of the three curves that senders offer by default.
    pub fn is_on_common_curve(&self) -> bool {
        matches!(self.curve, Some("P-256" | "P-384" | "P-521"))
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.algorithm, self.curve, self.variant) {
            (KeyAlgorithm::Rsa, ..) => write!(f, "RSA {} bits", self.bits),
            (KeyAlgorithm::RsaPss, ..) => write!(f, "RSA {} bits, for RSASSA-PSS alone", self.bits),
            (KeyAlgorithm::Ec, Some(curve), _) => write!(f, "EC {curve}"),
            (KeyAlgorithm::Ec, None, Some(variant)) => write!(f, "EC {variant}"),
            (KeyAlgorithm::Ec, None, None) => f.write_str("EC on an unknown curve"),
            (KeyAlgorithm::Ed25519, ..) => f.write_str("Ed25519"),
            (KeyAlgorithm::Ed448, ..) => f.write_str("Ed448"),
            (KeyAlgorithm::Other, _, Some(name)) => f.write_str(name),
            (KeyAlgorithm::Other, _, None) => f.write_str("an unknown kind of key"),
        }
    }
}

impl std::fmt::Display for SanEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "{name}"),
            Self::Ip(address) => write!(f, "IP {address}"),
            Self::Other(text) => write!(f, "{text}"),
        }
    }
}

impl Details for CertificateDetails {
    const NAME: &str = "Certificate";

    fn parse(der: &[u8]) -> Result<Self, String> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| words(&error))?;
        if !rest.is_empty() {
            return Err(format!("{} bytes follow the certificate", rest.len()));
        }
        let mut subject_alt_names = Vec::new();
        let (mut ca_issuers, mut ocsp_responders, mut crl_places) = (Vec::new(), Vec::new(), Vec::new());
        let (mut must_staple, mut timestamps) = (false, 0);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(san) => subject_alt_names.extend(san.general_names.iter().map(san_entry)),
                ParsedExtension::AuthorityInfoAccess(access) => {
                    for description in &access.accessdescs {
                        let GeneralName::URI(place) = &description.access_location else { continue };
                        if description.access_method == oid!(1.3.6.1.5.5.7.48.2) {
                            ca_issuers.push(WireText::from(*place));
                        } else if description.access_method == oid!(1.3.6.1.5.5.7.48.1) {
                            ocsp_responders.push(WireText::from(*place));
                        }
                    }
                }
                ParsedExtension::CRLDistributionPoints(points) => {
                    // Lists of another issuer, or for some reasons only, do not decide.
                    let whole = points.iter().filter(|point| point.reasons.is_none() && point.crl_issuer.is_none());
                    for point in whole {
                        let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { continue };
                        crl_places.extend(names.iter().filter_map(|name| match name {
                            GeneralName::URI(place) => Some(WireText::from(*place)),
                            _ => None,
                        }));
                    }
                }
                ParsedExtension::SCT(list) => timestamps += list.len(),
                _ if extension.oid == oid!(1.3.6.1.5.5.7.1.24) => must_staple |= has_status_request(extension.value),
                // A name that cannot be read might be the right one, a constraint the one that matters.
                ParsedExtension::ParseError { error } if decides(&extension.oid) => {
                    return Err(format!("its extension {} cannot be read: {}", extension.oid.to_id_string(), words(error)));
                }
                _ => {}
            }
        }
        let validity = certificate.validity();
        let (signature_algorithm, signature_hash) = signature(&certificate);
        Ok(Self {
            subject: distinguished::text(certificate.subject()),
            issuer: distinguished::text(certificate.issuer()),
            common_names: distinguished::common_names(certificate.subject()),
            subject_alt_names,
            not_before: validity.not_before.to_datetime(),
            not_after: validity.not_after.to_datetime(),
            key: public_key(&certificate),
            signature_algorithm,
            signature_hash,
            is_ca: certificate.is_ca(),
            version: certificate.version().0.saturating_add(1),
            serial: hex(certificate.raw_serial()),
            ca_issuers,
            ocsp_responders,
            crl_places,
            must_staple,
            timestamps,
            sha256: hex(&Sha256::digest(der)),
        })
    }
}

impl CertificateDetails {
    /// The dNSName entries.
    pub fn dns_names(&self) -> impl Iterator<Item = &WireText> {
        self.subject_alt_names.iter().filter_map(|entry| match entry {
            SanEntry::Dns(name) => Some(name),
            _ => None,
        })
    }
}

/// Whether a list of TLS features (RFC 7633, 4) holds status_request, 5.
fn has_status_request(features: &[u8]) -> bool {
    Vec::<u16>::from_der(features).is_ok_and(|(_, features)| features.contains(&5))
}

/// Whether a verdict hangs on an extension: names, constraints and usages (RFC 5280, 4.2.1).
fn decides(oid: &Oid) -> bool {
    [oid!(2.5.29.15), oid!(2.5.29.17), oid!(2.5.29.19), oid!(2.5.29.30), oid!(2.5.29.37)].contains(oid)
}

fn san_entry(name: &GeneralName) -> SanEntry {
    match name {
        GeneralName::DNSName(dns) => SanEntry::Dns(WireText::from(*dns)),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => SanEntry::Ip(std::net::Ipv4Addr::from(v4).to_string()),
            (_, Ok(v6)) => SanEntry::Ip(std::net::Ipv6Addr::from(v6).to_string()),
            _ => SanEntry::Other(WireText::from("malformed IP address")),
        },
        // A dNSName in bytes that are no text.
        GeneralName::Invalid(Tag(2), bytes) => SanEntry::Dns(WireText::from_bytes(bytes)),
        other => SanEntry::Other(WireText::from(&*other.to_string())),
    }
}

fn public_key(certificate: &X509Certificate) -> PublicKey {
    let info = certificate.public_key();
    let oid = &info.algorithm.algorithm;
    let sha256 = hex(&Sha256::digest(info.raw));
    let other = |algorithm, bits| PublicKey {
        algorithm,
        variant: None,
        bits,
        curve: None,
        exponent: None,
        modulus: String::new(),
        sha256: sha256.clone(),
    };
    let algorithm = if *oid == OID_PKCS1_RSAENCRYPTION {
        KeyAlgorithm::Rsa
    } else if *oid == OID_PKCS1_RSASSAPSS {
        KeyAlgorithm::RsaPss
    } else if *oid == OID_KEY_TYPE_EC_PUBLIC_KEY {
        KeyAlgorithm::Ec
    } else if *oid == OID_SIG_ED25519 {
        return other(KeyAlgorithm::Ed25519, 256);
    } else if *oid == OID_SIG_ED448 {
        return other(KeyAlgorithm::Ed448, 456);
    } else {
        return PublicKey { variant: other_kind(oid), ..other(KeyAlgorithm::Other, 0) };
    };
    match algorithm {
        KeyAlgorithm::Ec => {
            let parameters = info.algorithm.parameters();
            let (bits, curve) = named_curve(parameters);
            // RFC 5480, 2.1.1: in certificates they must not be used.
            let is_explicit = parameters.is_some_and(|any| any.tag() == Tag::Sequence);
            PublicKey { curve, variant: is_explicit.then_some("with explicit parameters"), ..other(algorithm, bits) }
        }
        // The library knows the key by rsaEncryption only; with id-RSASSA-PSS it has the same form (RFC 4055, 1.2).
        KeyAlgorithm::Rsa | KeyAlgorithm::RsaPss => match RSAPublicKey::from_der(&info.subject_public_key.data) {
            Ok((_, key)) => {
                let exponent = key.try_exponent().ok();
                PublicKey { exponent, modulus: hex(key.modulus), ..other(algorithm, modulus_bits(key.modulus)) }
            }
            Err(_) => other(algorithm, 0),
        },
        _ => other(algorithm, 0),
    }
}

/// The exact size: a 2047-bit modulus is not a 2048-bit one.
fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus.iter().position(|byte| *byte != 0).map_or(&[][..], |first| &modulus[first..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

/// What a kind of key is called that TLS gave up or has not taken up yet (RFC 3279, 2.3.2; RFC 9881, 2).
fn other_kind(oid: &Oid) -> Option<&'static str> {
    let known: [(Oid, &str); 4] = [
        (oid!(1.2.840.10040.4.1), "DSA"),
        (oid!(2.16.840.1.101.3.4.3.17), "ML-DSA-44"),
        (oid!(2.16.840.1.101.3.4.3.18), "ML-DSA-65"),
        (oid!(2.16.840.1.101.3.4.3.19), "ML-DSA-87"),
    ];
    known.iter().find(|(known, _)| known == oid).map(|(_, name)| *name)
}

/// The size and the name of a named curve (RFC 5480, 2.1.1.1; RFC 5639, 4.1; SEC 2, 2.4.1).
fn named_curve(parameters: Option<&x509_parser::der_parser::asn1_rs::Any>) -> (usize, Option<&'static str>) {
    let curves: [(Oid, usize, &str); 9] = [
        (oid!(1.2.840.10045.3.1.1), 192, "P-192"),
        (oid!(1.3.132.0.33), 224, "P-224"),
        (oid!(1.2.840.10045.3.1.7), 256, "P-256"),
        (oid!(1.3.132.0.10), 256, "secp256k1"),
        (oid!(1.3.132.0.34), 384, "P-384"),
        (oid!(1.3.132.0.35), 521, "P-521"),
        (oid!(1.3.36.3.3.2.8.1.1.7), 256, "brainpoolP256r1"),
        (oid!(1.3.36.3.3.2.8.1.1.11), 384, "brainpoolP384r1"),
        (oid!(1.3.36.3.3.2.8.1.1.13), 512, "brainpoolP512r1"),
    ];
    let named = parameters.and_then(|any| any.as_oid().ok());
    let known = named.and_then(|named| curves.into_iter().find(|(oid, ..)| *oid == named));
    known.map_or((0, None), |(_, bits, name)| (bits, Some(name)))
}

/// The usual name of the signature algorithm, and its hash (RFC 3279, RFC 4055, RFC 5758, RFC 8410).
fn signature(certificate: &X509Certificate) -> (String, SignatureHash) {
    use SignatureHash::{Md5, Sha1, Sha224, Strong, Unknown};
    let algorithm = &certificate.signature_algorithm;
    if algorithm.algorithm == OID_PKCS1_RSASSAPSS {
        let hash = algorithm.parameters().and_then(|any| RsaSsaPssParams::try_from(any).ok()).map_or(Unknown, |params| {
            let oid = params.hash_algorithm_oid();
            if *oid == OID_NIST_HASH_SHA256 || *oid == OID_NIST_HASH_SHA384 || *oid == OID_NIST_HASH_SHA512 {
                Strong
            } else if *oid == oid!(2.16.840.1.101.3.4.2.4) {
                Sha224
            } else if *oid == OID_HASH_SHA1 {
                Sha1
            } else {
                Unknown
            }
        });
        return ("rsassaPss".to_owned(), hash);
    }
    let known: [(Oid, &str, SignatureHash); 13] = [
        (oid!(1.2.840.113549.1.1.4), "md5WithRSAEncryption", Md5),
        (oid!(1.2.840.113549.1.1.5), "sha1WithRSAEncryption", Sha1),
        (oid!(1.2.840.113549.1.1.14), "sha224WithRSAEncryption", Sha224),
        (oid!(1.2.840.113549.1.1.11), "sha256WithRSAEncryption", Strong),
        (oid!(1.2.840.113549.1.1.12), "sha384WithRSAEncryption", Strong),
        (oid!(1.2.840.113549.1.1.13), "sha512WithRSAEncryption", Strong),
        (oid!(1.2.840.10045.4.1), "ecdsa-with-SHA1", Sha1),
        (oid!(1.2.840.10045.4.3.1), "ecdsa-with-SHA224", Sha224),
        (oid!(1.2.840.10045.4.3.2), "ecdsa-with-SHA256", Strong),
        (oid!(1.2.840.10045.4.3.3), "ecdsa-with-SHA384", Strong),
        (oid!(1.2.840.10045.4.3.4), "ecdsa-with-SHA512", Strong),
        (oid!(1.3.101.112), "Ed25519", Strong),
        (oid!(1.3.101.113), "Ed448", Strong),
    ];
    match known.iter().find(|(oid, ..)| *oid == algorithm.algorithm) {
        Some((_, name, hash)) => ((*name).to_owned(), *hash),
        None => (algorithm.algorithm.to_id_string(), Unknown),
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384};
    use rstest::rstest;

    use super::*;

    /// A certificate with a key on P-384, whose curve is then called otherwise.
    fn on_curve(identifier: &[u8; 5]) -> PublicKey {
        const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let mut der = CertificateParams::new(["mx.example.test".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec();
        let place = der.windows(7).position(|window| *window == P384).unwrap();
        der[place + 2..place + 7].copy_from_slice(identifier);
        Certificate::from_der(&der).details().unwrap().key.clone()
    }

    /// What no verdict hangs on does not make a certificate unreadable.
    #[test]
    fn an_odd_extension_of_no_consequence_is_read_past() {
        let mut params = CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap();
        let broken = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 31], vec![5, 0]);
        params.custom_extensions.push(broken);
        let key = KeyPair::generate().unwrap();
        assert!(Certificate::from_der(params.self_signed(&key).unwrap().der()).details().is_ok());
    }

    /// An extension that is there and cannot be read is not one that is not there.
    #[test]
    fn names_that_cannot_be_read_are_not_missing() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let broken = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 3, 0x82, 0x20, 0x41]);
        params.custom_extensions.push(broken);
        let key = KeyPair::generate().unwrap();
        let certificate = Certificate::from_der(params.self_signed(&key).unwrap().der());
        assert!(certificate.details().unwrap_err().starts_with("its extension 2.5.29.17 cannot be read"), "{certificate:?}");
    }

    #[rstest]
    #[case(&[0x2b, 0x81, 0x04, 0x00, 0x22], 384, "EC P-384")]
    #[case(&[0x2b, 0x81, 0x04, 0x00, 0x0a], 256, "EC secp256k1")]
    #[case(&[0x2b, 0x81, 0x04, 0x00, 0x21], 224, "EC P-224")]
    #[case(&[0x2b, 0x81, 0x04, 0x00, 0x7f], 0, "EC on an unknown curve")]
    fn a_curve_is_told_by_its_name_not_by_its_size(#[case] identifier: &[u8; 5], #[case] bits: usize, #[case] words: &str) {
        let key = on_curve(identifier);
        assert_eq!((key.bits, key.to_string().as_str()), (bits, words));
    }
}
