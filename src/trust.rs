//! Named sets of trust anchors. They are inputs of a check, never ambient: the lab
//! passes its own, `mtalab check` passes Mozilla's unless told otherwise.

use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::asn1_rs::{Any, FromDer as _, Tag};

use crate::wire::WireText;

/// A set of trust anchors with a name that reports use.
#[derive(Clone, Debug)]
pub struct TrustStore {
    /// `mozilla`, or the name of a file.
    pub name: String,
    /// Whether the world trusts these roots. A path to a private one is no public certificate.
    pub public: bool,
    /// The roots, as self-signed certificates.
    pub anchors: Vec<CertificateDer<'static>>,
}

/// Why a file is no trust store. The one who named the file is at fault.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The text is not PEM.
    #[error("not a PEM file of certificates: {0}")]
    Pem(WireText),
    /// The system's own store cannot be read.
    #[error("the trust store of this system cannot be read: {0}; SSL_CERT_FILE or SSL_CERT_DIR may name another")]
    System(String),
    /// A key, which nobody should hand around.
    #[error("it holds a private key and no certificate; name the file with the certificate, the key is not needed")]
    Key,
    /// A container that needs a password.
    #[error("it is a PKCS #12 file; `openssl pkcs12 -in FILE -nokeys` writes its certificates as PEM")]
    Pkcs12,
    /// No certificate in it.
    #[error("no certificate in it; expected `-----BEGIN CERTIFICATE-----`")]
    Empty,
}

/// The certificates of a PEM file, in their order, under all names that OpenSSL writes (`PEM_STRING_X509`, `_OLD` and
/// `_TRUSTED`), in DER; there is at least one. Nobody has read them yet.
pub fn certificates_in(text: &[u8]) -> Result<Vec<Vec<u8>>, TrustError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let blocks = pem::parse_many(text).map_err(|error| TrustError::Pem(WireText::from(&*error.to_string())))?;
    let certificates: Vec<Vec<u8>> = blocks
        .iter()
        .filter_map(|block| match block.tag() {
            "CERTIFICATE" | "X509 CERTIFICATE" => Some(block.contents().to_vec()),
            // What it is trusted for follows the certificate.
            "TRUSTED CERTIFICATE" => Some(first_value(block.contents()).to_vec()),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true if blocks.iter().any(|block| block.tag().ends_with("PRIVATE KEY")) => Err(TrustError::Key),
        true => Err(TrustError::Empty),
        false => Ok(certificates),
    }
}

/// The certificates of a file, whether it is PEM or one certificate in DER.
pub fn certificates_of_file(bytes: &[u8]) -> Result<Vec<Vec<u8>>, TrustError> {
    if !bytes.starts_with(&[0x30]) {
        return certificates_in(bytes);
    }
    // A certificate begins with a sequence (RFC 5280, 4.1), keys and PKCS #12 with their version (RFC 5958, 2; RFC 8017, A.1.2;
    // RFC 5915, 3; RFC 7292, 4).
    let first = Any::from_der(bytes).ok().and_then(|(_, outer)| Any::from_der(outer.data).ok().map(|(_, first)| first));
    match first {
        Some(first) if first.tag() == Tag::Integer && first.data == [3] => Err(TrustError::Pkcs12),
        Some(first) if first.tag() == Tag::Integer => Err(TrustError::Key),
        // One that is encrypted begins with how (RFC 5958, 3).
        Some(first) if Any::from_der(first.data).is_ok_and(|(_, inner)| inner.tag() == Tag::Oid) => Err(TrustError::Key),
        _ => Ok(vec![bytes.to_vec()]),
    }
}

/// The first value of several in DER; all of it where that cannot be read.
fn first_value(der: &[u8]) -> &[u8] {
    let rest = Any::from_der(der).map_or(0, |(rest, _)| rest.len());
    &der[..der.len() - rest]
}

impl TrustStore {
    /// Mozilla's root programme, as compiled in.
    pub fn mozilla() -> Self {
        Self { name: "mozilla".to_owned(), public: true, anchors: webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec() }
    }

    /// What this system trusts, as its owner has set it up: companies add roots of their own.
    pub fn system() -> Result<Self, TrustError> {
        let loaded = rustls_native_certs::load_native_certs();
        match (loaded.certs.is_empty(), loaded.errors.first()) {
            (true, Some(error)) => Err(TrustError::System(error.to_string())),
            (true, None) => Err(TrustError::System("no certificates were found".to_owned())),
            (false, _) => Ok(Self { name: "system".to_owned(), public: true, anchors: loaded.certs }),
        }
    }

    /// The certificates of a PEM file.
    pub fn from_pem(name: &str, public: bool, pem: &[u8]) -> Result<Self, TrustError> {
        let anchors = certificates_in(pem)?.into_iter().map(CertificateDer::from).collect();
        Ok(Self { name: name.to_owned(), public, anchors })
    }

    /// The SHA-256 over the roots in DER, in their order, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let hash = self.anchors.iter().fold(Sha256::new(), |hash, anchor| hash.chain_update(anchor));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The roots as PEM, for programs that take a CA file.
    pub fn to_pem(&self) -> String {
        let blocks: Vec<_> = self.anchors.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref())).collect();
        pem::encode_many_config(&blocks, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("CERTIFICATE", Some(4))]
    #[case("X509 CERTIFICATE", Some(4))]
    // `openssl x509 -trustout` puts behind it what it is trusted for.
    #[case("TRUSTED CERTIFICATE", Some(2))]
    #[case("CERTIFICATE REQUEST", None)]
    fn a_store_holds_certificates(#[case] label: &str, #[case] bytes: Option<usize>) {
        let text = pem::encode(&pem::Pem::new(label, [0x30, 0x00, 0x30, 0x00]));
        let store = TrustStore::from_pem("a file", false, text.as_bytes());
        assert_eq!(store.ok().map(|store| store.anchors[0].len()), bytes);
    }

    #[test]
    fn a_key_or_a_container_is_told_from_a_certificate() {
        let why =
            |bytes: &[u8]| certificates_of_file(bytes).map(|all| all.len()).map_err(|error| error.to_string()[..14].to_owned());
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let (private, pkcs12) = (Err("it holds a pri".to_owned()), Err("it is a PKCS #".to_owned()));
        assert_eq!(why(certificate.der()), Ok(1));
        assert_eq!(why(&key.serialize_der()), private);
        assert_eq!(why(key.serialize_pem().as_bytes()), private);
        // Encrypted: the algorithm first.
        assert_eq!(why(&[0x30, 9, 0x30, 4, 6, 2, 0x2a, 3, 4, 1, 0]), private);
        assert_eq!(why(&[0x30, 5, 2, 1, 3, 0x30, 0]), pkcs12);
        // What is neither is said to be unreadable by whoever reads it.
        assert_eq!(why(&[0x30, 0]), Ok(1));
    }
}
