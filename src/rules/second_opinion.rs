//! A second judge of the certification path: rustls-webpki, which knows the constraints
//! that [`super::path`] does not look at (RFC 5280, 6.1).
//!
//! It is asked only why a trusted path would be refused all the same. What rules of their
//! own report (dates, weak keys, old hashes) does not count here.

use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    path::{Judgement, MAX_CERTIFICATES, links},
    spelling,
};
use crate::{facts::Certificate, trust::TrustStore};

/// What the second judge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opinion {
    /// A sender that uses it would accept the path.
    Accepts,
    /// The path breaks a rule of RFC 5280; the text says which.
    Refuses(String),
    /// It cannot verify a signature, and so has not looked at name constraints; the text says so.
    RefusesSignature(String),
    /// It takes the name constraints of the path to forbid a name; it does not know those of all kinds.
    RefusesNames,
    /// It does not know a critical extension.
    RefusesExtension,
    /// It takes a certificate not to be meant for TLS servers; the text says so.
    RefusesUsage(String),
    /// It refuses for a reason that another rule reports, or that only this judge is strict about.
    RefusesForOtherReasons,
    /// It cannot tell; the text says why.
    Undecided(String),
}

/// Asks about the chain as sent, at the moment of validity closest to `now`.
pub fn ask(chain: &[Certificate], judgement: &Judgement, stores: &[TrustStore], now: OffsetDateTime) -> Opinion {
    let sent: Vec<CertificateDer> = chain.iter().take(MAX_CERTIFICATES).map(|c| CertificateDer::from(c.der())).collect();
    let Some((leaf, others)) = sent.split_first() else { return Opinion::Undecided("no certificate was sent".to_owned()) };
    let anchors: Vec<_> =
        stores.iter().flat_map(|store| &store.anchors).filter_map(|anchor| anchor_from_trusted_cert(anchor).ok()).collect();
    let time = moment(chain, judgement, now);
    let verified = EndEntityCert::try_from(leaf).and_then(|leaf| {
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, others, time, KeyUsage::server_auth(), None, None).map(|_| ())
    });
    match verified {
        Ok(()) => Opinion::Accepts,
        // It compares names byte by byte, which is a matter of its own.
        Err(Error::UnknownIssuer) if links(chain, judgement).windows(2).any(|link| spelling::differs(link[0].1, link[1].1)) => {
            Opinion::RefusesForOtherReasons
        }
        Err(error) => match opinion(error) {
            // Signatures come before name constraints: where there are none, nothing was missed.
            Opinion::RefusesSignature(_) if !is_constrained(chain, judgement, stores) => Opinion::RefusesForOtherReasons,
            other => other,
        },
    }
}

/// Whether a CA of the path, or an anchor that may stand above it, limits the names (RFC 5280, 4.2.1.10).
/// The second judge looks at everything else while it climbs, and at names after the signatures.
fn is_constrained(chain: &[Certificate], judgement: &Judgement, stores: &[TrustStore]) -> bool {
    let parse = |der| X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate);
    let has_limits = |certificate: &X509Certificate| !matches!(certificate.name_constraints(), Ok(None));
    let path = || judgement.path.iter().map(|index| chain.get(*index).and_then(|certificate| parse(certificate.der())));
    let top = path().next_back().flatten();
    let is_above = |anchor: &X509Certificate| top.as_ref().is_some_and(|top| top.issuer().as_raw() == anchor.subject().as_raw());
    let mut anchors = stores.iter().flat_map(|store| &store.anchors).filter_map(|anchor| parse(anchor));
    path().any(|certificate| certificate.as_ref().is_none_or(has_limits))
        || anchors.any(|anchor| is_above(&anchor) && has_limits(&anchor))
}

/// `now`, moved into the time in which the whole path is valid; or where there is no such
/// time, in which the server's certificate is.
fn moment(chain: &[Certificate], judgement: &Judgement, now: OffsetDateTime) -> UnixTime {
    let span = |places: &[usize]| {
        let details = || places.iter().filter_map(|index| chain.get(*index)?.details().ok());
        let first = details().map(|d| d.not_before).max()?;
        let last = details().map(|d| d.not_after).min()?;
        (first <= last).then(|| now.clamp(first, last))
    };
    let moment = span(&judgement.path).or_else(|| span(&[0])).unwrap_or(now);
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(moment.unix_timestamp()).unwrap_or(0)))
}

/// What of the form it does not read.
fn words_of(error: &Error) -> &'static str {
    match error {
        Error::TrailingData(_) => "its length",
        Error::ExtensionValueInvalid | Error::MalformedExtensions => "its extensions",
        _ => "its encoding",
    }
}

fn opinion(error: Error) -> Opinion {
    #[expect(deprecated, reason = "older errors may still be given")]
    let words = match error {
        Error::EndEntityUsedAsCa => "a certificate above the server's is not one of a CA",
        Error::PathLenConstraintViolated => "there are more certificates below a CA than its path length allows",
        // It makes a quarter of a million comparisons at most.
        Error::NameConstraintViolation | Error::MaximumNameConstraintComparisonsExceeded => return Opinion::RefusesNames,
        Error::RequiredEkuNotFound | Error::RequiredEkuNotFoundContext(_) => {
            return Opinion::RefusesUsage("a certificate is not meant for TLS servers, by its extended key usage".to_owned());
        }
        Error::EmptyEkuExtension => "the extended key usage of a certificate is empty",
        Error::UnsupportedCriticalExtension => return Opinion::RefusesExtension,
        Error::SignatureAlgorithmMismatch => "a certificate names two different algorithms for its one signature",
        // It verifies signatures before it looks at name constraints. Where it cannot, nobody has looked.
        Error::InvalidSignatureForPublicKey
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithm
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKey => {
            return Opinion::RefusesSignature(
                "the name constraints of the path could not be checked: rustls-webpki cannot verify one of its signatures".to_owned(),
            );
        }
        // Dates have rules of their own.
        Error::CertExpired { .. }
        | Error::CertNotValidYet { .. }
        | Error::InvalidCertValidity
        | Error::BadDerTime
        // Other verifiers, OpenSSL's above all, accept these.
        | Error::CaUsedAsEndEntity
        | Error::UnsupportedCertVersion
        | Error::InvalidSerialNumber
        // Rules of their own, and OpenSSL accepts these.
        | Error::MaximumPathDepthExceeded => return Opinion::RefusesForOtherReasons,
        Error::BadDer | Error::TrailingData(_) | Error::ExtensionValueInvalid | Error::MalformedExtensions => {
            return Opinion::Undecided(format!("a certificate is formed in a way that rustls-webpki does not read: {}", words_of(&error)));
        }
        Error::InvalidNetworkMaskConstraint | Error::MalformedNameConstraint => {
            return Opinion::Undecided("rustls-webpki cannot read the name constraints of a CA".to_owned());
        }
        Error::UnsupportedNameType | Error::MalformedDnsIdentifier => {
            return Opinion::Undecided("rustls-webpki cannot read a name of the server's certificate".to_owned());
        }
        Error::MaximumPathBuildCallsExceeded | Error::MaximumSignatureChecksExceeded => {
            return Opinion::Undecided("there are more ways up from the server's certificate than rustls-webpki tries".to_owned());
        }
        _ => return Opinion::Undecided("rustls-webpki refuses the path for a reason that is not known here".to_owned()),
    };
    Opinion::Refuses(words.to_owned())
}
