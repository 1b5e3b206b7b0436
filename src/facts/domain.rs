//! What was seen of a whole mail domain: what DNS says of it, its policy of MTA-STS, and its servers.

use std::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Certificate, Facts, Observed, Possession};
use crate::{dane::Tlsa, name::Name, wire::WireText};

/// Everything observed of one domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DomainFacts {
    /// The domain: what stands after the `@`.
    pub domain: Name,
    /// Who was asked for names, in words.
    pub resolver: String,
    /// What DNSSEC was validated from, in words.
    pub anchor: String,
    /// The MX records.
    pub mx: Observed<Answer<MxRecord>>,
    /// The servers that mail for it is sent to, in the order in which senders try them.
    pub hosts: Vec<HostFacts>,
    /// MX hosts that were not looked at, since there were too many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<WireText>,
    /// MTA-STS.
    pub mta_sts: MtaStsFacts,
    /// The texts at `_smtp._tls`.
    pub tlsrpt: Observed<Answer<WireText>>,
    /// The CAA records: for information only (RFC 8659, 6: only CAs may draw conclusions).
    pub caa: Observed<Answer<WireText>>,
}

impl DomainFacts {
    /// Whether mail goes to the domain's own addresses, since it has no MX (RFC 5321, 5.1).
    pub fn is_implicit(&self) -> bool {
        self.mx.seen().is_some_and(|answer| answer.absence == Some(Absence::NoData))
    }

    /// Whether it says that it takes no mail (RFC 7505, 3).
    pub fn is_null_mx(&self) -> bool {
        self.mx.seen().is_some_and(|answer| matches!(&answer.records[..], [only] if only.is_null()))
    }
}

/// An answer of DNS to one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer<T> {
    /// The name that was asked for.
    pub name: WireText,
    /// The CNAMEs from that name to the one that has the records, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Alias>,
    /// The records; as many as are kept.
    pub records: Vec<T>,
    /// How many records were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// Why there are none, where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
    /// What DNSSEC says of the records, or of their absence.
    pub proof: Proof,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl<T> Answer<T> {
    /// The same with other records; those that are none are left out.
    pub fn map<U>(self, each: impl FnMut(T) -> Option<U>) -> Answer<U> {
        let Self { name, aliases, records, left_out, absence, proof } = self;
        Answer { name, aliases, records: records.into_iter().filter_map(each).collect(), left_out, absence, proof }
    }

    /// The name that has the records.
    pub fn end(&self) -> &WireText {
        self.aliases.last().map_or(&self.name, |alias| &alias.to)
    }

    /// What DNSSEC says of the whole, CNAMEs included: of all its parts the worst.
    pub fn whole_proof(&self) -> &Proof {
        self.aliases.iter().map(|alias| &alias.proof).chain([&self.proof]).max_by_key(|proof| proof.rank()).unwrap_or(&self.proof)
    }
}

/// A CNAME.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// Whose it is.
    pub from: WireText,
    /// Where it leads.
    pub to: WireText,
    /// What DNSSEC says of it.
    pub proof: Proof,
}

/// Why there are no records: both are answers, and no failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// The name does not exist.
    NxDomain,
    /// The name exists, and has no records of that type.
    NoData,
}

/// The security state of an RRset (RFC 4035, 4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A chain of signatures leads to it from a trust anchor.
    Secure,
    /// A chain of signatures proves that there is none.
    Insecure,
    /// There should be one, and it is broken.
    Bogus(Bogus),
    /// It cannot be told; why.
    Indeterminate(String),
}

impl Proof {
    /// Whether it is secure.
    pub fn is_secure(&self) -> bool {
        *self == Self::Secure
    }

    /// The word of RFC 4035, 4.3.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Bogus(_) => "bogus",
            Self::Indeterminate(_) => "indeterminate",
        }
    }

    /// The higher, the less it is worth.
    fn rank(&self) -> u8 {
        match self {
            Self::Secure => 0,
            Self::Insecure => 1,
            Self::Indeterminate(_) => 2,
            Self::Bogus(_) => 3,
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bogus(bogus) => write!(f, "bogus: {}", bogus.text),
            Self::Indeterminate(why) => write!(f, "indeterminate: {why}"),
            _ => f.write_str(self.word()),
        }
    }
}

/// Why an RRset is bogus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bogus {
    /// The kind of cause.
    pub cause: BogusCause,
    /// The same in words, with names and dates.
    pub text: WireText,
}

/// Where a chain of signatures breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BogusCause {
    /// The signature's time is over.
    Expired,
    /// The signature's time has not begun.
    NotYetValid,
    /// There is no signature where there must be one.
    NoSignature,
    /// The signature does not fit.
    BadSignature,
    /// The keys of the zone are others than the DS of its parent says.
    DsMismatch,
    /// The signature names a key that the zone does not have.
    NoKey,
    /// The absence of what is absent is not proven.
    NoDenial,
    /// Another cause, or one that could not be found out.
    Other,
}

/// Why a question of DNS has no answer. None of these means that there are no records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum DnsFailure {
    /// SERVFAIL.
    #[error("DNS answered SERVFAIL for {0}")]
    ServerFailure(WireText),
    /// Another response code that is no answer, REFUSED for example.
    #[error("DNS answered {code} for {name}")]
    Code {
        /// What was asked for.
        name: WireText,
        /// The response code.
        code: String,
    },
    /// Nothing came in time.
    #[error("DNS did not answer in time for {0}")]
    TimedOut(WireText),
    /// CNAMEs lead in a circle, or too far.
    #[error("the CNAMEs of {0} lead in a circle, or too far")]
    Loop(WireText),
    /// Anything else: no server, no network, an answer that is none.
    #[error("DNS gave no usable answer for {name}: {why}")]
    Other {
        /// What was asked for.
        name: WireText,
        /// What happened.
        why: WireText,
    },
}

/// One MX record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MxRecord {
    /// The lower, the earlier it is tried.
    pub preference: u16,
    /// The host, without a final dot; `.` for the root.
    pub exchange: WireText,
}

impl MxRecord {
    /// `.` stands for "no host" (RFC 7505, 3).
    pub fn is_null(&self) -> bool {
        self.exchange.as_str() == "."
    }

    /// The host, where it is a host name.
    pub fn host(&self) -> Option<Name> {
        // A backslash is an escape, which no host name has; an address is no name.
        let text = self.exchange.as_str();
        Name::parse(text).ok().filter(|_| text.parse::<std::net::IpAddr>().is_err())
    }
}

/// One server of the domain: a name, its addresses, and what each of them does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostFacts {
    /// The name in the MX record, or the domain where there is none.
    pub name: Name,
    /// Its preference; none where there is no MX record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<u16>,
    /// A.
    pub v4: Observed<Answer<std::net::Ipv4Addr>>,
    /// AAAA.
    pub v6: Observed<Answer<std::net::Ipv6Addr>>,
    /// Addresses that were not connected to, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// The TLSA records, as asked for in this order (RFC 7672, 2.2.2); the last decides. Never empty.
    pub tlsa: Vec<TlsaLookup>,
    /// What its addresses do.
    pub facts: Facts,
}

impl HostFacts {
    /// The lookup of TLSA that decides.
    pub fn tlsa(&self) -> &Observed<Answer<Tlsa>> {
        static NOT: std::sync::LazyLock<Observed<Answer<Tlsa>>> =
            std::sync::LazyLock::new(|| Observed::NotAttempted("TLSA was not asked for".to_owned()));
        self.tlsa.last().map_or(&NOT, |lookup| &lookup.answer)
    }

    /// The base domain of that lookup.
    pub fn tlsa_base(&self) -> &str {
        self.tlsa.last().map_or(self.name.as_str(), |lookup| lookup.base.as_str())
    }
}

/// An address that was not connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PassedOver {
    /// The address.
    pub address: std::net::IpAddr,
    /// Why not.
    pub why: String,
    /// Whether it is no address of the internet.
    pub is_inside: bool,
}

/// One lookup of TLSA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsaLookup {
    /// The TLSA base domain: what follows `_25._tcp.`.
    pub base: WireText,
    /// What came.
    pub answer: Observed<Answer<Tlsa>>,
}

/// MTA-STS of a domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MtaStsFacts {
    /// The texts at `_mta-sts`.
    pub record: Observed<Answer<WireText>>,
    /// The policy, where it was fetched.
    pub policy: Observed<PolicyFetch>,
    /// What an earlier look saw, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<FormerPolicy>,
}

/// A policy of MTA-STS as an earlier look saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormerPolicy {
    /// The id that its record had.
    pub id: WireText,
    /// The policy.
    pub body: PolicyBody,
}

/// How the policy was fetched (RFC 8461, 3.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFetch {
    /// The policy host.
    pub host: Name,
    /// The address that was connected to last, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// Whether a connection came about.
    #[serde(default)]
    pub is_connected: bool,
    /// The certificates that it sent, as they came. They are judged like everything else: not while they are fetched.
    pub certificates: Observed<Vec<Certificate>>,
    /// Whether it proved that it holds the key of the first.
    pub possession: Observed<Possession>,
    /// What it answered.
    pub response: Observed<PolicyResponse>,
}

/// What a policy host answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyResponse {
    /// The status.
    pub status: u16,
    /// The content type, where one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<WireText>,
    /// Where a redirect leads. None is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<WireText>,
    /// The body; of a status other than 200 nothing is kept.
    pub body: PolicyBody,
}

/// The bytes of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// As they came; in base64 where it is written.
    #[serde(with = "base64_text")]
    #[schemars(with = "String")]
    pub bytes: Vec<u8>,
    /// Whether there were more than are read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

mod base64_text {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
