//! The server's own certificate.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use time::{OffsetDateTime, macros::datetime};
use yasna::{DERWriter, Tag};

use super::{
    super::{keys::LabKey, mint::Mint},
    DAY, PlanError,
    line::{server_gated, unknown_critical},
    revocation::{self, About},
};
use crate::scenario::{ExtensionFault, NameKind, NamesFault, Scenario, Usage, ValidityFault};

/// id-pe-tlsfeature, RFC 7633, 6.
const TLS_FEATURE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];

/// How old a correct certificate is, and how long it is still valid. Together they are less than public CAs may issue from
/// 2029 on, and what is left is more than a reminder waits for.
const SINCE: Duration = Duration::from_secs(10 * 24 * 60 * 60);
const LEFT: Duration = Duration::from_secs(36 * 24 * 60 * 60);

/// The server's own certificate, before anyone signs it.
pub(super) fn leaf(scenario: &Scenario, key: &LabKey, mint: &Mint) -> Result<CertificateParams, PlanError> {
    let now = mint.now;
    let (spec, fault) = (&scenario.certificate, &scenario.fault);
    let names = match (&fault.wrong_names, &spec.names) {
        (Some(names), _) | (None, Some(names)) => names.clone(),
        (None, None) => vec![scenario.server.host.to_string()],
    };
    let common_name = match (&fault.foreign_common_name, &spec.common_name) {
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) if fault.names == Some(NamesFault::Internal) => "EX01".to_owned(),
        (None, None) if fault.names == Some(NamesFault::Localhost) => "localhost".to_owned(),
        // Only the subject alternative names are at fault.
        (None, None) if fault.names.is_some_and(|names| names != NamesFault::Empty) => String::new(),
        (None, None) => names.first().cloned().unwrap_or_default(),
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !common_name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    if let Some(wrong) = fault.names {
        params.custom_extensions.push(subject_alt_names(&odd_names(wrong, scenario.server.host.as_str())));
    } else if fault.common_name_only != Some(true) {
        let more = (1..=spec.more_names.unwrap_or(0)).map(|number| format!("host{number}.lab.test"));
        let san = |name: String| Ok(SanType::DnsName(name.as_str().try_into()?));
        params.subject_alt_names = names.iter().cloned().chain(more).map(san).collect::<Result<_, rcgen::Error>>()?;
    }
    match fault.issuer_forbids.or(spec.issuer_permits) {
        Some(NameKind::Subject) => {
            // A directory name starts with what it is below.
            let own = std::mem::take(&mut params.distinguished_name);
            params.distinguished_name.push(DnType::OrganizationName, "lab.test");
            own.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), value.clone()));
        }
        Some(NameKind::Mail) => {
            let mail = format!("postmaster@{}", scenario.server.host);
            params.subject_alt_names.push(SanType::Rfc822Name(mail.as_str().try_into()?));
        }
        Some(NameKind::Uri) => {
            let uri = format!("https://{}/", scenario.server.host);
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
        }
        Some(NameKind::Address) => params.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 25].into())),
        None => {}
    }
    params.serial_number = Some(mint.serial().into());
    params.extended_key_usages = match (fault.client_only, fault.extension, spec.usage) {
        (Some(true), ..) => vec![ExtendedKeyUsagePurpose::ClientAuth],
        (_, Some(ExtensionFault::AnyUsage), _) => vec![ExtendedKeyUsagePurpose::Any],
        (_, Some(ExtensionFault::GatedUsage), _) => vec![server_gated()],
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
        Some(ExtensionFault::AnyUsage | ExtensionFault::GatedUsage) | None => {}
    }
    // Public CAs say where their certificate is; private ones of this lab do not.
    if ![fault.self_signed, fault.private_ca, fault.unknown_ca].contains(&Some(true)) {
        let (access, lists) = revocation::pointers(About::Server, scenario);
        params.custom_extensions.push(access);
        params.custom_extensions.extend(revocation::changes(About::Server, scenario));
        params.crl_distribution_points = lists;
    }
    if spec.must_staple == Some(true) {
        // RFC 7633, 6: a list with status_request.
        params.custom_extensions.push(CustomExtension::from_oid_content(TLS_FEATURE, vec![0x30, 3, 2, 1, 5]));
    }
    let since = spec.valid_since.map_or(SINCE, |d| d.0);
    (params.not_before, params.not_after) = if let Some(ago) = fault.expired {
        (now - ago.0 - SINCE - LEFT, now - ago.0)
    } else if let Some(left) = fault.expires_in {
        (now - since, now + left.0)
    } else if let Some(wait) = fault.not_yet_valid {
        (now + wait.0, now + wait.0 + SINCE + LEFT)
    } else {
        (now - since, now + spec.valid_for.map_or(LEFT, |d| d.0))
    };
    if let Some(odd) = fault.validity {
        (params.not_before, params.not_after) = odd_dates(odd, now);
    }
    Ok(params)
}

fn odd_dates(odd: ValidityFault, now: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
    match odd {
        ValidityFault::Inverted => (now - DAY * 30, now - DAY * 60),
        ValidityFault::TenYears => (now - DAY * 30, now + DAY * 3620),
        ValidityFault::BeforeUnixEpoch => (datetime!(1962-01-01 0:00 UTC), datetime!(1963-01-01 0:00 UTC)),
        ValidityFault::After2049 => (now - DAY * 30, datetime!(2060-01-01 0:00 UTC)),
    }
}

/// Tags of a GeneralName (RFC 5280, 4.2.1.6).
const DNS_NAME: u64 = 2;
const IP_ADDRESS: u64 = 7;

/// The subject alternative names of a fault, as bytes behind their tag. The address is one for documentation (RFC 5737).
fn odd_names(wrong: NamesFault, host: &str) -> Vec<(u64, Vec<u8>)> {
    let dns = |names: &[&str]| names.iter().map(|name| (DNS_NAME, name.as_bytes().to_vec())).collect();
    match wrong {
        NamesFault::PartialWildcard => {
            let (label, parent) = host.split_once('.').unwrap_or((host, "test"));
            let first: String = label.chars().take(1).collect();
            dns(&[&format!("{first}*.{parent}")])
        }
        NamesFault::BareWildcard => dns(&["*"]),
        NamesFault::TwoWildcards | NamesFault::InnerWildcard => {
            let (label, parent) = host.split_once('.').unwrap_or((host, "test"));
            let (_, top) = parent.split_once('.').unwrap_or(("", parent));
            let first = if matches!(wrong, NamesFault::TwoWildcards) { "*" } else { label };
            dns(&[&format!("{first}.*.{top}")])
        }
        NamesFault::PublicWildcard => dns(&[host, "*.co.uk"]),
        NamesFault::Latin1 => vec![(DNS_NAME, [b"\xfc", host.as_bytes()].concat())],
        NamesFault::Empty => dns(&[host, ""]),
        NamesFault::TrailingDot => dns(&[&format!("{host}.")]),
        NamesFault::Nul => dns(&[&format!("{host}\0.example.test")]),
        NamesFault::ULabel => dns(&[&idna::domain_to_unicode(host).0]),
        NamesFault::IpAddress => vec![(IP_ADDRESS, vec![192, 0, 2, 25])],
        NamesFault::IpAsName => dns(&["192.0.2.25"]),
        NamesFault::Internal => dns(&["EX01", "EX01.corp.local"]),
        NamesFault::Localhost => dns(&["localhost"]),
    }
}

/// The extension with any bytes as names.
fn subject_alt_names(names: &[(u64, Vec<u8>)]) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|list| {
            for (tag, name) in names {
                list.next().write_tagged_implicit(Tag::context(*tag), |bytes: DERWriter| bytes.write_bytes(name));
            }
        });
    });
    CustomExtension::from_oid_content(&[2, 5, 29, 17], content)
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
