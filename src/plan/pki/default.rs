//! The certificates that products make when they are installed.

use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

use super::{
    super::{keys::LabKey, mint::Mint},
    DAY, PlanError,
    reissue::{Body, Scheme},
};
use crate::scenario::{DefaultCertificate, WeakHash};

/// emailAddress of PKCS#9 (RFC 2985, 5.2.1).
const EMAIL_ADDRESS: &[u64] = &[1, 2, 840, 113_549, 1, 9, 1];

/// In DER, as if the product was installed a month ago; Exim makes its own at start, and again every two hours.
pub(super) fn certificate(product: DefaultCertificate, host: &str, key: &LabKey, mint: &Mint) -> Result<Vec<u8>, PlanError> {
    let now = mint.now;
    let installed = now - DAY * 30;
    let (names, entries, not_before, not_after): (&[&str], &[(DnType, &str)], _, _) = match product {
        DefaultCertificate::Snakeoil => (&["mail"], &[(DnType::CommonName, "mail")], installed, installed + DAY * 3650),
        DefaultCertificate::Exim => (
            &[],
            &[(DnType::CountryName, "UK"), (DnType::OrganizationName, "Exim Developers"), (DnType::CommonName, host)],
            now - DAY / 24,
            now + DAY / 24,
        ),
        DefaultCertificate::Plesk => (
            &[],
            &[
                (DnType::CountryName, "CH"),
                (DnType::LocalityName, "Schaffhausen"),
                (DnType::OrganizationName, "Plesk"),
                (DnType::CommonName, "Plesk"),
            ],
            installed,
            installed + DAY * 365,
        ),
        DefaultCertificate::Exchange => {
            (&["EX01", "EX01.corp.local"], &[(DnType::CommonName, "EX01")], installed, installed + DAY * 1826)
        }
    };
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    for (kind, text) in entries {
        params.distinguished_name.push(kind.clone(), *text);
    }
    (params.not_before, params.not_after) = (not_before, not_after);
    match product {
        DefaultCertificate::Snakeoil => params.is_ca = IsCa::ExplicitNoCa,
        DefaultCertificate::Exim => {}
        // Its mail address is an IA5String, which no common kind of attribute is.
        DefaultCertificate::Plesk => {
            let mail = DnValue::Ia5String("info@plesk.com".try_into()?);
            params.distinguished_name.push(DnType::CustomDnType(EMAIL_ADDRESS.to_vec()), mail);
        }
        DefaultCertificate::Exchange => {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
    }
    let certificate = params.self_signed(key)?.der().to_vec();
    match product {
        // Until Exchange 2016 CU22 and 2019 CU11.
        DefaultCertificate::Exchange => Body::of(&certificate)?.sign(Scheme::Weak(WeakHash::Sha1), key, mint),
        DefaultCertificate::Snakeoil | DefaultCertificate::Exim | DefaultCertificate::Plesk => Ok(certificate),
    }
}
