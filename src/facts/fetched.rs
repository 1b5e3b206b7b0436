//! What was fetched by HTTP from where a certificate points.

use serde::{Deserialize, Serialize};

use super::{Certificate, Crl, Observed, OcspResponse};
use crate::wire::WireText;

/// One place that a certificate names, and what was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// The SHA-256 of the certificate that names it, in hexadecimal.
    pub certificate: String,
    /// What is to be had there.
    pub what: Resource,
    /// Where.
    pub url: WireText,
    /// What came.
    pub answer: Observed<Body>,
}

/// One thing to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// The SHA-256 of the certificate that names the place, in hexadecimal.
    pub certificate: String,
    /// What is to be had there.
    pub what: Resource,
    /// Where.
    pub url: WireText,
    /// The OCSP request in DER; empty for the others.
    pub request: Vec<u8>,
}

impl Errand {
    /// Whether this is what came of it.
    pub fn is_done_by(&self, fetched: &Fetched) -> bool {
        self.what == fetched.what && self.url == fetched.url && self.certificate == fetched.certificate
    }
}

/// What a certificate points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// An OCSP responder.
    Ocsp,
    /// A list of revoked certificates.
    Crl,
    /// The certificate of its issuer.
    Issuer,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// The answer of an OCSP responder.
    Ocsp(OcspResponse),
    /// A list of revoked certificates.
    Crl(Crl),
    /// A certificate.
    Issuer(Box<Certificate>),
}
