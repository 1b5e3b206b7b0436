//! The line of CAs from a root down to the one that signs the server's certificate.

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints,
};
use yasna::{DERWriter, Tag};

use super::{
    super::{keys::LabKey, mint::Mint},
    AUTHORITY_YEARS, PlanError,
    authority::Authority,
    reissue::{Body, Scheme},
    revocation::{self, About},
};
use crate::scenario::{ChainFault, FormFault, IssuerFault, Key, NameKind, Scenario, WeakHash};

/// An arc for private use (RFC 1155, 3.1; IANA has not assigned this enterprise), of which no verifier knows anything.
const UNKNOWN: &[u64] = &[1, 3, 6, 1, 4, 1, 99_999, 1];
/// id-ce-policyConstraints (RFC 5280, 4.2.1.11).
const POLICY_CONSTRAINTS: &[u64] = &[2, 5, 29, 36];
/// id-ce-nameConstraints (RFC 5280, 4.2.1.10).
const NAME_CONSTRAINTS: &[u64] = &[2, 5, 29, 30];

/// The CAs below `root`, top down; the last one signs. `owner` is who they belong to.
pub(super) fn below(root: &Authority, owner: &str, scenario: &Scenario, mint: &Mint) -> Result<Vec<Authority>, PlanError> {
    let fault = &scenario.fault;
    let now = mint.now;
    let long = now + AUTHORITY_YEARS / 2;
    let mut line = Vec::new();
    match (fault.chain, fault.issuer) {
        (Some(ChainFault::TwentyCertificates), _) => {
            for step in 1..18 {
                let above = line.last().unwrap_or(root);
                line.push(above.intermediate(&format!("{owner} intermediate {step}"), LabKey::ephemeral(mint)?, long, mint)?);
            }
        }
        (_, Some(IssuerFault::PathLength)) => {
            let no_ca_below = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            line.push(root.intermediate_with(
                &format!("{owner} upper intermediate"),
                LabKey::ephemeral(mint)?,
                long,
                mint,
                no_ca_below,
            )?);
        }
        _ => {}
    }

    let key = if fault.weak_signature.is_some() || super::signs_by_choice(scenario) {
        // Only RSA signs with a broken hash that clients ever accepted, and with a padding of choice.
        LabKey::strong(Key::Rsa2048, "authority", mint)?
    } else if fault.issuer == Some(IssuerFault::SameKey) {
        LabKey::strong(Key::Rsa2048, "server", mint)?
    } else {
        LabKey::ephemeral(mint)?
    };
    let until = match (fault.issuer_expired, fault.issuer_expires_in) {
        (Some(ago), _) => now - ago.0,
        (None, Some(left)) => now + left.0,
        (None, None) => long,
    };
    let above = line.last().unwrap_or(root);
    let name = format!("{owner} intermediate");
    let mut issuer = above.intermediate_with(&name, key, until, mint, |params| {
        spoil(params, fault.issuer, scenario);
        if let Some(kind) = fault.issuer_forbids.or(scenario.certificate.issuer_permits) {
            limit(params, kind, fault.issuer_forbids.is_none());
        }
        if scenario.revocation.is_some() || scenario.fetch_issuers.is_some() {
            let (access, lists) = revocation::pointers(About::Issuer, scenario);
            params.custom_extensions.push(access);
            params.crl_distribution_points = lists;
        }
    })?;
    issuer.der = match fault.issuer {
        Some(IssuerFault::Version1) => Body::of(&issuer.der)?.deform(FormFault::Version1, &above.key, mint)?,
        Some(IssuerFault::Sha1) => Body::of(&issuer.der)?.sign(Scheme::Weak(WeakHash::Sha1), &above.key, mint)?,
        _ => issuer.der,
    };
    line.push(issuer);
    Ok(line)
}

fn spoil(params: &mut CertificateParams, fault: Option<IssuerFault>, scenario: &Scenario) {
    let only = |permitted: &[&str], excluded: &[&str]| {
        let subtrees = |names: &[&str]| names.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned())).collect();
        Some(NameConstraints { permitted_subtrees: subtrees(permitted), excluded_subtrees: subtrees(excluded) })
    };
    match fault {
        Some(IssuerFault::NotACa) => params.is_ca = IsCa::ExplicitNoCa,
        Some(IssuerFault::MayNotSign) => params.key_usages = vec![KeyUsagePurpose::CrlSign],
        Some(IssuerFault::NamesNotPermitted) => params.name_constraints = only(&["partner.test"], &[]),
        Some(IssuerFault::NamesExcluded) => params.name_constraints = only(&[], &[scenario.server.host.as_str()]),
        Some(IssuerFault::ClientsOnly) => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        Some(IssuerFault::UnknownCritical) => params.custom_extensions.push(unknown_critical()),
        // requireExplicitPolicy with as many certificates to skip as no path has.
        Some(IssuerFault::PolicyConstraints) => {
            params.custom_extensions.push(critical(POLICY_CONSTRAINTS, vec![0x30, 3, 0x80, 1, 100]));
        }
        Some(IssuerFault::GatedUsage) => params.extended_key_usages = vec![server_gated()],
        Some(
            IssuerFault::PathLength
            | IssuerFault::Version1
            | IssuerFault::Sha1
            | IssuerFault::SpelledOtherwise
            | IssuerFault::SameKey,
        )
        | None => {}
    }
}

/// Limits the names of one kind: to the one that the server's certificate has (see `leaf`), or to another one.
fn limit(params: &mut CertificateParams, kind: NameKind, is_permitted: bool) {
    let domain = if is_permitted { "lab.test" } else { "partner.test" };
    let subtree = match kind {
        NameKind::Subject => {
            let mut organisation = DistinguishedName::new();
            organisation.push(DnType::OrganizationName, domain);
            GeneralSubtree::DirectoryName(organisation)
        }
        // Hosts below the domain (RFC 5280, 4.2.1.10).
        NameKind::Mail => GeneralSubtree::Rfc822Name(format!(".{domain}")),
        NameKind::Address if is_permitted => GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24)),
        NameKind::Address => GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([198, 51, 100, 0], 24)),
        NameKind::Uri => {
            params.custom_extensions.push(critical(NAME_CONSTRAINTS, permitted_uri(&format!(".{domain}"))));
            return;
        }
    };
    params.name_constraints = Some(NameConstraints { permitted_subtrees: vec![subtree], excluded_subtrees: Vec::new() });
}

/// Name constraints that permit the hosts of a domain in URIs, which rcgen does not write.
fn permitted_uri(domain: &str) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|parts| {
            parts.next().write_tagged_implicit(Tag::context(0), |subtrees: DERWriter| {
                subtrees.write_sequence(|list| {
                    list.next().write_sequence(|subtree| {
                        let uri = |uri: DERWriter| uri.write_bytes(domain.as_bytes());
                        subtree.next().write_tagged_implicit(Tag::context(6), uri);
                    });
                });
            });
        });
    })
}

fn critical(oid: &[u64], content: Vec<u8>) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, content);
    extension.set_criticality(true);
    extension
}

/// Netscape's usage for servers that were allowed strong encryption.
pub(super) fn server_gated() -> ExtendedKeyUsagePurpose {
    ExtendedKeyUsagePurpose::Other(vec![2, 16, 840, 1, 113_730, 4, 1])
}

/// A critical extension that no verifier knows.
pub(super) fn unknown_critical() -> CustomExtension {
    critical(UNKNOWN, vec![5, 0])
}
