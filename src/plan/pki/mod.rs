//! The certificates of a scenario: a correct path from a lab root, then its one defect.

mod authority;
mod leaf;
mod reissue;

use std::time::Duration;

use rcgen::{CertificateParams, DistinguishedName, DnType};
use time::OffsetDateTime;

use super::{Credentials, PlanError, keys::LabKey};
use crate::{
    scenario::{Faults, Key, Scenario, SniFault, WeakHash},
    trust::TrustStore,
};
use authority::Authority;
use leaf::leaf;
use reissue::{Body, Signature};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Authorities outlive every certificate of the lab.
const AUTHORITY_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

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

/// The certificate again, with a weak hash where there is to be one.
fn weaken(certificate: Vec<u8>, hash: Option<WeakHash>, issuer: &LabKey) -> Result<Vec<u8>, PlanError> {
    match hash {
        Some(hash) => Body::of(&certificate)?.sign(&Signature::Weak(hash, issuer)),
        None => Ok(certificate),
    }
}
