//! The certification authorities of the lab.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyUsagePurpose, SerialNumber,
};
use time::OffsetDateTime;

use super::{super::keys::LabKey, AUTHORITY_YEARS, PlanError};

/// A CA of the lab: its certificate, and what it needs to sign.
pub(super) struct Authority {
    params: CertificateParams,
    pub certificate: Certificate,
    pub key: LabKey,
}

impl Authority {
    pub fn root(name: &str, now: OffsetDateTime) -> Result<Self, PlanError> {
        let key = LabKey::ephemeral()?;
        let params = authority(name, now + AUTHORITY_YEARS, now);
        Ok(Self { certificate: params.self_signed(&key)?, params, key })
    }

    pub fn sign_intermediate(
        &self,
        name: &str,
        key: LabKey,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Self, PlanError> {
        let mut params = authority(name, until, now);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key))?;
        Ok(Self { params, certificate, key })
    }

    pub fn sign(&self, params: &CertificateParams, key: &LabKey) -> Result<Vec<u8>, PlanError> {
        Ok(params.signed_by(key, &Issuer::from_params(&self.params, &self.key))?.der().to_vec())
    }

    pub fn der(&self) -> Vec<u8> {
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
