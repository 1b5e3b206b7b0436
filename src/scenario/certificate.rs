//! The certificate of a scenario: what is right about it, and what can be wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{schema::CertificateName, types::DurationText};

/// The certificate of the correct world. Every value here is right; faults are in `[fault]`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateSpec {
    /// The key; RSA with 2048 bits if absent.
    pub key: Option<Key>,
    /// The key of a second certificate beside it, of another algorithm; there is no second one if absent.
    pub second_key: Option<Key>,
    /// The dNSName entries; the host name if absent. May hold wildcards.
    #[schemars(with = "Option<Vec<CertificateName>>", length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub names: Option<Vec<String>>,
    /// The CN of the subject; the first name if absent, none if empty.
    #[schemars(length(max = 64))] // RFC 5280, A.1: ub-common-name
    pub common_name: Option<String>,
    /// How long it has been valid; 10 days if absent.
    pub valid_since: Option<DurationText>,
    /// How long it will be valid; 36 days if absent.
    pub valid_for: Option<DurationText>,
    /// How many more names it has, of hosts that are not this one.
    #[schemars(range(min = 1, max = 10_000))]
    pub more_names: Option<u16>,
    /// Whether the server also sends the root.
    pub send_root: Option<bool>,
    /// What its extended key usage says; that it is for TLS servers if absent.
    pub usage: Option<Usage>,
    /// The server staples an OCSP response to it.
    #[schemars(extend("const" = true))]
    pub staple: Option<bool>,
    /// It promises a staple (RFC 7633), which then comes.
    #[schemars(extend("const" = true))]
    pub must_staple: Option<bool>,
    /// How its CA signs it; ECDSA if absent.
    pub signature: Option<SignatureScheme>,
    /// Its CA may certify a name of this kind only, which it has; any name if absent.
    pub issuer_permits: Option<NameKind>,
}

/// A kind of name besides host names that a CA can be limited to (RFC 5280, 4.2.1.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NameKind {
    /// The subject.
    Subject,
    /// A mail address.
    Mail,
    /// The host in a URI.
    Uri,
    /// An IP address.
    Address,
}

/// What a trust store may hold instead of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnchorFault {
    /// The intermediate that signed.
    Intermediate,
    /// The server's certificate.
    Certificate,
}

/// A kind of key that is strong enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// RSA, 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA, 2056 bits: whole bytes, and no whole words.
    #[serde(rename = "rsa-2056")]
    Rsa2056,
    /// RSA, 3072 bits.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA, 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    /// RSA, 8192 bits.
    #[serde(rename = "rsa-8192")]
    Rsa8192,
    /// RSA, 16384 bits.
    #[serde(rename = "rsa-16384")]
    Rsa16384,
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// ECDSA on P-521.
    #[serde(rename = "ecdsa-p521")]
    EcdsaP521,
    /// Ed25519.
    #[serde(rename = "ed25519")]
    Ed25519,
}

/// A kind of key that senders do not take, or that is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OddKey {
    /// RSA, 2048 bits, with the public exponent 3.
    #[serde(rename = "rsa-exponent-3")]
    Exponent3,
    /// RSA, 2048 bits, of two primes that are neighbours: factored at once (CVE-2022-26320).
    #[serde(rename = "rsa-close-primes")]
    ClosePrimes,
    /// RSA, 2048 bits, of primes as Infineon's chips made them (CVE-2017-15361).
    #[serde(rename = "rsa-roca")]
    Roca,
    /// RSA, 2048 bits, an example of RFC 9500: everybody has its private half.
    #[serde(rename = "rsa-published")]
    Published,
    /// RSA, 2048 bits, that says it signs with PSS alone (RFC 4055, 1.2).
    #[serde(rename = "rsa-pss")]
    PssAlone,
    /// ECDSA on P-192.
    #[serde(rename = "ecdsa-p192")]
    EcdsaP192,
    /// ECDSA on P-224.
    #[serde(rename = "ecdsa-p224")]
    EcdsaP224,
    /// ECDSA on secp256k1.
    #[serde(rename = "ecdsa-secp256k1")]
    EcdsaSecp256k1,
    /// ECDSA on brainpoolP256r1.
    #[serde(rename = "ecdsa-brainpool-p256r1")]
    EcdsaBrainpoolP256r1,
    /// ECDSA on brainpoolP384r1.
    #[serde(rename = "ecdsa-brainpool-p384r1")]
    EcdsaBrainpoolP384r1,
    /// ECDSA on P-256, whose parameters stand in place of its name (RFC 5480, 2.1.1, forbids it).
    #[serde(rename = "ecdsa-explicit")]
    EcdsaExplicit,
}

impl OddKey {
    /// Whether it is an RSA key.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Exponent3 | Self::ClosePrimes | Self::Roca | Self::Published | Self::PssAlone)
    }
}

impl Key {
    /// `RSA`, `ECDSA` or `Ed25519`.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Rsa2048 | Self::Rsa2056 | Self::Rsa3072 | Self::Rsa4096 | Self::Rsa8192 | Self::Rsa16384 => "RSA",
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => "ECDSA",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// A hash too weak for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeakHash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-224, which only guidelines take for weak.
    Sha224,
}

/// What the extended key usage of a correct certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Usage {
    /// Nothing: there is no such extension.
    Unstated,
}

/// How a correct certificate is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureScheme {
    /// RSASSA-PSS with SHA-256.
    RsassaPss,
}

/// A chain that was put together wrongly, or that has a long history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChainFault {
    /// Another intermediate of the same root is sent instead of the one that signed.
    WrongIntermediate,
    /// The server's certificate is sent twice.
    DuplicateLeaf,
    /// Eighteen certificates stand between the server's and the root.
    TwentyCertificates,
    /// A cross-certificate of a root that expired is sent, beside the way to one that did not.
    ExpiredCrossCertificate,
    /// Two CAs certify each other, and nobody else certifies either.
    Cycle,
    /// Of two certificates of the CA that signed, the first says that it is no CA, and the second is right.
    BadAlternativeFirst,
    /// The same the other way round, which does no harm.
    BadAlternativeLast,
}

/// What is wrong with the certificate of the CA that signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IssuerFault {
    /// Its basic constraints say that it is no CA.
    NotACa,
    /// The CA above it allows no further CA below.
    PathLength,
    /// Its key usage lacks keyCertSign.
    MayNotSign,
    /// Its name constraints permit other names only.
    NamesNotPermitted,
    /// Its name constraints exclude the host.
    NamesExcluded,
    /// Its extended key usage is for clients only.
    ClientsOnly,
    /// It is of X.509 version 1.
    #[serde(rename = "version-1")]
    Version1,
    /// It has a critical extension that nobody knows.
    UnknownCritical,
    /// It has critical policy constraints, which some verifiers do not know.
    PolicyConstraints,
    /// It is signed with SHA-1.
    Sha1,
    /// The server's certificate writes its name otherwise than it does itself.
    SpelledOtherwise,
    /// Its extended key usage is server-gated cryptography, as in the nineties.
    GatedUsage,
    /// Its key is the server's RSA key.
    SameKey,
}

/// A certificate that is not formed as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FormFault {
    /// It is of X.509 version 1, without any extension.
    #[serde(rename = "version-1")]
    Version1,
    /// The serial number is negative.
    NegativeSerial,
    /// The serial number is zero.
    ZeroSerial,
    /// The serial number takes 21 octets.
    LongSerial,
    /// An extension is there twice.
    DuplicateExtension,
    /// A bit of the signature is not what the CA wrote.
    CorruptSignature,
    /// The algorithm outside of the signed part is not the one inside.
    TwoAlgorithms,
    /// It is of X.509 version 2, with the extensions of version 3.
    #[serde(rename = "version-2")]
    Version2,
    /// The salt of its RSASSA-PSS signature is shorter than the hash.
    ShortSalt,
}

/// An extension of the server's certificate that says the wrong thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExtensionFault {
    /// The basic constraints say that it is a CA.
    IsACa,
    /// The key usage allows key encipherment only, which TLS 1.3 and ephemeral key exchange do not use.
    EnciphermentOnly,
    /// The extended key usage is for anything (anyExtendedKeyUsage), and for TLS servers not by name.
    AnyUsage,
    /// The extended key usage is server-gated cryptography, as in the nineties.
    GatedUsage,
    /// The key usage allows nothing that TLS needs.
    NoUseInTls,
    /// A critical extension that nobody knows.
    UnknownCritical,
    /// The authority key identifier is not that of the CA that signed.
    OtherKeyIdentifier,
}

/// Names that are not what they look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NamesFault {
    /// A wildcard for a part of a label: `m*.lab.test`.
    PartialWildcard,
    /// A wildcard alone: `*`.
    BareWildcard,
    /// Two wildcards: `*.*.test`.
    TwoWildcards,
    /// A wildcard that is not the left-most label: `mx.*.test`.
    InnerWildcard,
    /// The host's name, and a wildcard for everybody's names: `*.co.uk`.
    PublicWildcard,
    /// The host's name with a byte that is no UTF-8.
    Latin1,
    /// The host's name, and a name without a letter.
    Empty,
    /// The host's name behind a dot at its end: `mx.lab.test.`.
    TrailingDot,
    /// The host's name, a zero byte, and another name.
    Nul,
    /// The host's name in U-labels, where A-labels belong.
    ULabel,
    /// An IP address, as an iPAddress and alone.
    IpAddress,
    /// An IP address as a dNSName.
    IpAsName,
    /// Names of the inside: `EX01` and `EX01.corp.local`.
    Internal,
    /// `localhost`.
    Localhost,
}

/// Dates that no CA writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ValidityFault {
    /// The end lies before the beginning.
    Inverted,
    /// Ten years.
    TenYears,
    /// Over before 1970, where some clocks begin.
    BeforeUnixEpoch,
    /// Until after 2049, where the notation of dates changes (RFC 5280, 4.1.2.5).
    #[serde(rename = "after-2049")]
    After2049,
}

/// The certificate that a product makes when it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultCertificate {
    /// Debian's ssl-cert: ten years, for the machine's own name.
    Snakeoil,
    /// Exim: two hours, of the `Exim Developers`.
    Exim,
    /// Plesk: a year, for nobody, of its maker.
    Plesk,
    /// Exchange: five years, signed with SHA-1, for the machine's short name and its name inside.
    Exchange,
}
