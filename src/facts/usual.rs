//! What the usual handshake of a session offers, by which it is known what a refusal of it leaves open.

use super::{KeyAlgorithm, PublicKey};
use crate::tls::{Group, Suite};

/// Whether it offers a suite: those of TLS 1.3, and ECDHE with AEAD.
pub fn offers_suite(suite: Suite) -> bool {
    let name = suite.name().unwrap_or_default();
    let is_aead = ["_AES_128_GCM_", "_AES_256_GCM_", "_CHACHA20_"].iter().any(|cipher| name.contains(cipher));
    (suite.is_tls13() || name.starts_with("TLS_ECDHE_")) && is_aead
}

/// Whether it offers a group.
pub fn offers_group(group: Group) -> bool {
    matches!(group.name(), Some("secp256r1" | "secp384r1" | "x25519" | "X25519MLKEM768"))
}

/// Whether it can be finished with a certificate for that key.
pub fn takes_key(key: &PublicKey) -> bool {
    match key.algorithm {
        KeyAlgorithm::Rsa | KeyAlgorithm::Ed25519 => true,
        KeyAlgorithm::Ec => key.is_on_common_curve(),
        KeyAlgorithm::RsaPss | KeyAlgorithm::Ed448 | KeyAlgorithm::Other => false,
    }
}
