//! What a TLS stack offers, and what it makes of a ClientHello.

use super::{
    hello::Hello,
    keys::{Credential, KeyKind},
};
use crate::{
    lab::persona::{DhChoice, EncryptThenMac, Persona},
    plan::TlsPlan,
    scenario::{DhGroupName, Order, TlsVersion},
    tls::{Alert, Authentication, Group, SignatureScheme, Suite, SuiteFamily, Version},
};

const NO_APPLICATION_PROTOCOL: Alert = Alert(120);

/// What a server offers.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub versions: Vec<Version>,
    /// Of all versions, in the server's order.
    pub suites: Vec<Suite>,
    /// In the server's order.
    pub groups: Vec<Group>,
    /// What the key exchange of TLS 1.2 is signed with, in the server's order.
    pub schemes: Vec<SignatureScheme>,
    /// What TLS 1.3 is signed with, likewise.
    schemes_tls13: Vec<SignatureScheme>,
    dh_group: DhChoice,
    pub preference: Order,
    pub compression: bool,
    pub secure_renegotiation: bool,
    pub extended_master_secret: bool,
    encrypt_then_mac: EncryptThenMac,
    pub session_tickets: bool,
    holds_to_curve: bool,
    reads_supported_versions: bool,
    /// The only protocol that it takes by ALPN.
    alpn: Option<&'static str>,
    ssl3_alert: Alert,
}

/// How a hello is answered.
#[derive(Debug)]
pub(super) enum Decision<'a> {
    /// With an alert.
    Refuse(Alert),
    /// With what was chosen.
    Choose(Choice<'a>),
    /// With a HelloRetryRequest for a group (RFC 8446, 4.1.4).
    Retry(Choice<'a>),
}

/// What was chosen of an offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    pub version: Version,
    pub suite: Suite,
    /// The curve or the group of TLS 1.3; none where the suite needs none.
    pub group: Option<Group>,
    /// None where the suite is anonymous.
    pub credential: Option<&'a Credential>,
    /// What the server signs with; none where nothing is signed or, before TLS 1.2, the version decides.
    pub scheme: Option<SignatureScheme>,
}

/// How a suite up to TLS 1.2 exchanges keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// Encrypted to the key of the certificate.
    Rsa,
    /// Encrypted to a short-lived key of 512 bits (RFC 2246, D.1).
    RsaExport,
    /// Diffie-Hellman over a finite field.
    Dhe,
    /// The same with 512 bits.
    DheExport,
    /// Diffie-Hellman over a curve.
    Ecdhe,
    /// Diffie-Hellman with the key of the certificate.
    Ecdh,
}

impl Exchange {
    /// That of a suite, if the lab has it.
    pub fn of(suite: Suite) -> Option<Self> {
        let name = suite.name()?;
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if starts(&["TLS_RSA_EXPORT"]) {
            Some(Self::RsaExport)
        } else if starts(&["TLS_RSA_WITH_"]) {
            Some(Self::Rsa)
        } else if starts(&["TLS_DHE_RSA_EXPORT", "TLS_DH_anon_EXPORT"]) {
            Some(Self::DheExport)
        } else if starts(&["TLS_DHE_RSA_", "TLS_DH_anon_"]) {
            Some(Self::Dhe)
        } else if starts(&["TLS_ECDHE_RSA_", "TLS_ECDHE_ECDSA_", "TLS_ECDH_anon_"]) {
            Some(Self::Ecdhe)
        } else if starts(&["TLS_ECDH_ECDSA_"]) {
            Some(Self::Ecdh)
        } else {
            None
        }
    }

    /// Whether the server sends a ServerKeyExchange.
    pub fn has_message(self) -> bool {
        !matches!(self, Self::Rsa | Self::Ecdh)
    }
}

impl Stack {
    /// What the plan says, where it says nothing the persona.
    pub fn new(plan: &TlsPlan, persona: &'static Persona) -> Self {
        let stock = &persona.stock;
        let mut stack = Self {
            versions: stock.versions.clone(),
            suites: stock.suites.clone(),
            groups: stock.groups.clone(),
            schemes: stock.schemes.clone(),
            schemes_tls13: stock.schemes.clone(),
            dh_group: stock.dh_group,
            preference: stock.preference,
            compression: false,
            secure_renegotiation: true,
            extended_master_secret: stock.extended_master_secret,
            encrypt_then_mac: stock.encrypt_then_mac,
            session_tickets: stock.session_tickets,
            holds_to_curve: stock.holds_to_curve,
            reads_supported_versions: stock.supported_versions,
            alpn: stock.alpn.as_deref(),
            // SSL 3.0 has no alert for it (RFC 6101, 5.4.2).
            ssl3_alert: stock.ssl3_alert.unwrap_or(Alert::HANDSHAKE_FAILURE),
        };
        let settings = &plan.settings;
        if let (Some(range), None) = (&persona.tls, settings.stock) {
            let offered = settings.min.unwrap_or(range.min)..=settings.max.unwrap_or(range.max);
            let both = [TlsVersion::Tls12, TlsVersion::Tls13].into_iter();
            stack.versions = both.filter(|version| offered.contains(version)).map(Version::from).collect();
        }
        if let Some(preference) = settings.preference {
            stack.preference = preference;
        }
        if let Some(groups) = &settings.groups {
            stack.groups.clone_from(groups);
        }
        if plan.client_certificate.is_some() {
            // Postfix: who asks clients for certificates shows one.
            stack.suites.retain(|suite| suite.authentication() != Authentication::Anonymous);
        }
        let is_demanded = plan.client_certificate.is_some_and(|asked| asked.required == Some(true));
        if is_demanded && persona.starttls.no_client_certificate.is_some() {
            // Postfix demands it only where TLS is mandatory, and there leaves OpenSSL's security level, which bars SHA-1.
            stack.schemes.retain(|scheme| scheme.0 >> 8 != 0x02);
        }
        let Some(fault) = &plan.stack else { return stack };
        if let Some(versions) = &fault.versions {
            stack.versions.clone_from(versions);
        }
        if let Some(suites) = &fault.suites {
            let kept = stack.suites.iter().filter(|suite| suite.is_tls13() && !suites.iter().any(|s| s.is_tls13()));
            stack.suites = suites.iter().chain(kept).copied().collect();
        }
        if let Some(groups) = &fault.groups {
            stack.groups.clone_from(groups);
        }
        if let Some(schemes) = &fault.schemes {
            stack.schemes.clone_from(schemes);
        }
        stack.dh_group = fault.dh_group.map_or(stack.dh_group, DhChoice::Fixed);
        stack.preference = fault.preference.unwrap_or(stack.preference);
        stack.compression |= fault.compression.is_some();
        stack.secure_renegotiation &= fault.no_secure_renegotiation.is_none();
        stack.extended_master_secret &= fault.no_extended_master_secret.is_none();
        if fault.no_encrypt_then_mac.is_some() {
            stack.encrypt_then_mac = EncryptThenMac::Never;
        }
        stack.session_tickets &= fault.no_session_tickets.is_none();
        stack
    }

    /// The same without TLS 1.3.
    pub fn in_the_clear(mut self) -> Self {
        self.versions.retain(|version| *version < Version::Tls13);
        if self.versions.is_empty() {
            self.versions.push(Version::Tls12);
        }
        self
    }

    /// Whether encrypt-then-MAC is confirmed for a suite.
    pub fn encrypts_then_macs(&self, suite: Suite) -> bool {
        match self.encrypt_then_mac {
            EncryptThenMac::Never => false,
            EncryptThenMac::Cbc => suite.is_in(SuiteFamily::Cbc),
            EncryptThenMac::CbcAndNull => suite.is_in(SuiteFamily::Cbc) || suite.is_in(SuiteFamily::Null),
        }
    }

    /// The group of finite-field Diffie-Hellman for a choice.
    pub fn dh_group(&self, choice: &Choice) -> DhGroupName {
        if let DhChoice::Fixed(name) = self.dh_group {
            return name;
        }
        // By bits of security, which grow with the modulus as OpenSSL computes them.
        let is_strong_cipher = choice.suite.name().is_some_and(|name| name.contains("_256_") || name.contains("CHACHA20"));
        match choice.credential.map(Credential::rsa_bits) {
            None if is_strong_cipher => DhGroupName::Modp3072,
            None => DhGroupName::Modp1024,
            Some(Some(..1962)) => DhGroupName::Modp1024,
            Some(Some(1962..2670)) => DhGroupName::Modp2048,
            Some(Some(2670..3989) | None) => DhGroupName::Modp3072,
            Some(Some(3989..)) => DhGroupName::Modp4096,
        }
    }

    /// The cipher kinds of SSL 2.0 that are in common with a hello.
    pub fn ssl2_kinds(&self, hello: &Hello) -> Vec<Suite> {
        self.suites.iter().filter(|suite| suite.0 > 0xffff && hello.suites.contains(suite)).copied().collect()
    }

    /// What it makes of a hello.
    pub fn decide<'a>(&self, hello: &Hello, credentials: &'a [Credential]) -> Decision<'a> {
        let by_extension = self.reads_supported_versions || self.versions.contains(&Version::Tls13);
        let common = self.versions.iter().copied().filter(|version| hello.offers(*version, by_extension));
        match common.max() {
            None if hello.version == Version::Ssl3.code() => Decision::Refuse(self.ssl3_alert),
            None => Decision::Refuse(Alert::PROTOCOL_VERSION),
            Some(_) if self.alpn.is_some_and(|own| hello.protocols().is_some_and(|theirs| !theirs.contains(&own.as_bytes()))) => {
                Decision::Refuse(NO_APPLICATION_PROTOCOL)
            }
            Some(Version::Tls13) => self.decide_tls13(hello, credentials),
            Some(version) => match self.choose(version, hello, credentials) {
                Some(choice) => Decision::Choose(choice),
                None => Decision::Refuse(Alert::HANDSHAKE_FAILURE),
            },
        }
    }

    fn decide_tls13<'a>(&self, hello: &Hello, credentials: &'a [Credential]) -> Decision<'a> {
        // RFC 8446, 9.2.
        let (Some(groups), Some(schemes), Some(shares)) = (hello.groups(), hello.schemes(), hello.key_shares()) else {
            return Decision::Refuse(Alert::MISSING_EXTENSION);
        };
        let suite = self.ordered(&self.suites, &hello.suites).find(|suite| suite.is_tls13());
        let is_common = |group: &Group| self.groups.contains(group) && groups.contains(group) && is_for_tls13_group(*group);
        let shared = shares.iter().copied().find(|group| is_common(group));
        let group = shared.or_else(|| self.groups.iter().copied().find(|group| is_common(group)));
        let mut candidates = self.ordered(&self.schemes_tls13, &schemes).filter(|scheme| is_for_tls13(*scheme));
        let signed = candidates.find_map(|scheme| Some((scheme, credentials.iter().find(|c| c.signs(scheme, Version::Tls13))?)));
        let (Some(suite), Some(group), Some((scheme, credential))) = (suite, group, signed) else {
            return Decision::Refuse(Alert::HANDSHAKE_FAILURE);
        };
        let (credential, scheme) = (Some(credential), Some(scheme));
        let choice = Choice { version: Version::Tls13, suite, group: Some(group), credential, scheme };
        if shared.is_some() { Decision::Choose(choice) } else { Decision::Retry(choice) }
    }

    fn choose<'a>(&self, version: Version, hello: &Hello, credentials: &'a [Credential]) -> Option<Choice<'a>> {
        // A client that names no groups would have to take any (RFC 8422, 4); OpenSSL does not count on it.
        let groups = hello.groups().unwrap_or_default();
        let curve = self.ordered(&self.groups, &groups).find(|group| !is_tls13_only(*group));
        // RFC 5246, 7.4.1.4.1: a client that names no schemes takes SHA-1.
        let schemes = hello.schemes().unwrap_or_else(|| vec![SignatureScheme(0x0201), SignatureScheme(0x0203)]);
        let suites = self.ordered(&self.suites, &hello.suites).filter(|suite| works_in(*suite, version));
        let mut chosen = suites.filter_map(|suite| {
            let exchange = Exchange::of(suite)?;
            let group = if exchange == Exchange::Ecdhe { Some(curve?) } else { None };
            let credential = match suite.authentication() {
                Authentication::Anonymous => {
                    return Some(Some(Choice { version, suite, group, credential: None, scheme: None }));
                }
                Authentication::Rsa => credentials.iter().find(|credential| credential.kind == KeyKind::Rsa)?,
                // The client must know the curve of the key too (RFC 8422, 5.1).
                Authentication::Ecdsa => credentials.iter().find(|credential| {
                    let is_known = |curve: Group| groups.contains(&curve) || (!self.holds_to_curve && is_common(curve));
                    credential.kind != KeyKind::Rsa && credential.curve().is_none_or(is_known)
                })?,
                _ => return None,
            };
            if exchange == Exchange::Rsa && !credential.decrypts() {
                return None;
            }
            let scheme = match version {
                _ if !exchange.has_message() => None,
                Version::Tls12 => match self.ordered(&self.schemes, &schemes).find(|scheme| credential.signs(*scheme, version)) {
                    // OpenSSL takes an RSA certificate that could decrypt for one that can sign, and fails too late
                    // to take another suite.
                    None if credential.kind == KeyKind::Rsa => return Some(None),
                    scheme => Some(scheme?),
                },
                _ if credential.kind == KeyKind::Ed25519 => return None,
                _ => None,
            };
            Some(Some(Choice { version, suite, group, credential: Some(credential), scheme }))
        });
        chosen.next().flatten()
    }

    /// What both have, in the order that decides.
    fn ordered<'s, T: Copy + PartialEq>(&self, own: &'s [T], theirs: &'s [T]) -> impl Iterator<Item = T> + use<'s, T> {
        let (first, second) = match self.preference {
            Order::Server => (own, theirs),
            Order::Client => (theirs, own),
        };
        first.iter().copied().filter(|item| second.contains(item))
    }
}

/// RFC 8446, 4.2.3: neither PKCS#1 nor SHA-1 signs a handshake of TLS 1.3.
fn is_for_tls13(scheme: SignatureScheme) -> bool {
    matches!(scheme.0, 0x0403 | 0x0503 | 0x0603 | 0x0804..=0x080b)
}

/// RFC 8446, 4.2.7: of the curves of TLS 1.2, TLS 1.3 kept five; the other codes there are its own.
fn is_for_tls13_group(group: Group) -> bool {
    matches!(group.0, 0x17..=0x19 | 0x1d | 0x1e) || is_tls13_only(group)
}

/// The curves that nearly everybody offers.
fn is_common(curve: Group) -> bool {
    matches!(curve.0, 0x17..=0x19)
}

/// Groups that TLS 1.2 has no points of.
fn is_tls13_only(group: Group) -> bool {
    group.0 >= 0x0100 || matches!(group.0, 0x1f..=0x21)
}

/// Whether a suite belongs to a version.
fn works_in(suite: Suite, version: Version) -> bool {
    let name = suite.name().unwrap_or_default();
    let is_of_tls12 = ["_SHA256", "_SHA384", "_CCM", "_CCM_8"].iter().any(|end| name.ends_with(end));
    if suite.0 > 0xffff {
        version == Version::Ssl2
    } else if suite.is_tls13() {
        version == Version::Tls13
    } else if is_of_tls12 {
        // Suites with a hash for the PRF (RFC 5246, 5).
        version == Version::Tls12
    } else if name.contains("EXPORT") {
        // RFC 4346, A.5.
        (Version::Ssl3..=Version::Tls10).contains(&version)
    } else if name.contains("_DES_CBC_") || name.contains("_IDEA_") {
        // RFC 5469, 2.
        (Version::Ssl3..=Version::Tls11).contains(&version)
    } else if name.contains("_ECDH") {
        (Version::Tls10..=Version::Tls12).contains(&version)
    } else {
        (Version::Ssl3..=Version::Tls12).contains(&version)
    }
}
