//! What a certificate says of the one that issued it (RFC 5280, 4.2.1.1).

use x509_parser::{
    extensions::{AuthorityKeyIdentifier, GeneralName, ParsedExtension},
    prelude::{FromDer as _, X509Certificate},
};

use super::spelling::canonical;
use crate::facts::Certificate;

/// What of an issuer is not as a certificate says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Its subject key identifier.
    Key,
    /// Its serial number.
    SerialNumber,
    /// The name of its own issuer.
    Issuer,
}

/// The first that differs, in the order in which OpenSSL looks (`X509_check_akid`); none where all that is said fits.
pub fn mismatch(child: &X509Certificate, issuer: &X509Certificate) -> Option<Mismatch> {
    let named = authority(child)?;
    if is_key_named(child, issuer) == Some(false) {
        return Some(Mismatch::Key);
    }
    if named.authority_cert_serial.is_some_and(|serial| serial != issuer.raw_serial()) {
        return Some(Mismatch::SerialNumber);
    }
    let name = named.authority_cert_issuer.iter().flatten().find_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(canonical(name)),
        _ => None,
    });
    name.is_some_and(|name| name != canonical(issuer.issuer())).then_some(Mismatch::Issuer)
}

/// The same of certificates as they were sent; none where one cannot be read.
pub fn mismatch_of(child: &Certificate, issuer: &Certificate) -> Option<Mismatch> {
    let (_, child) = X509Certificate::from_der(child.der()).ok()?;
    let (_, issuer) = X509Certificate::from_der(issuer.der()).ok()?;
    mismatch(&child, &issuer)
}

/// Whether the key that a certificate says it was signed with is what the issuer calls its key; none where either says nothing.
pub fn is_key_named(child: &X509Certificate, issuer: &X509Certificate) -> Option<bool> {
    let named = authority(child)?.key_identifier.as_ref()?.0;
    let own = issuer.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
        _ => None,
    });
    Some(named == own?)
}

fn authority<'a>(certificate: &'a X509Certificate<'a>) -> Option<&'a AuthorityKeyIdentifier<'a>> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => Some(identifier),
        _ => None,
    })
}
