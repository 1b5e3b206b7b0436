//! The TLS of senders: what each library offers as Debian builds it, and what it takes of a server.

use crate::{
    facts::{HelloTrait, KeyAlgorithm, PublicKey},
    tls::{Authentication, Group, GroupKind, Suite, SuiteFamily, Version},
};

/// Who looks at certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// OpenSSL 3 at security level 1, as Postfix uses it where it verifies.
    OpenSsl,
    /// GnuTLS.
    GnuTls,
    /// Windows.
    Schannel,
    /// Not known.
    Other,
}

/// TLS as a sender speaks it.
#[derive(Debug)]
pub struct Client {
    /// For sentences.
    pub name: &'static str,
    /// Who looks at the certificate.
    pub library: Library,
    /// The oldest version that it offers; it offers all from there to TLS 1.3.
    pub oldest: Version,
    /// Whether it offers a suite.
    pub suites: fn(Suite) -> bool,
    /// Whether it offers a group.
    pub groups: fn(Group) -> bool,
    /// Whether some of its releases offer it.
    pub later_groups: fn(Group) -> bool,
    /// The shortest finite-field group that it takes.
    pub least_dh: u32,
    /// Whether it takes a server's key in the handshake.
    pub keys: fn(&PublicKey) -> bool,
    /// Whether it is Postfix, which has ways of its own with some servers.
    pub is_postfix: bool,
    /// Whether it takes the keyword STARTTLS in upper case only (RFC 5321, 4.1.1.1, has no such difference).
    pub minds_case: bool,
    /// Whether it names the server in its hello.
    pub names_server: bool,
    /// What of its hello some servers cannot bear; none where that is not known.
    pub hello: Option<&'static [HelloTrait]>,
    /// Whether every version of it has TLS 1.3.
    pub always_has_tls13: bool,
}

/// Postfix where it does not verify: security level 0.
pub const POSTFIX: Client = Client {
    name: "Postfix",
    library: Library::OpenSsl,
    oldest: Version::Tls10,
    suites: openssl_suite,
    groups: postfix_group,
    // tls_ffdhe_auto_groups, from 3.8 on; its OpenSSL offers more of itself where both lists are left empty, from 3.10 on.
    later_groups: |group| matches!(group.name(), Some("ffdhe2048" | "ffdhe3072" | "X25519MLKEM768")),
    // OpenSSL takes no shorter one at any level.
    least_dh: 1024,
    keys: |key| openssl_key(key, 0),
    is_postfix: true,
    minds_case: false,
    names_server: false,
    // It is padded to 512 bytes (RFC 7685).
    hello: Some(&[HelloTrait::Tls13, HelloTrait::NothingInTls13, HelloTrait::ManySuites]),
    always_has_tls13: true,
};

/// Postfix where it does: security level 1, which OpenSSL 3 takes for the end of TLS 1.0 and 1.1, since their signatures
/// are of MD5 and SHA-1; and no anonymous suites.
pub const POSTFIX_VERIFYING: Client = Client {
    name: "Postfix where it verifies",
    oldest: Version::Tls12,
    suites: |suite| openssl_suite(suite) && suite.authentication() != Authentication::Anonymous,
    keys: |key| openssl_key(key, 1024),
    ..POSTFIX
};

/// Postfix where TLSA records count: it names their base domain in its hello (RFC 7672, 8.1).
pub const POSTFIX_DANE: Client = Client { name: "Postfix with DANE", names_server: true, ..POSTFIX_VERIFYING };

/// Exim with GnuTLS and its priority `NORMAL`.
pub const EXIM: Client = Client {
    name: "Exim",
    library: Library::GnuTls,
    oldest: Version::Tls10,
    suites: gnutls_suite,
    groups: gnutls_group,
    later_groups: |_| false,
    // tls_dh_min_bits.
    least_dh: 1024,
    keys: |key| common_key(key) || matches!(key.algorithm, KeyAlgorithm::RsaPss | KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448),
    is_postfix: false,
    minds_case: true,
    names_server: false,
    hello: Some(&[HelloTrait::Tls13, HelloTrait::NothingInTls13, HelloTrait::MiddleSized]),
    always_has_tls13: true,
};

/// Exim where TLSA records count: it names the host in its hello.
pub const EXIM_DANE: Client = Client { name: "Exim with DANE", names_server: true, ..EXIM };

/// Exchange on a Windows that is looked after.
pub const EXCHANGE: Client = Client {
    name: "Exchange",
    library: Library::Schannel,
    oldest: Version::Tls12,
    suites: |suite| gnutls_suite(suite) && !named(suite, &["CCM", "CHACHA20"]),
    groups: |group| matches!(group.name(), Some("x25519" | "secp256r1" | "secp384r1")),
    later_groups: |_| false,
    least_dh: 1024,
    // Of Ed25519 Schannel knows nothing: it is in none of Microsoft's lists, and Windows finds such a certificate to be of an
    // invalid algorithm (rustls-platform-verifier, issue 195).
    keys: |key| common_key(key) && !(key.is_rsa() && key.bits < 1024),
    is_postfix: false,
    minds_case: false,
    names_server: true,
    hello: None,
    always_has_tls13: false,
};

/// Gmail, which asks for TLS 1.2 at least under a policy of MTA-STS; of its library nothing is documented.
pub const GMAIL: Client = Client { name: "Gmail", library: Library::Other, ..EXCHANGE };

/// A gateway of which nothing is known but that it is looked after.
pub const GATEWAY: Client = Client { name: "a gateway", library: Library::Other, ..EXCHANGE };

fn named(suite: Suite, words: &[&str]) -> bool {
    let name = suite.name().unwrap_or_default();
    words.iter().any(|word| name.contains(word))
}

/// Debian builds OpenSSL without RC4, DES and triple DES; `tls_medium_cipherlist` of Postfix has no suite without encryption.
fn openssl_suite(suite: Suite) -> bool {
    use SuiteFamily::{Export, Null, Rc4, SingleDes, TripleDes};
    let is_gone = [Null, Export, Rc4, SingleDes, TripleDes].into_iter().any(|family| suite.is_in(family));
    let is_static = named(suite, &["TLS_DH_RSA", "TLS_DH_DSS", "TLS_ECDH_RSA", "TLS_ECDH_ECDSA"]);
    let is_other = named(suite, &["PSK", "SRP", "KRB5", "GOST", "SEED", "IDEA", "_SM4_"]);
    suite.name().is_some() && !is_gone && !is_static && !is_other
}

fn gnutls_suite(suite: Suite) -> bool {
    let is_kept = named(suite, &["_AES_128_", "_AES_256_", "CHACHA20"]) && !named(suite, &["ARIA", "CAMELLIA"]);
    let is_exchange = suite.is_tls13() || named(suite, &["TLS_ECDHE_RSA", "TLS_ECDHE_ECDSA", "TLS_DHE_RSA", "TLS_RSA_WITH"]);
    is_kept && is_exchange && suite.authentication() != Authentication::Anonymous
}

/// `tls_eecdh_auto_curves` of Postfix.
fn postfix_group(group: Group) -> bool {
    matches!(group.name(), Some("x25519" | "x448" | "secp256r1" | "secp384r1" | "secp521r1"))
}

/// What GnuTLS has by default.
fn gnutls_group(group: Group) -> bool {
    postfix_group(group) || group.kind() == Some(GroupKind::FiniteField)
}

fn common_key(key: &PublicKey) -> bool {
    key.algorithm == KeyAlgorithm::Rsa || (key.algorithm == KeyAlgorithm::Ec && key.is_on_common_curve())
}

fn openssl_key(key: &PublicKey, least_rsa: usize) -> bool {
    let is_explicit = key.algorithm == KeyAlgorithm::Ec && key.variant.is_some_and(|variant| variant.contains("explicit"));
    let is_known = is_explicit
        || common_key(key)
        || matches!(key.algorithm, KeyAlgorithm::RsaPss | KeyAlgorithm::Ed25519 | KeyAlgorithm::Ed448);
    is_known && !(key.is_rsa() && key.bits < least_rsa)
}
