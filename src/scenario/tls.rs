//! What a scenario may say of TLS: the correct world's settings, and the faults of a TLS stack.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::HandshakeEnd as HandshakeEndSchema;
use crate::tls::{Alert, Group, SignatureScheme, Suite, Version};

/// The TLS settings of the correct world.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsSpec {
    /// The lowest version offered; that of the kind of server if absent.
    pub min: Option<TlsVersion>,
    /// The highest version offered; that of the kind of server if absent.
    pub max: Option<TlsVersion>,
    /// TLS as the product ships it, old versions and suites included.
    #[schemars(extend("const" = true))]
    pub stock: Option<bool>,
    /// Whose order decides among the suites; that of the kind of server if absent.
    pub preference: Option<Order>,
    /// The key exchange groups, in the server's order; those of the kind of server if absent.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub groups: Option<Vec<Group>>,
}

/// A TLS version that a correct server may offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

impl From<TlsVersion> for Version {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::Tls12 => Self::Tls12,
            TlsVersion::Tls13 => Self::Tls13,
        }
    }
}

/// Whose order of suites decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The server's.
    Server,
    /// The client's.
    Client,
}

/// An old or odd TLS stack: what it has instead of what the kind of server has. However many keys, it is one fault.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StackFault {
    /// Exactly these versions.
    #[schemars(length(min = 1, max = 6), extend("uniqueItems" = true))]
    pub versions: Option<Vec<Version>>,
    /// Exactly these suites, in the server's order. Where none of TLS 1.3 is named, those of TLS 1.3 stay.
    #[schemars(length(min = 1, max = 400), extend("uniqueItems" = true))]
    pub suites: Option<Vec<Suite>>,
    /// Exactly these key exchange groups, in the server's order.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub groups: Option<Vec<Group>>,
    /// The key exchange of TLS 1.2 is signed with one of these schemes only.
    #[schemars(length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub schemes: Option<Vec<SignatureScheme>>,
    /// The group of finite-field Diffie-Hellman up to TLS 1.2.
    pub dh_group: Option<DhGroupName>,
    /// Whose order decides among the suites.
    pub preference: Option<Order>,
    /// Up to TLS 1.2, DEFLATE is chosen where it is offered (RFC 3749).
    #[schemars(extend("const" = true))]
    pub compression: Option<bool>,
    /// Secure renegotiation is not confirmed (RFC 5746).
    #[schemars(extend("const" = true))]
    pub no_secure_renegotiation: Option<bool>,
    /// The extended master secret is not confirmed (RFC 7627).
    #[schemars(extend("const" = true))]
    pub no_extended_master_secret: Option<bool>,
    /// Encrypt-then-MAC is not confirmed (RFC 7366).
    #[schemars(extend("const" = true))]
    pub no_encrypt_then_mac: Option<bool>,
    /// Session tickets are not confirmed (RFC 5077).
    #[schemars(extend("const" = true))]
    pub no_session_tickets: Option<bool>,
    /// What it does with an offer that has nothing in common with its own; it sends an alert if absent.
    pub refusal: Option<HandshakeEnd>,
}

impl StackFault {
    /// Whether any key is set.
    pub fn says_anything(&self) -> bool {
        let Self {
            versions,
            suites,
            groups,
            schemes,
            dh_group,
            preference,
            compression,
            no_secure_renegotiation,
            no_extended_master_secret,
            no_encrypt_then_mac,
            no_session_tickets,
            refusal,
        } = self;
        let flags = [compression, no_secure_renegotiation, no_extended_master_secret, no_encrypt_then_mac, no_session_tickets];
        versions.is_some()
            || suites.is_some()
            || groups.is_some()
            || schemes.is_some()
            || dh_group.is_some()
            || refusal.is_some()
            || preference.is_some()
            || flags.iter().any(|flag| flag.is_some())
    }
}

/// A finite-field Diffie-Hellman group of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DhGroupName {
    /// 768 bits, RFC 2409, 6.1.
    Modp768,
    /// 1024 bits, RFC 2409, 6.2.
    Modp1024,
    /// 1536 bits, RFC 3526, 2.
    Modp1536,
    /// 2048 bits, RFC 3526, 3.
    Modp2048,
    /// 3072 bits, RFC 3526, 4.
    Modp3072,
    /// 4096 bits, RFC 3526, 5.
    Modp4096,
    /// 2048 bits, RFC 7919, A.1.
    Ffdhe2048,
    /// A safe prime of 512 bits that only the lab has.
    #[serde(rename = "own-512")]
    Own512,
    /// A safe prime of 1024 bits that only the lab has.
    #[serde(rename = "own-1024")]
    Own1024,
    /// The product of two primes, 2048 bits.
    #[serde(rename = "composite-2048")]
    Composite2048,
    /// A prime of 2048 bits that is not safe: its group has small subgroups.
    #[serde(rename = "unsafe-2048")]
    Unsafe2048,
}

/// What a server does with the name in the ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SniFault {
    /// A hello without a name is refused (RFC 8461, 4.1: a server must not).
    Required,
    /// A hello with a name other than the host's is refused.
    ForeignRejected,
    /// A hello with no name is refused, and one with another than the host's.
    Strict,
    /// A hello with any name is refused, the host's own among them.
    NamesRejected,
    /// Without the host's name another certificate is sent: a self-signed one.
    OtherCertificate,
    /// The same, and it stands for the key of the host's own certificate.
    OtherCertificateSameKey,
}

/// The server asks its clients for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientCertificateFault {
    /// The size of the list of accepted authorities, in bytes; an empty list if absent.
    #[schemars(range(min = 0, max = 60_000))]
    pub ca_bytes: Option<u16>,
    /// A client without one is refused.
    #[schemars(extend("const" = true))]
    pub required: Option<bool>,
}

/// The server cannot bear a kind of ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct IntoleranceFault {
    /// What it cannot bear.
    pub of: HelloKind,
    /// What it does when that comes; it closes the connection if absent.
    pub r#do: Option<HandshakeEnd>,
}

/// A kind of ClientHello that some servers cannot bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HelloKind {
    /// One that offers TLS 1.3 beside older versions (RFC 8446, 4.2.1).
    Tls13,
    /// One for TLS 1.2 or later, whatever it offers beside (RFC 5246, E.1).
    Tls12,
    /// One of 256 to 511 bytes (RFC 7685, 1).
    MiddleSizedHello,
    /// One of more than 512 bytes.
    LargeHello,
    /// One of more than 1,400 bytes.
    HugeHello,
    /// One in more than one record.
    FragmentedHello,
    /// One for TLS 1.3 that brings no key share, and so asks for a retry (RFC 8446, 4.2.8).
    EmptyKeyShare,
    /// One with an extension that the server does not know (RFC 8701).
    UnknownExtension,
    /// One with more than 64 suites.
    ManySuites,
    /// One with a server name.
    Named,
    /// One that offers the group X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem).
    HybridGroup,
}

/// The handshake breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HandshakeFault {
    /// After which message; the server speaks TLS 1.2 at most, where they are in the clear.
    pub at: Flight,
    /// What the server does then.
    pub r#do: HandshakeEnd,
}

/// The last message of a handshake that is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flight {
    /// The client's first message.
    ClientHello,
    /// The server's first message.
    ServerHello,
    /// The server's certificates.
    Certificate,
    /// The server's half of the key exchange.
    ServerKeyExchange,
    /// The end of the server's first flight.
    Done,
    /// The client's last message.
    Finished,
}

/// What a server does instead of going on with the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HandshakeEnd {
    /// It sends this alert as a fatal one.
    Alert(Alert),
    /// It closes the connection.
    Close,
    /// It resets the connection.
    Reset,
    /// It sends bytes that are no TLS.
    Garbage,
    /// It says nothing more.
    Silence,
    /// It goes on, a byte a second.
    Drip,
}

impl HandshakeEnd {
    const WORDS: [(Self, &str); 5] = [
        (Self::Close, "close"),
        (Self::Reset, "reset"),
        (Self::Garbage, "garbage"),
        (Self::Silence, "silence"),
        (Self::Drip, "drip"),
    ];

    /// Every text that is one.
    pub(super) fn texts() -> Vec<String> {
        let words = Self::WORDS.iter().map(|(_, word)| (*word).to_owned());
        words.chain(Alert::NAMED.iter().map(|(_, name)| format!("alert:{name}"))).collect()
    }
}

impl TryFrom<String> for HandshakeEnd {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let alert = || text.strip_prefix("alert:").and_then(Alert::from_name).map(Self::Alert);
        let word = Self::WORDS.iter().find(|(_, word)| *word == text).map(|(end, _)| *end);
        word.or_else(alert).ok_or_else(|| format!("`{text}` is neither `alert:` and a name, nor `close`, `reset`, …"))
    }
}

impl From<HandshakeEnd> for String {
    fn from(end: HandshakeEnd) -> Self {
        match end {
            HandshakeEnd::Alert(alert) => format!("alert:{alert}"),
            other => {
                let word = HandshakeEnd::WORDS.iter().find(|(end, _)| *end == other);
                word.map(|(_, word)| (*word).to_owned()).unwrap_or_default()
            }
        }
    }
}

impl JsonSchema for HandshakeEnd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        HandshakeEndSchema::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        HandshakeEndSchema::json_schema(generator)
    }
}
