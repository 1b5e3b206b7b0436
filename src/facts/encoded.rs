//! What came as DER, and what it says.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use x509_parser::{der_parser::error::BerError, error::X509Error, nom};

use crate::wire::WireText;

/// Something in DER, kept as it came even where it cannot be read.
///
/// A report carries the DER and, for readers, the details; when a report is read back
/// the details are taken from the DER again, so a forged report cannot contradict itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded<D> {
    der: Vec<u8>,
    details: Result<D, String>,
}

/// What can be read from DER.
pub trait Details: Sized {
    /// The name of the type that a report has it under.
    const NAME: &str;
    /// Reads it; the error says why it cannot be read, and is escaped.
    fn parse(der: &[u8]) -> Result<Self, String>;
}

impl<D: Details> Encoded<D> {
    /// Takes it as it came; what cannot be read is kept all the same.
    pub fn from_der(der: &[u8]) -> Self {
        Self { der: der.to_vec(), details: D::parse(der) }
    }

    /// As it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it says, or why it cannot be read.
    pub fn details(&self) -> Result<&D, &str> {
        self.details.as_ref().map_err(String::as_str)
    }
}

/// The form in a report.
#[derive(Serialize, schemars::JsonSchema)]
struct Shown<'a, D> {
    /// The DER in base64.
    der: String,
    /// What it says; absent where it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a D>,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<&'a str>,
}

impl<D: Details + Serialize> Serialize for Encoded<D> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = Shown { der: BASE64.encode(&self.der), details: self.details().ok(), unreadable: self.details().err() };
        shown.serialize(serializer)
    }
}

impl<'de, D: Details> Deserialize<'de> for Encoded<D> {
    fn deserialize<R: Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        #[derive(Deserialize)]
        struct Der {
            der: String,
        }
        let der = BASE64.decode(Der::deserialize(deserializer)?.der).map_err(serde::de::Error::custom)?;
        Ok(Self::from_der(&der))
    }
}

impl<D: Details + schemars::JsonSchema> schemars::JsonSchema for Encoded<D> {
    fn schema_name() -> Cow<'static, str> {
        D::NAME.into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Shown::<D>::json_schema(generator)
    }
}

/// Why bytes are no DER of that kind, in words for people; escaped.
pub(super) fn words<E: Into<X509Error> + Clone>(error: &nom::Err<E>) -> String {
    let (nom::Err::Error(error) | nom::Err::Failure(error)) = error else { return "it ends too early".to_owned() };
    let words = match error.clone().into() {
        X509Error::Der(error) => der_words(&error),
        X509Error::NomError(_) | X509Error::Generic => "its encoding is broken".to_owned(),
        other => other.to_string(),
    };
    WireText::from(&*words).to_string()
}

fn der_words(error: &BerError) -> String {
    match error {
        BerError::UnexpectedTag { expected: Some(expected), actual } => {
            format!("a value with the tag {} stands where one with the tag {} belongs", actual.0, expected.0)
        }
        BerError::UnexpectedTag { expected: None, actual } => {
            format!("a value with the tag {} stands where it must not", actual.0)
        }
        BerError::InvalidValue { tag, .. } => format!("a value with the tag {} is not what it may be", tag.0),
        BerError::UnknownTag(tag) => format!("the tag {tag} is not known"),
        BerError::UnexpectedClass { .. } => "a value is of another class than it must be".to_owned(),
        BerError::Incomplete(_) => "it ends too early".to_owned(),
        BerError::NomError(_) | BerError::DerConstraintFailed(_) => "its encoding breaks the rules of DER".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::facts::Certificate;

    #[rstest]
    #[case(b"not a certificate", "its encoding is broken")]
    #[case(&[0x30, 0x82, 0x01, 0x00, 0x30], "its encoding is broken")]
    #[case(&[0x1a, 0x00], "a value with the tag 26 stands where one with the tag 16 belongs")]
    #[case(&[], "it ends too early")]
    fn the_words_are_no_programmers(#[case] der: &[u8], #[case] expected: &str) {
        assert_eq!(Certificate::from_der(der).details().map(|_| ()), Err(expected));
    }
}
