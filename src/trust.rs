//! Named sets of trust anchors. They are inputs of a check, never ambient: the lab
//! passes its own, `mtalab check` passes Mozilla's unless told otherwise.

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

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
    Pem(rustls_pki_types::pem::Error),
    /// The system's own store cannot be read.
    #[error("the trust store of this system cannot be read: {0}; SSL_CERT_FILE or SSL_CERT_DIR may name another")]
    System(String),
    /// No certificate in it.
    #[error("no certificate in it; expected `-----BEGIN CERTIFICATE-----`")]
    Empty,
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
        let anchors = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(TrustError::Pem)?;
        if anchors.is_empty() {
            return Err(TrustError::Empty);
        }
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
