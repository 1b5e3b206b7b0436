//! The certificates of a scenario: a correct path from a lab root, then its one defect.

use std::time::Duration;

use md5::Md5;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use rsa::{Pkcs1v15Sign, PrivateKey};
use sha1::Sha1;
use sha2::Digest;
use time::OffsetDateTime;
use yasna::{DERWriter, Tag, models::ObjectIdentifier};

use super::{Credentials, PlanError, keys::LabKey};
use crate::{
    scenario::{Faults, Key, Scenario, SniFault, WeakHash},
    trust::TrustStore,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Authorities outlive every certificate of the lab.
const AUTHORITY_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// id-pe-authorityInfoAccess, RFC 5280, 4.2.2.1.
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

/// What a server presents.
pub(super) struct Issued {
    pub first: Credentials,
    pub second: Option<Credentials>,
    pub nameless: Option<Credentials>,
}

/// Issues what the scenario's server presents, and what a checker is to trust.
pub(super) fn issue(scenario: &Scenario, now: OffsetDateTime) -> Result<(Issued, TrustStore), PlanError> {
    let fault = &scenario.fault;
    let root = Authority::root("mtalab lab root", now)?;
    let trust = TrustStore { name: "lab".to_owned(), public: true, anchors: vec![root.certificate.der().clone()] };

    let issuer_key = if fault.weak_signature.is_some() {
        // Only RSA signs with a broken hash that clients ever accepted.
        LabKey::strong(Key::Rsa2048, "authority")?
    } else {
        LabKey::ephemeral()?
    };
    let issuer_until = match (fault.issuer_expired, fault.issuer_expires_in) {
        (Some(ago), _) => now - ago.0,
        (None, Some(left)) => now + left.0,
        (None, None) => now + AUTHORITY_YEARS / 2,
    };
    let intermediate = root.sign_intermediate("mtalab lab intermediate", issuer_key, issuer_until, now)?;

    let key = match fault.weak_key {
        Some(bits) => LabKey::weak_rsa(bits, "server")?,
        None => LabKey::strong(scenario.certificate.key.unwrap_or(Key::Rsa2048), "server")?,
    };
    let params = leaf(scenario, &key, now)?;
    let is = |flag: Option<bool>| flag == Some(true);

    let chain = if is(fault.self_signed) {
        let certificate = params.self_signed(&key)?.der().to_vec();
        vec![weaken(certificate, fault.weak_signature, &key)?]
    } else if is(fault.private_ca) || is(fault.unknown_ca) {
        let stranger = Authority::root("Example Corp private root", now)?;
        let intermediate = stranger.sign_intermediate("Example Corp private issuer", LabKey::ephemeral()?, issuer_until, now)?;
        let certificate = intermediate.sign(&params, &key)?;
        if is(fault.private_ca) { vec![certificate, intermediate.der(), stranger.der()] } else { vec![certificate] }
    } else {
        let certificate = weaken(intermediate.sign(&params, &key)?, fault.weak_signature, &intermediate.key)?;
        if is(fault.missing_intermediate) {
            vec![certificate]
        } else if is(fault.gap_in_chain) {
            vec![certificate, root.der()]
        } else if is(fault.misordered_chain) {
            vec![certificate, root.der(), intermediate.der()]
        } else if is(fault.unrelated_certificate) {
            let stranger = Authority::root("mtalab unrelated root", now)?;
            vec![certificate, intermediate.der(), stranger.der()]
        } else if is(scenario.certificate.send_root) {
            vec![certificate, intermediate.der(), root.der()]
        } else {
            vec![certificate, intermediate.der()]
        }
    };
    let signing_key = if is(fault.other_key) { LabKey::strong(Key::Rsa2048, "other")? } else { key };
    let first = Credentials { chain, key_pem: signing_key.to_pem()? };
    let second = match scenario.certificate.second_key {
        Some(key) => Some(second(scenario, key, &intermediate, now)?),
        None => None,
    };
    let nameless = if fault.sni == Some(SniFault::OtherCertificate) { Some(nameless(now)?) } else { None };
    Ok((Issued { first, second, nameless }, trust))
}

/// The certificate beside the first one, from the same CA.
fn second(scenario: &Scenario, key: Key, issuer: &Authority, now: OffsetDateTime) -> Result<Credentials, PlanError> {
    let fault = Faults {
        expired: scenario.fault.second_expired,
        expires_in: scenario.fault.second_expires_in,
        wrong_names: scenario.fault.second_names.clone(),
        ..Faults::default()
    };
    let scenario = Scenario { fault, ..scenario.clone() };
    let key = LabKey::strong(key, "second")?;
    let certificate = issuer.sign(&leaf(&scenario, &key, now)?, &key)?;
    Ok(Credentials { chain: vec![certificate, issuer.der()], key_pem: key.to_pem()? })
}

/// What an appliance comes with, and sends to those who do not ask for a name that it knows.
fn nameless(now: OffsetDateTime) -> Result<Credentials, PlanError> {
    let key = LabKey::strong(Key::Rsa2048, "appliance")?;
    let mut params = CertificateParams::new(vec!["appliance.lab.test".to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "appliance.lab.test");
    (params.not_before, params.not_after) = (now - DAY * 365, now + DAY * 3650);
    Ok(Credentials { chain: vec![params.self_signed(&key)?.der().to_vec()], key_pem: key.to_pem()? })
}

/// A CA of the lab: its certificate, and what it needs to sign.
struct Authority {
    params: CertificateParams,
    certificate: Certificate,
    key: LabKey,
}

impl Authority {
    fn root(name: &str, now: OffsetDateTime) -> Result<Self, PlanError> {
        let key = LabKey::ephemeral()?;
        let params = authority(name, now + AUTHORITY_YEARS, now);
        Ok(Self { certificate: params.self_signed(&key)?, params, key })
    }

    fn sign_intermediate(&self, name: &str, key: LabKey, until: OffsetDateTime, now: OffsetDateTime) -> Result<Self, PlanError> {
        let mut params = authority(name, until, now);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key))?;
        Ok(Self { params, certificate, key })
    }

    fn sign(&self, params: &CertificateParams, key: &LabKey) -> Result<Vec<u8>, PlanError> {
        Ok(params.signed_by(key, &Issuer::from_params(&self.params, &self.key))?.der().to_vec())
    }

    fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }
}

fn authority(name: &str, until: OffsetDateTime, now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "mtalab");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from(rand::random::<u64>() >> 1));
    params.not_before = now - AUTHORITY_YEARS / 2;
    params.not_after = until;
    params
}

/// The server's own certificate, before anyone signs it.
fn leaf(scenario: &Scenario, key: &LabKey, now: OffsetDateTime) -> Result<CertificateParams, PlanError> {
    let (spec, fault) = (&scenario.certificate, &scenario.fault);
    let names = match (&fault.wrong_names, &spec.names) {
        (Some(names), _) | (None, Some(names)) => names.clone(),
        (None, None) => vec![scenario.server.host.to_string()],
    };
    let common_name = match (&fault.foreign_common_name, &spec.common_name) {
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) => names.first().cloned().unwrap_or_default(),
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    if fault.common_name_only != Some(true) {
        let san = |name: &String| Ok(SanType::DnsName(name.as_str().try_into()?));
        params.subject_alt_names = names.iter().map(san).collect::<Result<_, rcgen::Error>>()?;
    }
    params.serial_number = Some(SerialNumber::from(rand::random::<u64>() >> 1));
    let usage =
        if fault.client_only == Some(true) { ExtendedKeyUsagePurpose::ClientAuth } else { ExtendedKeyUsagePurpose::ServerAuth };
    params.extended_key_usages = vec![usage];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if key.is_rsa() {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    if fault.self_signed != Some(true) {
        params.use_authority_key_identifier_extension = true;
    }
    // Public CAs say where their certificate is; private ones of this lab do not.
    if ![fault.self_signed, fault.private_ca, fault.unknown_ca].contains(&Some(true)) {
        params.custom_extensions.push(ca_issuers("http://pki.lab.test/intermediate.der"));
    }
    let since = spec.valid_since.map_or(DAY * 30, |d| d.0);
    (params.not_before, params.not_after) = if let Some(ago) = fault.expired {
        (now - ago.0 - DAY * 90, now - ago.0)
    } else if let Some(left) = fault.expires_in {
        (now - since, now + left.0)
    } else if let Some(wait) = fault.not_yet_valid {
        (now + wait.0, now + wait.0 + DAY * 90)
    } else {
        (now - since, now + spec.valid_for.map_or(DAY * 60, |d| d.0))
    };
    Ok(params)
}

fn ca_issuers(url: &str) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|access| {
            access.next().write_sequence(|description| {
                description.next().write_oid(&ObjectIdentifier::from_slice(&[1, 3, 6, 1, 5, 5, 7, 48, 2]));
                description.next().write_tagged_implicit(Tag::context(6), |uri: DERWriter| uri.write_ia5_string(url));
            });
        });
    });
    CustomExtension::from_oid_content(AUTHORITY_INFO_ACCESS, content)
}

/// Signs a certificate again with a hash that no library signs with: takes it apart,
/// exchanges the algorithm in both places (RFC 5280, 4.1.1.2) and puts it together.
fn weaken(certificate: Vec<u8>, hash: Option<WeakHash>, issuer: &LabKey) -> Result<Vec<u8>, PlanError> {
    let Some(hash) = hash else { return Ok(certificate) };
    let algorithm = yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            let arc = match hash {
                WeakHash::Md5 => 4,
                WeakHash::Sha1 => 5,
            };
            parts.next().write_oid(&ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 1, arc]));
            parts.next().write_null();
        });
    });
    let elements = |der: &[u8]| yasna::parse_der(der, |reader| reader.collect_sequence_of(|element| element.read_der()));
    let outer = elements(&certificate)?;
    let [body, old_algorithm, _] = outer.as_slice() else { return Err(PlanError::Der) };
    let exchange = |part: Vec<u8>| if part == *old_algorithm { algorithm.clone() } else { part };
    let body = sequence(&elements(body)?.into_iter().map(exchange).collect::<Vec<_>>());
    let signature = sign(hash, &issuer.to_rsa()?, &body)?;
    let signature = yasna::construct_der(|writer| writer.write_bitvec_bytes(&signature, signature.len() * 8));
    Ok(sequence(&[body, algorithm, signature]))
}

fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            for element in elements {
                parts.next().write_der(element);
            }
        });
    })
}

fn sign(hash: WeakHash, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, PlanError> {
    Ok(match hash {
        WeakHash::Md5 => key.sign(Pkcs1v15Sign::new::<Md5>(), &Md5::digest(message))?,
        WeakHash::Sha1 => key.sign(Pkcs1v15Sign::new::<Sha1>(), &Sha1::digest(message))?,
    })
}
