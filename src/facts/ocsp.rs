//! What an OCSP responder says (RFC 6960), whether it was asked or its answer was stapled.

use serde::Serialize;
use time::OffsetDateTime;
use x509_cert::{
    der::{Decode as _, Error as DerError},
    ext::Extension,
};
use x509_ocsp::{
    BasicOcspResponse, CertStatus, OcspGeneralizedTime, OcspResponse as Response, OcspResponseStatus, SingleResponse,
};

use super::{
    certificate::hex,
    encoded::{Details, Encoded},
};
use crate::wire::WireText;

/// The response of an OCSP responder.
pub type OcspResponse = Encoded<OcspDetails>;

/// What a response says; nobody has looked at its signature yet.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct OcspDetails {
    /// Why there is no answer: `tryLater`, for example (RFC 6960, 4.2.1); absent where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<&'static str>,
    /// What it says of which certificate.
    pub answers: Vec<OcspAnswer>,
    /// The BasicOCSPResponse in DER: what is signed, and by whom.
    #[serde(skip)]
    pub basic: Vec<u8>,
}

/// What a response says of one certificate.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct OcspAnswer {
    /// The certificate's serial number in hexadecimal.
    pub serial: String,
    /// The OID of the hash that the issuer is named with.
    pub hash: String,
    /// That hash of the issuer's name, in hexadecimal.
    pub issuer_name: String,
    /// That hash of the issuer's key, in hexadecimal.
    pub issuer_key: String,
    /// What became of the certificate.
    pub status: RevocationStatus,
    /// When the responder knew that.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub this_update: OffsetDateTime,
    /// Until when it holds; absent where newer answers are always to be had.
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub next_update: Option<OffsetDateTime>,
    /// The OID of a critical extension of the answer that is not known here, so that nobody may rely on it (RFC 6960, 4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_critical: Option<String>,
}

/// What became of a certificate, by the word of its CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationStatus {
    /// It was not revoked.
    Good,
    /// It was revoked.
    Revoked {
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        #[schemars(with = "String")]
        at: OffsetDateTime,
        /// Why, by its name in RFC 5280, 5.3.1: `keyCompromise`.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    /// The responder does not know it.
    Unknown,
}

/// The names of the reasons of RFC 5280, 5.3.1, by their number.
pub fn reason_name(number: u8) -> Option<&'static str> {
    const NAMES: [&str; 11] = [
        "unspecified",
        "keyCompromise",
        "cACompromise",
        "affiliationChanged",
        "superseded",
        "cessationOfOperation",
        "certificateHold",
        "",
        "removeFromCRL",
        "privilegeWithdrawn",
        "aACompromise",
    ];
    NAMES.get(usize::from(number)).copied().filter(|name| !name.is_empty())
}

/// More answers than this in one response are not read: one certificate was asked about.
const MAX_ANSWERS: usize = 64;

impl Details for OcspDetails {
    const NAME: &str = "OcspResponse";

    fn parse(der: &[u8]) -> Result<Self, String> {
        let unreadable = |error: DerError| WireText::from(&*error.to_string()).to_string();
        let response = Response::from_der(der).map_err(unreadable)?;
        let refused = match response.response_status {
            OcspResponseStatus::Successful => None,
            OcspResponseStatus::MalformedRequest => Some("malformedRequest"),
            OcspResponseStatus::InternalError => Some("internalError"),
            OcspResponseStatus::TryLater => Some("tryLater"),
            OcspResponseStatus::SigRequired => Some("sigRequired"),
            OcspResponseStatus::Unauthorized => Some("unauthorized"),
        };
        if refused.is_some() {
            return Ok(Self { refused, answers: Vec::new(), basic: Vec::new() });
        }
        let bytes = response.response_bytes.ok_or("a successful response without an answer")?;
        let basic = bytes.response.as_bytes().to_vec();
        let parsed = BasicOcspResponse::from_der(&basic).map_err(unreadable)?;
        let data = &parsed.tbs_response_data;
        let of_all = data.response_extensions.iter().flatten();
        let answers = data.responses.iter().take(MAX_ANSWERS).map(|single| {
            let extensions = of_all.clone().chain(single.single_extensions.iter().flatten());
            answer(single, unknown_critical(extensions))
        });
        let answers = answers.collect();
        Ok(Self { refused, answers, basic })
    }
}

/// Of the extensions of RFC 6960, 4.4, those that leave an answer what it is.
fn unknown_critical<'a>(mut extensions: impl Iterator<Item = &'a Extension>) -> Option<String> {
    const NONCE: &str = "1.3.6.1.5.5.7.48.1.2";
    const CRL_REFERENCE: &str = "1.3.6.1.5.5.7.48.1.3";
    const ARCHIVE_CUTOFF: &str = "1.3.6.1.5.5.7.48.1.6";
    let is_known = |extension: &Extension| [NONCE, CRL_REFERENCE, ARCHIVE_CUTOFF].contains(&&*extension.extn_id.to_string());
    extensions.find(|extension| extension.critical && !is_known(extension)).map(|extension| extension.extn_id.to_string())
}

fn answer(single: &SingleResponse, unknown_critical: Option<String>) -> OcspAnswer {
    let id = &single.cert_id;
    OcspAnswer {
        serial: hex(id.serial_number.as_bytes()),
        hash: id.hash_algorithm.oid.to_string(),
        issuer_name: hex(id.issuer_name_hash.as_bytes()),
        issuer_key: hex(id.issuer_key_hash.as_bytes()),
        status: match &single.cert_status {
            CertStatus::Good(_) => RevocationStatus::Good,
            CertStatus::Unknown(_) => RevocationStatus::Unknown,
            CertStatus::Revoked(info) => RevocationStatus::Revoked {
                at: moment(&info.revocation_time),
                reason: info.revocation_reason.and_then(|reason| reason_name(reason as u8)),
            },
        },
        this_update: moment(&single.this_update),
        next_update: single.next_update.as_ref().map(moment),
        unknown_critical,
    }
}

/// DER has no time outside of the years 1970 to 9999 here, so it always fits.
fn moment(time: &OcspGeneralizedTime) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + time.0.to_unix_duration()
}
