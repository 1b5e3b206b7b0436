//! What the CA says of the certificates that it issued: OCSP responses (RFC 6960), lists of revoked ones (RFC 5280, 5).

use std::time::Duration;

use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, CustomExtension,
    ExtendedKeyUsagePurpose, KeyIdMethod, KeyUsagePurpose, PublicKeyData as _, RevocationReason, RevokedCertParams,
    SerialNumber as RcgenSerial, SigningKey as _,
};
use sha1::{Digest as _, Sha1};
use time::OffsetDateTime;
use x509_cert::{
    Certificate,
    der::{
        Decode as _, Encode as _,
        asn1::{BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString},
    },
    ext::pkix::CrlReason,
    spki::AlgorithmIdentifierOwned,
};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, ResponderId, ResponseData, RevokedInfo,
    SingleResponse, Version,
};
use yasna::{DERWriter, Tag, models::ObjectIdentifier as YasnaOid};

use super::{
    super::{
        keys::LabKey,
        mint::Mint,
        publication::{Publication, Published, WebAnswer},
    },
    DAY, PlanError,
    authority::Authority,
};
use crate::scenario::{PublishingFault, RevocationSource, Revoked, Scenario, StapleFault};

/// The host of the CA's web server, and one that is nobody's.
const HOST: &str = "pki.lab.test";
const NOBODY: &str = "nowhere.lab.test";
/// id-pe-authorityInfoAccess, and what it names (RFC 5280, 4.2.2.1).
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// id-ce-freshestCRL (RFC 5280, 4.2.1.15).
const FRESHEST_CRL: &[u64] = &[2, 5, 29, 46];
const OCSP: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1];
const CA_ISSUERS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 2];
/// id-sha1, which names issuers, and ecdsa-with-SHA256 and sha256WithRSAEncryption, which sign.
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const RSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
/// What responders of public CAs promise.
const LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Before this, a certificate was revoked.
const REVOKED_SINCE: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// Which certificate something is about: it is a part of the URLs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Server,
    Issuer,
}

impl About {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Issuer => "intermediate",
        }
    }
}

/// Where the certificate points: to its issuer's certificate, to the OCSP responder; and to the list of revoked ones.
pub(super) fn pointers(about: About, scenario: &Scenario) -> (CustomExtension, Vec<CrlDistributionPoint>) {
    let mut access = vec![(CA_ISSUERS, url(scenario, &issuer_path(about)))];
    let source = scenario.revocation.unwrap_or(RevocationSource::Nowhere);
    if source.has_ocsp() {
        access.insert(0, (OCSP, url(scenario, &ocsp_path(about))));
    }
    let lists =
        if source.has_crl() { vec![CrlDistributionPoint { uris: vec![url(scenario, &crl_path(about))] }] } else { Vec::new() };
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|list| {
            for (method, url) in &access {
                list.next().write_sequence(|description| {
                    description.next().write_oid(&YasnaOid::from_slice(method));
                    description.next().write_tagged_implicit(Tag::context(6), |uri: DERWriter| uri.write_ia5_string(url));
                });
            }
        });
    });
    (CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, content), lists)
}

/// Where the certificate says that the changes since the last list are (RFC 5280, 4.2.1.15); none where the CA has no such list.
pub(super) fn changes(about: About, scenario: &Scenario) -> Option<CustomExtension> {
    if scenario.revocation != Some(RevocationSource::CrlAndChanges) {
        return None;
    }
    let place = url(scenario, &format!("/{}-changes.crl", about.name()));
    // A list of one point with a full name of one URI.
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|points| {
            points.next().write_sequence(|point| {
                point.next().write_tagged_implicit(Tag::context(0), |name: DERWriter| {
                    name.write_sequence(|name| {
                        name.next().write_tagged_implicit(Tag::context(0), |names: DERWriter| {
                            names.write_sequence(|names| {
                                names
                                    .next()
                                    .write_tagged_implicit(Tag::context(6), |uri: DERWriter| uri.write_ia5_string(&place));
                            });
                        });
                    });
                });
            });
        });
    });
    Some(CustomExtension::from_oid_content(FRESHEST_CRL, content))
}

fn url(scenario: &Scenario, path: &str) -> String {
    let host = if scenario.fault.publishing == Some(PublishingFault::Unreachable) { NOBODY } else { HOST };
    format!("http://{host}{path}")
}

fn ocsp_path(about: About) -> String {
    format!("/ocsp/{}", about.name())
}

fn crl_path(about: About) -> String {
    format!("/{}.crl", about.name())
}

/// Above the server's certificate stands the intermediate, above that one the root.
fn issuer_path(about: About) -> String {
    match about {
        About::Server => "/intermediate.der",
        About::Issuer => "/root.der",
    }
    .to_owned()
}

/// A certificate in DER, and the CA that signed it.
pub(super) struct Issue<'a> {
    pub about: About,
    pub certificate: &'a [u8],
    pub issuer: &'a Authority,
    /// The CA's certificate as it is published, in DER.
    pub current: &'a [u8],
}

/// What is to be had from the CA's web server; none where the scenario asks for nothing of it.
pub(super) fn publish(scenario: &Scenario, issues: &[Issue<'_>], mint: &Mint) -> Result<Option<Publication>, PlanError> {
    let source = scenario.revocation.unwrap_or(RevocationSource::Nowhere);
    if scenario.fetch_issuers.is_none() && scenario.revocation.is_none() {
        return Ok(None);
    }
    let mut resources = Vec::new();
    let foreign = Authority::root("Example foreign CA", LabKey::ephemeral(mint)?, mint.now + DAY * 3650, mint)?;
    for issue in issues {
        let fault = scenario.fault.publishing;
        let mut add = |path: String, media_type, body: Vec<u8>| {
            let answer = match fault {
                Some(PublishingFault::Silent) => WebAnswer::Silence,
                Some(PublishingFault::HttpError) => WebAnswer::Status(500),
                Some(PublishingFault::WebPage) => WebAnswer::Body(b"<!doctype html><title>Portal</title>Please log in.".to_vec()),
                Some(PublishingFault::Garbage) => WebAnswer::Body(vec![0x5a; 400]),
                _ => WebAnswer::Body(body),
            };
            resources.push(Published { path, media_type, answer });
        };
        let above = if fault == Some(PublishingFault::ForeignSigner) { &foreign.der } else { issue.current };
        add(issuer_path(issue.about), "application/pkix-cert", above.to_vec());
        if source.has_ocsp() {
            let answer = Answer { is_delegated: source == RevocationSource::DelegatedOcsp, ..Answer::of(scenario, issue) };
            let response = answer.published(fault).sign(issue, &foreign, mint)?;
            add(ocsp_path(issue.about), "application/ocsp-response", response);
        }
        if source.has_crl() {
            add(crl_path(issue.about), "application/pkix-crl", list(scenario, issue, &foreign, mint.now)?);
        }
    }
    Ok(Some(Publication { host: HOST, resources }))
}

/// The OCSP response that the server staples; none where it does not.
pub(super) fn staple(scenario: &Scenario, issue: &Issue<'_>, mint: &Mint) -> Result<Option<Vec<u8>>, PlanError> {
    let (certificate, fault) = (&scenario.certificate, scenario.fault.staple);
    if fault == Some(StapleFault::Missing) || (fault.is_none() && certificate.staple.or(certificate.must_staple).is_none()) {
        return Ok(None);
    }
    if fault == Some(StapleFault::Garbage) {
        return Ok(Some(vec![0x5a; 400]));
    }
    let foreign = Authority::root("Example foreign CA", LabKey::ephemeral(mint)?, mint.now + DAY * 3650, mint)?;
    Ok(Some(Answer::of(scenario, issue).stapled(fault).sign(issue, &foreign, mint)?))
}

/// What an OCSP response says.
#[derive(Default)]
struct Answer {
    is_revoked: bool,
    is_unknown: bool,
    is_about_another: bool,
    is_out_of_date: bool,
    is_foreign: bool,
    is_delegated: bool,
    refused: Option<OcspResponse>,
}

impl Answer {
    fn of(scenario: &Scenario, issue: &Issue) -> Self {
        let revoked = match issue.about {
            About::Server => Revoked::Certificate,
            About::Issuer => Revoked::Issuer,
        };
        Self { is_revoked: scenario.fault.revoked == Some(revoked), ..Self::default() }
    }

    fn published(mut self, fault: Option<PublishingFault>) -> Self {
        match fault {
            Some(PublishingFault::ForeignSigner) => self.is_foreign = true,
            Some(PublishingFault::OutOfDate) => self.is_out_of_date = true,
            Some(PublishingFault::TryLater) => self.refused = Some(OcspResponse::try_later()),
            Some(PublishingFault::Unauthorized) => self.refused = Some(OcspResponse::unauthorized()),
            Some(PublishingFault::UnknownCertificate) => self.is_unknown = true,
            Some(PublishingFault::OtherCertificate) => self.is_about_another = true,
            _ => {}
        }
        self
    }

    fn stapled(mut self, fault: Option<StapleFault>) -> Self {
        match fault {
            Some(StapleFault::ForeignSigner) => self.is_foreign = true,
            Some(StapleFault::OutOfDate) => self.is_out_of_date = true,
            Some(StapleFault::TryLater) => self.refused = Some(OcspResponse::try_later()),
            Some(StapleFault::UnknownCertificate) => self.is_unknown = true,
            Some(StapleFault::OtherCertificate) => self.is_about_another = true,
            Some(StapleFault::Missing | StapleFault::Garbage) | None => {}
        }
        self
    }

    fn sign(self, issue: &Issue<'_>, foreign: &Authority, mint: &Mint) -> Result<Vec<u8>, PlanError> {
        let now = mint.now;
        if let Some(refused) = self.refused {
            return Ok(refused.to_der()?);
        }
        let moment = |time: OffsetDateTime| -> Result<OcspGeneralizedTime, PlanError> {
            let seconds = Duration::from_secs(u64::try_from(time.unix_timestamp()).unwrap_or(0));
            Ok(OcspGeneralizedTime::from(GeneralizedTime::from_unix_duration(seconds)?))
        };
        let certificate = Certificate::from_der(issue.certificate)?;
        let mut serial_number = certificate.tbs_certificate.serial_number;
        if self.is_about_another {
            serial_number = x509_cert::serial_number::SerialNumber::new(&[0x55; 8])?;
        }
        let cert_status = if self.is_revoked {
            let revocation_time = moment(now - REVOKED_SINCE)?;
            CertStatus::revoked(RevokedInfo { revocation_time, revocation_reason: Some(CrlReason::KeyCompromise) })
        } else if self.is_unknown {
            CertStatus::unknown()
        } else {
            CertStatus::good()
        };
        let this_update = if self.is_out_of_date { now - DAY * 30 } else { now - DAY / 24 };
        let delegate = LabKey::ephemeral(mint)?;
        let signer = match (self.is_foreign, self.is_delegated) {
            (true, _) => &foreign.key,
            (false, true) => &delegate,
            (false, false) => &issue.issuer.key,
        };
        let single = SingleResponse {
            cert_id: CertId {
                hash_algorithm: AlgorithmIdentifierOwned { oid: SHA1, parameters: Some(Null.into()) },
                issuer_name_hash: OctetString::new(Sha1::digest(certificate.tbs_certificate.issuer.to_der()?).as_slice())?,
                issuer_key_hash: OctetString::new(Sha1::digest(issue.issuer.key.der_bytes()).as_slice())?,
                serial_number,
            },
            cert_status,
            this_update: moment(this_update)?,
            next_update: Some(moment(this_update + LASTS)?),
            single_extensions: None,
        };
        let tbs_response_data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByKey(OctetString::new(Sha1::digest(signer.der_bytes()).as_slice())?),
            produced_at: moment(this_update)?,
            responses: vec![single],
            response_extensions: None,
        };
        let oid = if signer.is_rsa() { RSA_WITH_SHA256 } else { ECDSA_WITH_SHA256 };
        let signature = signer.sign(&tbs_response_data.to_der()?)?;
        let certs =
            if self.is_delegated { Some(vec![Certificate::from_der(&responder(issue.issuer, &delegate, mint)?)?]) } else { None };
        let basic = BasicOcspResponse {
            tbs_response_data,
            signature_algorithm: AlgorithmIdentifierOwned { oid, parameters: signer.is_rsa().then(|| Null.into()) },
            signature: BitString::from_bytes(&signature)?,
            certs,
        };
        Ok(OcspResponse::successful(basic)?.to_der()?)
    }
}

/// The certificate of an OCSP responder that does not have the CA's key (RFC 6960, 4.2.2.2).
fn responder(issuer: &Authority, key: &LabKey, mint: &Mint) -> Result<Vec<u8>, PlanError> {
    let now = mint.now;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "mtalab lab OCSP responder");
    params.serial_number = Some(mint.serial().into());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    (params.not_before, params.not_after) = (now - DAY * 10, now + DAY * 30);
    issuer.sign(&params, key)
}

/// The list of revoked certificates that the certificate points to.
fn list(scenario: &Scenario, issue: &Issue<'_>, foreign: &Authority, now: OffsetDateTime) -> Result<Vec<u8>, PlanError> {
    let fault = scenario.fault.publishing;
    let this_update = if fault == Some(PublishingFault::OutOfDate) { now - DAY * 30 } else { now - DAY };
    let entry = |serial: &[u8], reason| RevokedCertParams {
        serial_number: RcgenSerial::from_slice(serial),
        revocation_time: now - REVOKED_SINCE,
        reason_code: Some(reason),
        invalidity_date: None,
    };
    // Somebody is always on it.
    let mut revoked_certs = vec![entry(&[0x33; 8], RevocationReason::Superseded)];
    if Answer::of(scenario, issue).is_revoked {
        let certificate = Certificate::from_der(issue.certificate)?;
        let serial = certificate.tbs_certificate.serial_number;
        revoked_certs.push(entry(serial.as_bytes(), RevocationReason::KeyCompromise));
    }
    let params = CertificateRevocationListParams {
        this_update,
        next_update: this_update + LASTS,
        crl_number: RcgenSerial::from(7u64),
        issuing_distribution_point: Some(CrlIssuingDistributionPoint {
            distribution_point: CrlDistributionPoint { uris: vec![url(scenario, &crl_path(issue.about))] },
            scope: Some(match issue.about {
                About::Server => CrlScope::UserCertsOnly,
                About::Issuer => CrlScope::CaCertsOnly,
            }),
        }),
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    issue.issuer.sign_list(&params, (fault == Some(PublishingFault::ForeignSigner)).then_some(&foreign.key))
}
