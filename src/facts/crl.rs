//! A list of revoked certificates (RFC 5280, 5).

use serde::Serialize;
use time::OffsetDateTime;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::{
    distinguished,
    encoded::{Details, Encoded, words},
};
use crate::wire::WireText;

/// A list of revoked certificates.
pub type Crl = Encoded<CrlDetails>;

/// What a list says of itself; nobody has looked at its signature yet.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct CrlDetails {
    /// Who wrote it, as RFC 4514 text.
    pub issuer: WireText,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub this_update: OffsetDateTime,
    /// When the next one comes at the latest.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_update: Option<OffsetDateTime>,
    /// How many certificates are on it.
    pub entries: usize,
}

impl Details for CrlDetails {
    const NAME: &str = "Crl";

    fn parse(der: &[u8]) -> Result<Self, String> {
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|error| words(&error))?;
        if !rest.is_empty() {
            return Err(format!("{} bytes follow the list", rest.len()));
        }
        Ok(Self {
            issuer: distinguished::text(list.issuer()),
            this_update: list.last_update().to_datetime(),
            next_update: list.next_update().map(|time| time.to_datetime()),
            entries: list.iter_revoked_certificates().count(),
        })
    }
}
