//! Signed certificate timestamps, as public CAs put them into every certificate (RFC 6962, 3).

use rcgen::{CertificateParams, CustomExtension, PublicKeyData as _, SigningKey as _};
use sha2::{Digest as _, Sha256};

use super::{
    super::{keys::LabKey, mint::Mint},
    PlanError,
    authority::Authority,
    reissue,
};

/// Where they stand in a certificate (RFC 6962, 3.3).
const TIMESTAMP_LIST: &[u64] = &[1, 3, 6, 1, 4, 1, 11_129, 2, 4, 2];
/// How many logs public CAs need at the least.
const LOGS: usize = 2;

/// Gives the certificate timestamps of logs that nobody else knows.
pub(super) fn add(params: &mut CertificateParams, issuer: &Authority, key: &LabKey, mint: &Mint) -> Result<(), PlanError> {
    let body = reissue::signed_part(&issuer.sign(params, key)?)?;
    let issued_at = u64::try_from(params.not_before.unix_timestamp()).unwrap_or(0) * 1000;
    let issuer = Sha256::digest(issuer.key.subject_public_key_info());
    let timestamps = (0..LOGS).map(|_| timestamp(&body, issuer.as_slice(), issued_at, mint)).collect::<Result<Vec<_>, _>>()?;
    let list = with_length(&timestamps.concat());
    let content = yasna::construct_der(|writer| writer.write_bytes(&list));
    params.custom_extensions.push(CustomExtension::from_oid_content(TIMESTAMP_LIST, content));
    Ok(())
}

/// One timestamp behind its length, over the certificate as it is without any.
fn timestamp(body: &[u8], issuer: &[u8], issued_at: u64, mint: &Mint) -> Result<Vec<u8>, PlanError> {
    // Version 1; a certificate's timestamp; of a certificate that is yet to be signed.
    const VERSION: [u8; 1] = [0];
    const KIND: [u8; 1] = [0];
    const PRECERTIFICATE: [u8; 2] = [0, 1];
    const NO_EXTENSIONS: [u8; 2] = [0, 0];
    const ECDSA_WITH_SHA256: [u8; 2] = [4, 3];
    let log = LabKey::ephemeral(mint)?;
    let at = issued_at.to_be_bytes();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let signed = [&VERSION[..], &KIND, &at, &PRECERTIFICATE, issuer, &length[1..], body, &NO_EXTENSIONS].concat();
    let signature = with_length(&log.sign(&signed)?);
    let id = Sha256::digest(log.subject_public_key_info());
    Ok(with_length(&[&VERSION[..], &id, &at, &NO_EXTENSIONS, &ECDSA_WITH_SHA256, &signature].concat()))
}

/// Behind a length of two bytes.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()[..], bytes].concat()
}
