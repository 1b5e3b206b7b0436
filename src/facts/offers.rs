//! What a server takes of what it is offered in TLS, found by asking; one question, one connection.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Certificate, Failure, Observed, Possession, Turns};
use crate::{
    tls::{Alert, Authentication, Group, GroupKind, SignatureScheme, Suite, SuiteFamily, Version},
    wire::WireText,
};

/// How much is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// What one handshake shows: at most three connections.
    #[default]
    Quick,
    /// Grouped questions besides: two or three dozen connections, and more where refusals come without words.
    Standard,
    /// Complete lists.
    Full,
}

impl Depth {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Standard, Self::Full];

    /// `quick`, `standard` or `full`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Full => "full",
        }
    }
}

/// Everything that was asked of a server's TLS besides the handshake of its session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offers {
    /// How much was asked.
    pub depth: Depth,
    /// One for each version, the oldest first.
    pub versions: Vec<VersionOffer>,
    /// The groups of TLS 1.3.
    pub groups: Taken<Group, GroupList>,
    /// The groups of TLS 1.2 and older.
    pub curves: Taken<Group, GroupList>,
    /// The schemes that the server signs its key exchange with in TLS 1.2.
    pub schemes: Taken<SignatureScheme, SchemeList>,
    /// The finite-field groups that the server sent in TLS 1.2 and older, each once.
    pub dh: Vec<DhGroup>,
    /// What the highest version below TLS 1.3 was seen to have.
    pub features: Observed<Features>,
    /// What became of an ALPN offer that no mail server has a use for.
    pub alpn: Observed<Alpn>,
    /// The chains that were sent, one for each way of asking.
    pub chains: Vec<ServedChain>,
    /// Hellos that the server could not bear, where a plainer one was answered; empty if it bore all.
    pub intolerance: Observed<Vec<Intolerance>>,
    /// Whether a client certificate is asked for.
    pub client_certificate: Observed<ClientCertificate>,
    /// How many hellos were answered, and how many were lost that were answered when they were sent again.
    #[serde(default)]
    pub hellos: Turns,
    /// How many questions got no answer at all, however often they were asked.
    #[serde(default)]
    pub lost: u32,
    /// Where fewer questions were asked at one time than were allowed, since the server turned some away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<Narrowed>,
    /// What each question cost, in the order asked.
    pub questions: Vec<Question>,
}

/// Connections that are open side by side, fewer than were allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Narrowed {
    /// So many at one time, in the end.
    pub lanes: u32,
    /// What was first said to one of several.
    pub why: Failure,
}

/// What was taken of lists of things.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Taken<T, L> {
    /// In the order in which the server chose them.
    pub accepted: Vec<T>,
    /// Lists that are known to the end: what it takes of them is in `accepted`, and all else was refused.
    pub complete: Vec<L>,
    /// Lists that got no usable answer, and why.
    pub unknown: Vec<(L, Failure)>,
}

impl<T, L> Default for Taken<T, L> {
    fn default() -> Self {
        Self { accepted: Vec::new(), complete: Vec::new(), unknown: Vec::new() }
    }
}

/// Whether something is offered, or why that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It was accepted.
    Yes,
    /// It was refused.
    No,
    /// Not known; the reason in words.
    Unknown(String),
}

/// A list of groups that is asked as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupList {
    /// Every group that has a name.
    All,
    /// Post-quantum mechanisms, alone or in a hybrid.
    PostQuantum,
}

impl GroupList {
    /// Whether a group is on the list.
    pub fn has(self, group: Group) -> bool {
        match self {
            Self::All => group.name().is_some(),
            Self::PostQuantum => matches!(group.kind(), Some(GroupKind::Hybrid | GroupKind::PostQuantum)),
        }
    }
}

/// A list of signature schemes that is asked as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SchemeList {
    /// Every scheme that has a name.
    All,
    /// Those with MD5 and SHA-1.
    WeakHash,
}

impl SchemeList {
    /// Whether a scheme is on the list.
    pub fn has(self, scheme: SignatureScheme) -> bool {
        match self {
            Self::All => scheme.name().is_some(),
            Self::WeakHash => scheme.has_weak_hash(),
        }
    }
}

impl<T: Copy, L: Copy> Taken<T, L> {
    fn offered(&self, is_wanted: impl Fn(T) -> bool, covers: impl Fn(L) -> bool, what: &str) -> Offered {
        if self.accepted.iter().any(|item| is_wanted(*item)) {
            return Offered::Yes;
        }
        if self.complete.iter().any(|list| covers(*list)) {
            return Offered::No;
        }
        match self.unknown.iter().find(|(list, _)| covers(*list)) {
            Some((_, failure)) => Offered::Unknown(failure.to_string()),
            None => Offered::Unknown(format!("{what} were not asked for")),
        }
    }
}

impl Taken<Suite, SuiteFamily> {
    /// Whether any suite of the family is taken.
    pub fn family(&self, family: SuiteFamily) -> Offered {
        self.offered(|suite| suite.is_in(family), |list| list == family || list == SuiteFamily::All, "suites of that kind")
    }
}

impl Taken<Group, GroupList> {
    /// Whether any group of the list is taken.
    pub fn list(&self, wanted: GroupList) -> Offered {
        self.offered(|group| wanted.has(group), |list| list == wanted || list == GroupList::All, "groups of that kind")
    }
}

impl Taken<SignatureScheme, SchemeList> {
    /// Whether any scheme with MD5 or SHA-1 is taken.
    pub fn weak_hash(&self) -> Offered {
        self.offered(SignatureScheme::has_weak_hash, |_| true, "schemes with MD5 or SHA-1")
    }
}

/// What is known of one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionOffer {
    /// Which one.
    pub version: Version,
    /// Whether the server takes it.
    pub answer: Observed<Answer>,
    /// The suites that it takes in it.
    pub suites: Taken<Suite, SuiteFamily>,
    /// Whose order decides among them.
    pub preference: Observed<Preference>,
}

/// How an offer was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The server went on with the handshake.
    Accepted,
    /// It ended it.
    Refused(Refusal),
}

/// How a server refuses an offer: evidence, unlike a connection that was lost once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// With an alert.
    #[error("refused with the alert {0}")]
    Alert(Alert),
    /// With a lower version than was asked for.
    #[error("answered with {0}")]
    OtherVersion(Version),
    /// Without a word: it closed or reset the connection each time, and answered other hellos in between.
    #[error("refused by closing the connection")]
    Closed,
}

/// Whose order decides which of several suites is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preference {
    /// The server's.
    Server,
    /// The client's.
    Client,
}

/// A finite-field Diffie-Hellman group as a server sent it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DhGroup {
    /// The size of the modulus.
    pub bits: u32,
    /// The modulus, in hexadecimal digits, without leading zeros.
    pub prime: String,
    /// The generator, likewise.
    pub generator: String,
    /// The suites that it was seen to be sent for.
    pub suites: Vec<Suite>,
}

/// Extensions that a ServerHello of TLS 1.2 or older confirmed, all of them having been offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an extension of its own")]
pub struct Features {
    /// The version whose ServerHello it was.
    pub version: Version,
    /// Secure renegotiation (RFC 5746).
    pub secure_renegotiation: bool,
    /// The extended master secret (RFC 7627).
    pub extended_master_secret: bool,
    /// Encrypt-then-MAC (RFC 7366); none where no suite with a block cipher was chosen, which alone has a use for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt_then_mac: Option<bool>,
    /// A session ticket (RFC 5077).
    pub session_ticket: bool,
    /// A compression method other than none (RFC 3749).
    pub compression: bool,
    /// The size of the OCSP response that was stapled (RFC 6066, 8); none where there was none.
    pub ocsp_staple: Option<u32>,
}

/// What became of an ALPN offer (RFC 7301).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alpn {
    /// The server took no notice.
    Ignored,
    /// It chose this protocol.
    Chosen(WireText),
    /// It refused the handshake for it.
    Refused(Refusal),
}

/// The server name indication of a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sni {
    /// The target's name.
    Target,
    /// None.
    None,
    /// A name that the server cannot have a certificate for.
    Foreign,
}

/// A chain that was sent in answer to one way of asking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedChain {
    /// The kind of certificate that was asked for.
    pub authentication: Authentication,
    /// With which server name.
    pub sni: Sni,
    /// Whether the server went on with the handshake.
    pub answer: Observed<Answer>,
    /// The version of that handshake, where there was one.
    pub version: Option<Version>,
    /// The chain as it was sent.
    pub certificates: Observed<Vec<Certificate>>,
    /// Whether the server proved that it holds the key of the first certificate.
    pub possession: Observed<Possession>,
}

/// A kind of hello that a server could not bear, though it answered a plainer one; or of which that could not be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intolerance {
    /// What it could not bear.
    pub of: HelloTrait,
    /// What it did, in words; failed where what came back does not show whether it bears them.
    pub how: Observed<String>,
}

/// What some servers cannot bear in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HelloTrait {
    /// An offer of TLS 1.3 beside older versions (RFC 8446, 4.2.1).
    Tls13,
    /// An offer of TLS 1.2, where an older version is taken (RFC 5246, E.1).
    Tls12,
    /// A hello of 256 to 511 bytes (RFC 7685, 1).
    MiddleSized,
    /// A hello of more than 512 bytes.
    Large,
    /// A hello of more than 1,400 bytes, as a post-quantum key share makes it.
    Huge,
    /// A hello in two records.
    Fragmented,
    /// An extension that it does not know (RFC 8701).
    UnknownExtension,
    /// More than 64 suites.
    ManySuites,
    /// The server's own name in server_name (RFC 6066, 3).
    OwnName,
    /// The group X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem).
    HybridGroup,
    /// The extension that pads a hello (RFC 7685).
    Padding,
    /// An offer of compression (RFC 3749).
    Compression,
    /// An empty session_ticket (RFC 5077).
    SessionTicket,
    /// status_request for OCSP (RFC 6066, 8).
    StatusRequest,
    /// encrypt_then_mac (RFC 7366).
    EncryptThenMac,
    /// extended_master_secret (RFC 7627).
    ExtendedMasterSecret,
    /// More than 16 signature schemes.
    ManySchemes,
    /// More than 16 groups.
    ManyGroups,
    /// An empty key_share, which asks for a HelloRetryRequest (RFC 8446, 4.2.8).
    EmptyKeyShare,
    /// An offer of TLS 1.3 beside older versions, of a server that knows TLS 1.3 and takes nothing that can be offered in it.
    NothingInTls13,
}

/// Whether the server asks for a client certificate (RFC 5246, 7.4.4; RFC 8446, 4.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificate {
    /// No.
    NotRequested,
    /// Yes, with so many bytes of CA names.
    Requested {
        /// The size of the list of certificate authorities.
        ca_bytes: u32,
    },
}

/// One question, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What was asked.
    pub what: String,
    /// Connections that were answered.
    pub answered: u32,
    /// Connections that were not: dropped, throttled, timed out.
    pub unanswered: u32,
    /// Bytes sent and received.
    pub bytes: u64,
    /// How long it took, in milliseconds, pauses included.
    pub millis: u64,
}

impl Offers {
    /// Nothing known yet, at that depth.
    pub fn unasked(depth: Depth) -> Self {
        fn not<T>() -> Observed<T> {
            Observed::NotAttempted("not asked".to_owned())
        }
        let version = |version| VersionOffer { version, answer: not(), suites: Taken::default(), preference: not() };
        Self {
            depth,
            versions: Version::ALL.into_iter().map(version).collect(),
            groups: Taken::default(),
            curves: Taken::default(),
            schemes: Taken::default(),
            dh: Vec::new(),
            features: not(),
            alpn: not(),
            chains: Vec::new(),
            intolerance: not(),
            client_certificate: not(),
            hellos: Turns::default(),
            lost: 0,
            narrowed: None,
            questions: Vec::new(),
        }
    }

    /// What is known of a version.
    pub fn version(&self, version: Version) -> Option<&VersionOffer> {
        self.versions.iter().find(|offer| offer.version == version)
    }

    /// Whether a version is offered.
    pub fn offers_version(&self, version: Version) -> Offered {
        match self.version(version).map(|offer| &offer.answer) {
            Some(Observed::Seen(Answer::Accepted)) => Offered::Yes,
            Some(Observed::Seen(Answer::Refused(_))) => Offered::No,
            Some(answer) => Offered::Unknown(answer.why_not()),
            None => Offered::Unknown("not asked".to_owned()),
        }
    }

    /// Whether a suite of the family is offered in any version; refused only where every version that may be offered
    /// refuses it.
    pub fn offers_family(&self, family: SuiteFamily) -> Offered {
        let mut unknown = None;
        for offer in &self.versions {
            match (&offer.answer, offer.suites.family(family)) {
                (_, Offered::Yes) => return Offered::Yes,
                (Observed::Seen(Answer::Refused(_)), _) | (_, Offered::No) => {}
                (_, Offered::Unknown(why)) => _ = unknown.get_or_insert(format!("{}: {why}", offer.version)),
            }
        }
        unknown.map_or(Offered::No, Offered::Unknown)
    }

    /// The suites of the family that were accepted, with their versions, each suite once.
    pub fn accepted_in(&self, family: SuiteFamily) -> Vec<Suite> {
        let suites = self.versions.iter().flat_map(|offer| &offer.suites.accepted);
        suites.copied().filter(|suite| suite.is_in(family)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Connections that were opened for all questions.
    pub fn connections(&self) -> u32 {
        self.questions.iter().map(|question| question.answered + question.unanswered).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(accepted: &[&str], complete: &[SuiteFamily]) -> Taken<Suite, SuiteFamily> {
        let accepted = accepted.iter().map(|name| Suite::from_name(name).unwrap()).collect();
        Taken { accepted, complete: complete.to_vec(), unknown: Vec::new() }
    }

    #[test]
    fn what_was_not_asked_is_unknown() {
        let some = taken(&["TLS_RSA_WITH_RC4_128_SHA"], &[]);
        assert_eq!(some.family(SuiteFamily::Rc4), Offered::Yes);
        assert!(matches!(some.family(SuiteFamily::Export), Offered::Unknown(_)));
        let all = taken(&["TLS_RSA_WITH_RC4_128_SHA"], &[SuiteFamily::All]);
        assert_eq!(all.family(SuiteFamily::Export), Offered::No);
        let some = Taken { unknown: vec![(SuiteFamily::Null, Failure::Closed)], ..taken(&[], &[SuiteFamily::Export]) };
        assert_eq!(some.family(SuiteFamily::Export), Offered::No);
        assert_eq!(some.family(SuiteFamily::Null), Offered::Unknown("connection closed by the server".to_owned()));
    }

    #[test]
    fn a_family_is_refused_only_where_every_version_refuses_it() {
        let mut offers = Offers::unasked(Depth::Full);
        for offer in &mut offers.versions {
            offer.answer = Observed::Seen(Answer::Refused(Refusal::Alert(Alert(70))));
        }
        assert_eq!(offers.offers_family(SuiteFamily::Rc4), Offered::No);
        offers.versions[4].answer = Observed::Seen(Answer::Accepted);
        assert_eq!(
            offers.offers_family(SuiteFamily::Rc4),
            Offered::Unknown("TLSv1.2: suites of that kind were not asked for".to_owned())
        );
        offers.versions[4].suites = taken(&[], &[SuiteFamily::Rc4]);
        assert_eq!(offers.offers_family(SuiteFamily::Rc4), Offered::No);
        offers.versions[1].answer = Observed::Failed(Failure::Closed);
        assert!(matches!(offers.offers_family(SuiteFamily::Rc4), Offered::Unknown(_)));
    }

    #[test]
    fn facts_read_back() {
        let mut offers = Offers::unasked(Depth::Standard);
        offers.versions[0].suites.accepted = Suite::ssl2();
        offers.groups = Taken { accepted: vec![Group(0x11ec)], complete: vec![GroupList::All], unknown: Vec::new() };
        let json = serde_json::to_string(&offers).unwrap();
        assert_eq!(serde_json::from_str::<Offers>(&json).unwrap(), offers);
    }
}
