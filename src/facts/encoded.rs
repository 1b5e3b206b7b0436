//! What came as DER, and what it says.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
