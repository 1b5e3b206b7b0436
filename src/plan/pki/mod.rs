//! The certificates of a scenario: a correct path from a lab root, then its one defect.

mod authority;
mod default;
mod leaf;
mod line;
mod reissue;
mod revocation;
mod timestamps;

use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType};
use time::OffsetDateTime;

use super::{Credentials, PlanError, keys::LabKey, mint::Mint, publication::Publication};
use crate::{
    scenario::{AnchorFault, ChainFault, Faults, FormFault, IssuerFault, Key, Scenario, SignatureScheme, SniFault},
    trust::TrustStore,
};
pub(super) use authority::Authority;
use leaf::leaf;
pub(super) use reissue::public_key_info;
use reissue::{Body, Scheme};
use revocation::{About, Issue};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// As long as the hash: the one length that TLS knows (RFC 8446, 4.2.3).
const PSS_SALT: u8 = 32;
/// Authorities outlive every certificate of the lab.
const AUTHORITY_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What a server presents.
#[derive(Clone)]
pub(super) struct Issued {
    pub first: Credentials,
    pub second: Option<Credentials>,
    pub nameless: Option<Credentials>,
    /// What the CA's web server has.
    pub publication: Option<Publication>,
    /// What is on the server's disk, where that is not what it presents.
    pub installed: Option<Vec<u8>>,
    /// The root that its path leads to.
    pub root: Vec<u8>,
}

/// Issues what the scenario's server presents, and what a checker is to trust.
pub(super) fn issue(scenario: &Scenario, mint: &Mint) -> Result<(Issued, TrustStore), PlanError> {
    issue_below(&lab_root(scenario, mint)?, None, scenario, mint)
}

/// The root that checkers trust.
pub(super) fn lab_root(scenario: &Scenario, mint: &Mint) -> Result<Authority, PlanError> {
    let (now, fault) = (mint.now, &scenario.fault);
    let until = match (fault.root_expired, fault.root_expires_in) {
        (Some(ago), _) => now - ago.0,
        (None, Some(left)) => now + left.0,
        (None, None) => now + AUTHORITY_YEARS,
    };
    let key = match fault.weak_root_key {
        Some(bits) => LabKey::weak_rsa(bits, "root", mint)?,
        None => key_of_ca(fault.issuer == Some(IssuerFault::Sha1), mint)?,
    };
    Authority::root("mtalab lab root", key, until, mint)
}

fn key_of_ca(is_rsa: bool, mint: &Mint) -> Result<LabKey, PlanError> {
    if is_rsa { LabKey::strong(Key::Rsa2048, "authority", mint) } else { LabKey::ephemeral(mint) }
}

/// Issues what one of several servers presents, whose correct paths lead to the same root; with the key of another one where
/// the fault does not decide it.
pub(super) fn issue_below(
    lab: &Authority,
    key_pem: Option<&str>,
    scenario: &Scenario,
    mint: &Mint,
) -> Result<(Issued, TrustStore), PlanError> {
    let now = mint.now;
    let fault = &scenario.fault;
    let is = |flag: Option<bool>| flag == Some(true);
    let is_sha1 = fault.issuer == Some(IssuerFault::Sha1);
    let mut trust = TrustStore { name: "lab".to_owned(), public: true, anchors: vec![lab.der.clone().into()] };
    // One of a circle signs the certificate itself, with a weak hash or a padding of choice if so told: that takes RSA.
    let signs_with_rsa = is_sha1 || fault.weak_signature.is_some() || signs_by_choice(scenario);
    let stranger = |name: &str| Authority::root(name, key_of_ca(signs_with_rsa, mint)?, now + AUTHORITY_YEARS, mint);

    let private = if is(fault.private_ca) || is(fault.unknown_ca) { Some(stranger("Example Corp private root")?) } else { None };
    let (root, owner) = private.as_ref().map_or((lab, "mtalab lab"), |root| (root, "Example Corp private"));
    let mut line = line::below(root, owner, scenario, mint)?;
    if let (Some(IssuerFault::SpelledOtherwise), Some(issuer)) = (fault.issuer, line.last_mut()) {
        issuer.spell_otherwise();
    }
    let issuer = line.last().unwrap_or(root);

    let key = match (fault.weak_key, fault.odd_key) {
        (Some(bits), _) => LabKey::weak_rsa(bits, "server", mint)?,
        (None, Some(kind)) => LabKey::odd(kind, mint)?,
        (None, None) => match key_pem {
            Some(pem) => LabKey::from_pem(pem)?,
            None => LabKey::strong(scenario.certificate.key.unwrap_or(Key::Rsa2048), "server", mint)?,
        },
    };
    let mut params = leaf(scenario, &key, mint)?;
    // Private CAs do not have their certificates logged.
    let is_logged = ![fault.self_signed, fault.private_ca, fault.unknown_ca, fault.no_timestamps].contains(&Some(true));
    if is_logged {
        timestamps::add(&mut params, issuer, &key, mint)?;
    }
    let certificate = if is(fault.self_signed) {
        finish(params.self_signed(&key)?.der().to_vec(), scenario, &key, None, mint)?
    } else {
        finish(issuer.sign(&params, &key)?, scenario, &issuer.key, key.other_info(), mint)?
    };

    match fault.anchor {
        Some(AnchorFault::Intermediate) => trust.anchors = vec![issuer.der.clone().into()],
        Some(AnchorFault::Certificate) => trust.anchors = vec![certificate.clone().into()],
        None => {}
    }

    let above_issuer = line.iter().rev().nth(1).unwrap_or(root);
    // Whoever asks for a CA's certificate gets the one of today.
    let current = match fault.issuer_expired {
        Some(_) => above_issuer.certify(issuer, now + AUTHORITY_YEARS / 2)?,
        None => issuer.der.clone(),
    };
    let issues = [
        Issue { about: About::Server, certificate: &certificate, issuer, current: &current },
        Issue { about: About::Issuer, certificate: &issuer.der, issuer: above_issuer, current: &above_issuer.der },
    ];
    let publication = revocation::publish(scenario, &issues, mint)?;
    let staple = revocation::staple(scenario, &issues[0], mint)?;
    let installed = if is(fault.not_reloaded) { Some(issuer.sign(&renewed(&params, mint), &key)?) } else { None };

    let upward: Vec<Vec<u8>> = line.iter().rev().map(|authority| authority.der.clone()).collect();
    let above: Vec<Vec<u8>> = if is(fault.self_signed) || is(fault.missing_intermediate) || is(fault.unknown_ca) {
        Vec::new()
    } else if is(fault.gap_in_chain) {
        vec![root.der.clone()]
    } else if is(fault.misordered_chain) {
        [vec![root.der.clone()], upward].concat()
    } else if is(fault.unrelated_certificate) {
        [upward, vec![stranger("mtalab unrelated root")?.der]].concat()
    } else if is(scenario.certificate.send_root) || is(fault.private_ca) {
        [upward, vec![root.der.clone()]].concat()
    } else {
        upward
    };
    let long = now + AUTHORITY_YEARS / 2;
    let chain = match fault.chain {
        None | Some(ChainFault::TwentyCertificates) => [vec![certificate], above].concat(),
        Some(ChainFault::DuplicateLeaf) => [vec![certificate.clone(), certificate], above].concat(),
        Some(ChainFault::WrongIntermediate) => {
            vec![certificate, root.intermediate("mtalab lab other intermediate", LabKey::ephemeral(mint)?, long, mint)?.der]
        }
        Some(ChainFault::ExpiredCrossCertificate) => {
            let former = Authority::root("mtalab lab former root", LabKey::ephemeral(mint)?, now - DAY * 40, mint)?;
            [vec![certificate], above, vec![former.certify(root, now - DAY * 40)?]].concat()
        }
        Some(ChainFault::BadAlternativeFirst | ChainFault::BadAlternativeLast) => {
            let mut chain = [vec![certificate], above, vec![root.certify_as_no_ca(issuer)?]].concat();
            if fault.chain == Some(ChainFault::BadAlternativeFirst) {
                chain[1..].reverse();
            }
            chain
        }
        Some(ChainFault::Cycle) => {
            let (one, two) = (stranger("mtalab circle one")?, stranger("mtalab circle two")?);
            let certificate = finish(one.sign(&params, &key)?, scenario, &one.key, key.other_info(), mint)?;
            vec![certificate, two.certify(&one, long)?, one.certify(&two, long)?]
        }
    };
    let (chain, key) = match fault.default_certificate {
        Some(product) => {
            let key = LabKey::strong(Key::Rsa2048, "default", mint)?;
            (vec![default::certificate(product, scenario.server.host.as_str(), &key, mint)?], key)
        }
        None => (chain, key),
    };
    let second = match scenario.certificate.second_key {
        Some(key) => Some(second(scenario, key, issuer, mint)?),
        None => None,
    };
    let signing_key = if is(fault.other_key) { LabKey::strong(Key::Rsa2048, "other", mint)? } else { key };
    let first = Credentials { staple, ..Credentials::new(chain, signing_key.to_pem()?) };
    let nameless = match fault.sni {
        Some(SniFault::OtherCertificate) => Some(nameless(&LabKey::strong(Key::Rsa2048, "appliance", mint)?, now)?),
        Some(SniFault::OtherCertificateSameKey) => Some(nameless(&signing_key, now)?),
        _ if fault.other_certificate_to.is_some() => Some(nameless(&LabKey::strong(Key::Rsa2048, "appliance", mint)?, now)?),
        _ => None,
    };
    Ok((Issued { first, second, nameless, publication, installed, root: root.der.clone() }, trust))
}

/// Whether the server's certificate is signed with a padding of choice.
fn signs_by_choice(scenario: &Scenario) -> bool {
    scenario.certificate.signature.is_some() || scenario.fault.form == Some(FormFault::ShortSalt)
}

/// The certificate that comes after this one, as a CA issues it today.
fn renewed(params: &CertificateParams, mint: &Mint) -> CertificateParams {
    let mut renewed = params.clone();
    renewed.serial_number = Some(mint.serial().into());
    (renewed.not_before, renewed.not_after) = (mint.now - DAY / 24, mint.now + DAY * 45);
    renewed
}

/// The certificate again, where it is not to be signed or formed as rcgen does, or has a key that rcgen does not know.
fn finish(
    certificate: Vec<u8>,
    scenario: &Scenario,
    issuer: &LabKey,
    info: Option<&[u8]>,
    mint: &Mint,
) -> Result<Vec<u8>, PlanError> {
    let scheme = match (scenario.fault.weak_signature, scenario.certificate.signature) {
        (Some(hash), _) => Scheme::Weak(hash),
        (None, Some(SignatureScheme::RsassaPss)) => Scheme::Pss(PSS_SALT),
        (None, None) => Scheme::Same,
    };
    match (scenario.fault.form, scheme, info) {
        (_, scheme, Some(info)) => Body::of(&certificate)?.with_key(info).sign(scheme, issuer, mint),
        (Some(flaw), ..) => Body::of(&certificate)?.deform(flaw, issuer, mint),
        (None, Scheme::Same, None) => Ok(certificate),
        (None, scheme, None) => Body::of(&certificate)?.sign(scheme, issuer, mint),
    }
}

/// The certificate beside the first one, from the same CA.
fn second(scenario: &Scenario, key: Key, issuer: &Authority, mint: &Mint) -> Result<Credentials, PlanError> {
    let fault = Faults {
        expired: scenario.fault.second_expired,
        expires_in: scenario.fault.second_expires_in,
        wrong_names: scenario.fault.second_names.clone(),
        ..Faults::default()
    };
    let scenario = Scenario { fault, ..scenario.clone() };
    let key = LabKey::strong(key, "second", mint)?;
    let mut params = leaf(&scenario, &key, mint)?;
    timestamps::add(&mut params, issuer, &key, mint)?;
    let certificate = issuer.sign(&params, &key)?;
    Ok(Credentials::new(vec![certificate, issuer.der.clone()], key.to_pem()?))
}

/// What an appliance comes with, and sends to those who do not ask for a name that it knows.
fn nameless(key: &LabKey, now: OffsetDateTime) -> Result<Credentials, PlanError> {
    let mut params = CertificateParams::new(vec!["appliance.lab.test".to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "appliance.lab.test");
    (params.not_before, params.not_after) = (now - DAY * 365, now + DAY * 3650);
    Ok(Credentials::new(vec![params.self_signed(key)?.der().to_vec()], key.to_pem()?))
}
