//! The certificate of a scenario: what is right about it, and what can be wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{schema::CertificateName, types::DurationText};

/// The certificate of the correct world. Every value here is right; faults are in `[fault]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateSpec {
    /// The key; RSA with 2048 bits if absent.
    pub key: Option<Key>,
    /// The key of a second certificate beside it, of another algorithm; there is no second one if absent.
    pub second_key: Option<Key>,
    /// The dNSName entries; the host name if absent. May hold wildcards.
    #[schemars(with = "Option<Vec<CertificateName>>", length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub names: Option<Vec<String>>,
    /// The CN of the subject; the first name if absent, none if empty.
    #[schemars(length(max = 64))] // RFC 5280, A.1: ub-common-name
    pub common_name: Option<String>,
    /// How long it has been valid; 30 days if absent.
    pub valid_since: Option<DurationText>,
    /// How long it will be valid; 60 days if absent.
    pub valid_for: Option<DurationText>,
    /// Whether the server also sends the root.
    pub send_root: Option<bool>,
}

/// A kind of key that is strong enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// RSA, 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl Key {
    /// `RSA`, `ECDSA` or `Ed25519`.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => "RSA",
            Self::EcdsaP256 | Self::EcdsaP384 => "ECDSA",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// A hash too weak for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeakHash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
}
