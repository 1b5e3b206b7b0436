//! What a scenario's CA says of the certificates that it issued, and how that can go wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the CA says which certificates it took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationSource {
    /// An OCSP responder, which signs with the CA's key.
    Ocsp,
    /// An OCSP responder with a key and a certificate of its own.
    DelegatedOcsp,
    /// A list of revoked certificates.
    Crl,
    /// A list, and the changes since then in another one (a delta list).
    CrlAndChanges,
    /// An OCSP responder and a list.
    Both,
    /// Nowhere.
    Nowhere,
}

impl RevocationSource {
    /// Whether there is an OCSP responder.
    pub fn has_ocsp(self) -> bool {
        matches!(self, Self::Ocsp | Self::DelegatedOcsp | Self::Both)
    }

    /// Whether there is a list.
    pub fn has_crl(self) -> bool {
        matches!(self, Self::Crl | Self::CrlAndChanges | Self::Both)
    }
}

/// Which certificate the CA took back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Revoked {
    /// The server's.
    Certificate,
    /// That of the CA that signed the server's.
    Issuer,
}

/// What comes from where a certificate points: from the OCSP responder, the list of revoked ones, the issuer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PublishingFault {
    /// Nobody is there: the name leads nowhere.
    Unreachable,
    /// No answer.
    Silent,
    /// HTTP status 500.
    HttpError,
    /// A web page.
    WebPage,
    /// Bytes that mean nothing.
    Garbage,
    /// Another CA signed it; the issuer's certificate is another one.
    ForeignSigner,
    /// What held last month.
    OutOfDate,
    /// OCSP's tryLater.
    TryLater,
    /// OCSP's unauthorized.
    Unauthorized,
    /// The responder does not know the certificate.
    UnknownCertificate,
    /// An answer about another certificate.
    OtherCertificate,
}

impl PublishingFault {
    /// Whether only OCSP can have it.
    pub fn is_of_ocsp(self) -> bool {
        matches!(self, Self::TryLater | Self::Unauthorized | Self::UnknownCertificate | Self::OtherCertificate)
    }
}

/// What is wrong with the OCSP response that the server staples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StapleFault {
    /// There is none.
    Missing,
    /// It is bytes that mean nothing.
    Garbage,
    /// Another CA signed it.
    ForeignSigner,
    /// It held last month.
    OutOfDate,
    /// It is OCSP's tryLater: no answer at all.
    TryLater,
    /// It says that the responder does not know the certificate.
    UnknownCertificate,
    /// It is about another certificate.
    OtherCertificate,
}
