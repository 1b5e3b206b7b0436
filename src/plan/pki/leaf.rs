//! The server's own certificate.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use time::OffsetDateTime;
use yasna::{DERWriter, Tag, models::ObjectIdentifier};

use super::{super::keys::LabKey, DAY, PlanError, line::unknown_critical};
use crate::scenario::{ExtensionFault, Scenario, Usage};

/// id-pe-authorityInfoAccess, RFC 5280, 4.2.2.1.
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

/// The server's own certificate, before anyone signs it.
pub(super) fn leaf(scenario: &Scenario, key: &LabKey, now: OffsetDateTime) -> Result<CertificateParams, PlanError> {
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
    params.extended_key_usages = match (fault.client_only, fault.extension, spec.usage) {
        (Some(true), ..) => vec![ExtendedKeyUsagePurpose::ClientAuth],
        (_, Some(ExtensionFault::AnyUsage), _) => vec![ExtendedKeyUsagePurpose::Any],
        (.., Some(Usage::Unstated)) => Vec::new(),
        (.., None) => vec![ExtendedKeyUsagePurpose::ServerAuth],
    };
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if key.is_rsa() {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.use_authority_key_identifier_extension = fault.self_signed != Some(true);
    match fault.extension {
        Some(ExtensionFault::IsACa) => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        Some(ExtensionFault::EnciphermentOnly) => params.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
        Some(ExtensionFault::NoUseInTls) => params.key_usages = vec![KeyUsagePurpose::KeyCertSign],
        Some(ExtensionFault::UnknownCritical) => params.custom_extensions.push(unknown_critical()),
        Some(ExtensionFault::OtherKeyIdentifier) => {
            params.use_authority_key_identifier_extension = false;
            params.custom_extensions.push(authority_key_identifier([0x5a; 20]));
        }
        Some(ExtensionFault::AnyUsage) | None => {}
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

/// RFC 5280, 4.2.1.1.
fn authority_key_identifier(identifier: [u8; 20]) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_tagged_implicit(Tag::context(0), |key: DERWriter| key.write_bytes(&identifier));
        });
    });
    CustomExtension::from_oid_content(&[2, 5, 29, 35], content)
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
