//! The certification authorities of the lab.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, DnValue, IsCa, Issuer,
    KeyUsagePurpose,
};
use time::OffsetDateTime;

use super::{
    super::{keys::LabKey, mint::Mint},
    AUTHORITY_YEARS, PlanError,
};

/// A CA of the lab: its certificate, and what it needs to sign.
pub(in super::super) struct Authority {
    params: CertificateParams,
    /// Its certificate in DER.
    pub der: Vec<u8>,
    pub key: LabKey,
}

impl Authority {
    pub fn root(name: &str, key: LabKey, until: OffsetDateTime, mint: &Mint) -> Result<Self, PlanError> {
        let params = authority(name, until, mint);
        Ok(Self { der: params.self_signed(&key)?.der().to_vec(), params, key })
    }

    /// A CA below this one.
    pub fn intermediate(&self, name: &str, key: LabKey, until: OffsetDateTime, mint: &Mint) -> Result<Self, PlanError> {
        self.intermediate_with(name, key, until, mint, |_| ())
    }

    /// A CA below this one, with changes.
    pub fn intermediate_with(
        &self,
        name: &str,
        key: LabKey,
        until: OffsetDateTime,
        mint: &Mint,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Self, PlanError> {
        let mut params = authority(name, until, mint);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        Ok(Self { der: self.sign(&params, &key)?, params, key })
    }

    /// What this CA says of another one: a cross-certificate.
    pub fn certify(&self, other: &Self, until: OffsetDateTime) -> Result<Vec<u8>, PlanError> {
        let mut params = other.params.clone();
        params.use_authority_key_identifier_extension = true;
        params.not_after = until;
        self.sign(&params, &other.key)
    }

    /// What this CA says of another one as of somebody who is none.
    pub fn certify_as_no_ca(&self, other: &Self) -> Result<Vec<u8>, PlanError> {
        let mut params = other.params.clone();
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        self.sign(&params, &other.key)
    }

    /// From now on it signs under its name in capitals, which its own certificate does not have.
    pub fn spell_otherwise(&mut self) {
        let mut name = DistinguishedName::new();
        for (kind, value) in self.params.distinguished_name.iter() {
            if let DnValue::Utf8String(text) = value {
                name.push(kind.clone(), text.to_uppercase());
            }
        }
        self.params.distinguished_name = name;
    }

    pub fn sign(&self, params: &CertificateParams, key: &LabKey) -> Result<Vec<u8>, PlanError> {
        Ok(params.signed_by(key, &Issuer::from_params(&self.params, &self.key))?.der().to_vec())
    }

    /// A list of this CA's; with another key where it is not to be this CA's after all.
    pub fn sign_list(&self, list: &CertificateRevocationListParams, other: Option<&LabKey>) -> Result<Vec<u8>, PlanError> {
        Ok(list.signed_by(&Issuer::from_params(&self.params, other.unwrap_or(&self.key)))?.der().to_vec())
    }
}

fn authority(name: &str, until: OffsetDateTime, mint: &Mint) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "mtalab");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(mint.serial().into());
    params.not_before = mint.now - AUTHORITY_YEARS / 2;
    params.not_after = until;
    params
}
