//! TLSA records as mail uses them (RFC 6698, 2; RFC 7671; RFC 7672, 3): what one says, whether a sender may use it, and
//! whether a certificate is the one that it means.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// One TLSA record: `3 1 1 <hex>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tlsa {
    /// The certificate usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA, 3 DANE-EE.
    pub usage: u8,
    /// The selector: 0 the whole certificate, 1 its SubjectPublicKeyInfo.
    pub selector: u8,
    /// The matching type: 0 the bytes themselves, 1 their SHA-256, 2 their SHA-512.
    pub matching: u8,
    /// The certificate association data, in hexadecimal where it is written.
    #[serde(with = "hexadecimal")]
    #[schemars(with = "String")]
    pub data: Vec<u8>,
}

/// Why bytes or a text are no TLSA record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsaError {
    /// RFC 6698, 2.1: three octets, then the data.
    #[error("a TLSA record has at least 4 octets, this one has {0}")]
    TooShort(usize),
    /// Three numbers and the data.
    #[error("expected `usage selector matching-type data`")]
    Form,
    /// Each of the three is one octet.
    #[error("the {0} is no number from 0 to 255")]
    Number(&'static str),
    /// The data is written in pairs of hexadecimal digits (RFC 6698, 2.2).
    #[error("the data is no even number of hexadecimal digits")]
    Hexadecimal,
}

/// What a sender may use a record for (RFC 7672, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// 2: a certificate of the chain must be this trust anchor, or be issued by it; names and dates count.
    TrustAnchor,
    /// 3: the server's own certificate must be this one; names and dates do not count (RFC 7672, 3.1.1).
    EndEntity,
}

/// Why a sender must ignore a record (RFC 7672, 3.1.3; RFC 7671, 10).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// 0 and 1 need a public CA that both sides trust, which mail has not.
    #[error("usage {0} ({name}) is not used between mail servers", name = usage_name(*.0))]
    PkixUsage(u8),
    /// No such usage is known.
    #[error("usage {0} is unknown")]
    Usage(u8),
    /// No such selector is known.
    #[error("selector {0} is unknown")]
    Selector(u8),
    /// No such matching type is known.
    #[error("matching type {0} is unknown")]
    Matching(u8),
    /// A digest of another length than its algorithm has.
    #[error("the data has {found} octets, and {algorithm} has {expected}")]
    Length {
        /// Its name.
        algorithm: &'static str,
        /// What it makes.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// With matching type 0 the data is the certificate, or the key, itself.
    #[error("the data is no {0} in DER")]
    NotDer(&'static str),
}

impl Tlsa {
    /// Reads the RDATA.
    pub fn from_wire(rdata: &[u8]) -> Result<Self, TlsaError> {
        match rdata {
            [usage, selector, matching, data @ ..] if !data.is_empty() => {
                Ok(Self { usage: *usage, selector: *selector, matching: *matching, data: data.to_vec() })
            }
            _ => Err(TlsaError::TooShort(rdata.len())),
        }
    }

    /// Reads the presentation format (RFC 6698, 2.2); the data may be written in several groups.
    pub fn from_text(text: &str) -> Result<Self, TlsaError> {
        let mut words = text.split_ascii_whitespace();
        let mut number = |name| {
            let word = words.next().ok_or(TlsaError::Form)?;
            word.parse::<u8>().map_err(|_| TlsaError::Number(name))
        };
        let (usage, selector, matching) = (number("usage")?, number("selector")?, number("matching type")?);
        let data: String = words.collect();
        match hexadecimal::read(&data) {
            _ if data.is_empty() => Err(TlsaError::Form),
            Some(data) => Ok(Self { usage, selector, matching, data }),
            None => Err(TlsaError::Hexadecimal),
        }
    }

    /// What a sender may use it for, or why it must ignore it. A record whose data can match nothing counts as unusable too
    /// (RFC 7671, 10.1.2).
    pub fn usage(&self) -> Result<Usage, Unusable> {
        let usage = match self.usage {
            2 => Usage::TrustAnchor,
            3 => Usage::EndEntity,
            0 | 1 => return Err(Unusable::PkixUsage(self.usage)),
            other => return Err(Unusable::Usage(other)),
        };
        if self.selector > 1 {
            return Err(Unusable::Selector(self.selector));
        }
        let of_length = |algorithm, expected| match self.data.len() {
            found if found == expected => Ok(usage),
            found => Err(Unusable::Length { algorithm, expected, found }),
        };
        match self.matching {
            0 if self.selector == 0 => match X509Certificate::from_der(&self.data) {
                Ok(([], _)) => Ok(usage),
                _ => Err(Unusable::NotDer("certificate")),
            },
            0 => match x509_parser::x509::SubjectPublicKeyInfo::from_der(&self.data) {
                Ok(([], _)) => Ok(usage),
                _ => Err(Unusable::NotDer("public key")),
            },
            1 => of_length("SHA-256", 32),
            2 => of_length("SHA-512", 64),
            other => Err(Unusable::Matching(other)),
        }
    }

    /// Whether this certificate in DER is the one that it means, whatever its usage. None where that cannot be told: the
    /// selector or matching type is unknown, or the certificate's key cannot be read.
    pub fn matches(&self, certificate: &[u8]) -> Option<bool> {
        let selected = match self.selector {
            0 => certificate,
            1 => X509Certificate::from_der(certificate).ok()?.1.tbs_certificate.subject_pki.raw,
            _ => return None,
        };
        match self.matching {
            0 => Some(self.data == selected),
            1 => Some(self.data == Sha256::digest(selected).as_slice()),
            2 => Some(self.data == Sha512::digest(selected).as_slice()),
            _ => None,
        }
    }

    /// `3 1 1`.
    pub fn parameters(&self) -> String {
        format!("{} {} {}", self.usage, self.selector, self.matching)
    }
}

impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.parameters(), hexadecimal::text(&self.data))
    }
}

/// The acronym of a certificate usage (RFC 7218, 2.1).
pub fn usage_name(usage: u8) -> &'static str {
    match usage {
        0 => "PKIX-TA",
        1 => "PKIX-EE",
        2 => "DANE-TA",
        3 => "DANE-EE",
        255 => "PrivCert",
        _ => "unassigned",
    }
}

mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn read(text: &str) -> Option<Vec<u8>> {
        let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pairs = text.as_bytes().chunks(2);
        pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        read(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn certificate() -> (Vec<u8>, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.der().to_vec(), rcgen::PublicKeyData::subject_public_key_info(&key))
    }

    fn tlsa(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
        Tlsa { usage, selector, matching, data: data.to_vec() }
    }

    /// RFC 6698, 2.3.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let first = "0 0 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971";
        let read = Tlsa::from_text(first).unwrap();
        assert_eq!((read.usage, read.selector, read.matching, read.data.len()), (0, 0, 1, 32));
        assert_eq!(read.usage(), Err(Unusable::PkixUsage(0)));
        assert_eq!(read.to_string(), first.replacen("34b9 ", "34b9", 1));
        let second = "1 1 2 92003ba34942dc74152e2f2c408d29ec a5a520e7f2e06bb944f4dca346baf63c \
                      1b177615d466f6c4b71c216a50292bd5 8c9ebdd2f74e38fe51ffd48c43326cbc";
        assert_eq!(Tlsa::from_text(second).unwrap().data.len(), 64);
    }

    #[test]
    fn each_selector_and_matching_type_matches_its_own() {
        let (der, spki) = certificate();
        let (other, _) = certificate();
        for (selector, selected) in [(0, &der), (1, &spki)] {
            for (matching, data) in
                [(0, selected.clone()), (1, Sha256::digest(selected).to_vec()), (2, Sha512::digest(selected).to_vec())]
            {
                let record = tlsa(3, selector, matching, &data);
                assert_eq!(record.usage(), Ok(Usage::EndEntity), "{record}");
                assert_eq!((record.matches(&der), record.matches(&other)), (Some(true), Some(false)), "{record}");
            }
        }
    }

    #[rstest]
    #[case(tlsa(1, 1, 1, &[0; 32]), Unusable::PkixUsage(1))]
    #[case(tlsa(4, 1, 1, &[0; 32]), Unusable::Usage(4))]
    #[case(tlsa(255, 1, 1, &[0; 32]), Unusable::Usage(255))]
    #[case(tlsa(3, 2, 1, &[0; 32]), Unusable::Selector(2))]
    #[case(tlsa(3, 1, 3, &[0; 32]), Unusable::Matching(3))]
    #[case(tlsa(3, 1, 1, &[0; 31]), Unusable::Length { algorithm: "SHA-256", expected: 32, found: 31 })]
    #[case(tlsa(2, 0, 2, &[0; 32]), Unusable::Length { algorithm: "SHA-512", expected: 64, found: 32 })]
    #[case(tlsa(3, 0, 0, b"no"), Unusable::NotDer("certificate"))]
    #[case(tlsa(2, 1, 0, b"no"), Unusable::NotDer("public key"))]
    fn what_matches_nothing_is_unusable(#[case] record: Tlsa, #[case] why: Unusable) {
        assert_eq!(record.usage(), Err(why));
    }

    #[rstest]
    #[case("", TlsaError::Form)]
    #[case("3 1 1", TlsaError::Form)]
    #[case("3 1 x 00", TlsaError::Number("matching type"))]
    #[case("256 1 1 00", TlsaError::Number("usage"))]
    #[case("3 1 1 abc", TlsaError::Hexadecimal)]
    #[case("3 1 1 zz", TlsaError::Hexadecimal)]
    fn what_is_no_record_says_why(#[case] text: &str, #[case] why: TlsaError) {
        assert_eq!(Tlsa::from_text(text), Err(why));
    }

    #[test]
    fn a_key_that_cannot_be_read_is_no_mismatch() {
        assert_eq!(tlsa(3, 1, 1, &[0; 32]).matches(b"no certificate"), None);
        assert_eq!(Tlsa::from_wire(&[3, 1, 1]), Err(TlsaError::TooShort(3)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(record) = Tlsa::from_wire(&bytes) {
                let _ = (record.usage(), record.matches(&bytes));
                prop_assert_eq!(&Tlsa::from_text(&record.to_string()), &Ok(record.clone()));
                let json = serde_json::to_string(&record).unwrap();
                prop_assert_eq!(serde_json::from_str::<Tlsa>(&json).unwrap(), record);
            }
        }
    }
}
