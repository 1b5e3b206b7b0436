//! The shape of a whole mail domain: its hosts, what DNS says of them, its policies; and what can be wrong with these.

use hickory_proto::{
    rr::{
        Name as DnsName, RData, Record, RecordType,
        rdata::{CNAME, MX, NS, PTR},
    },
    serialize::txt::Parser,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    schema::{PolicyLine, RrsetText, TlsaText, ZoneLine},
    types::DurationText,
};
use crate::name::Name;

/// A mail domain of the correct world. Its zones are signed, down from a root of the lab's own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DomainSpec {
    /// The domain; `lab.test` if absent. U-labels are converted.
    #[serde(default = "DomainSpec::default_name")]
    pub name: Name,
    /// The zone that it is in; one of its own if absent.
    pub zone: Option<Name>,
    /// The hosts that take its mail; one if absent, called `mx` in the domain.
    #[schemars(length(min = 1, max = 64))]
    pub mx: Option<Vec<MxSpec>>,
    /// It has no MX records: its own address takes its mail (RFC 5321, 5.1).
    #[schemars(extend("const" = true))]
    pub implicit_mx: Option<bool>,
    /// It takes no mail, and says so (RFC 7505).
    #[schemars(extend("const" = true))]
    pub null_mx: Option<bool>,
    /// The TLSA records of each host, as usage, selector and matching type; none if absent. Their data is of the certificates that
    /// the host presents: `3 1 1` of its key, `2 1 1` of the CA that signed.
    #[schemars(with = "Option<Vec<TlsaText>>", length(min = 1, max = 16), extend("uniqueItems" = true))]
    pub tlsa: Option<Vec<String>>,
    /// Beside each TLSA record stands that of the key or CA which comes next.
    #[schemars(extend("const" = true))]
    pub rollover: Option<bool>,
    /// Its zones, and the top-level domains above them, prove by hashes what there is not; by names if absent.
    pub nsec3: Option<Nsec3Spec>,
    /// The zones that are not signed; their parents say so.
    #[schemars(length(min = 1, max = 8), extend("uniqueItems" = true))]
    pub unsigned: Option<Vec<Name>>,
    /// It was looked at before the fault came, and the second look knows what the first one saw.
    #[schemars(extend("const" = true))]
    pub seen_before: Option<bool>,
    /// Its MTA-STS policy and the record that announces it; there is none if absent.
    pub mta_sts: Option<MtaStsSpec>,
    /// Where reports about TLS go (RFC 8460): `mailto:tls@lab.test`; there is no record if absent.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 400)), extend("uniqueItems" = true))]
    pub tlsrpt: Option<Vec<String>>,
    /// More records, each as a line of a zone file: `lab.test CAA 0 issue "ca.test"`.
    #[schemars(with = "Option<Vec<ZoneLine>>", length(min = 1, max = 64))]
    pub records: Option<Vec<String>>,
}

impl DomainSpec {
    #[expect(clippy::expect_used, reason = "a constant")]
    fn default_name() -> Name {
        Name::parse("lab.test").expect("a valid name")
    }

    /// The hosts, each with its own line.
    pub fn hosts(&self) -> Vec<MxSpec> {
        if self.null_mx == Some(true) {
            return Vec::new();
        }
        if self.implicit_mx == Some(true) {
            return vec![MxSpec::of(self.name.clone())];
        }
        let Some(specs) = &self.mx else {
            return Name::parse(&format!("mx.{}", self.name)).map(MxSpec::of).into_iter().collect();
        };
        specs.iter().flat_map(MxSpec::each).collect()
    }
}

impl DomainSpec {
    /// The zone that the domain is in.
    pub fn zone(&self) -> &Name {
        self.zone.as_ref().unwrap_or(&self.name)
    }

    /// The zone that a name belongs to: the domain's, or what stands below a top-level domain.
    pub fn zone_of(&self, name: &Name) -> Name {
        if name.is_within(self.zone()) {
            return self.zone().clone();
        }
        let text = name.as_str();
        let start = text.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
        text.get(start..).and_then(|zone| Name::parse(zone).ok()).unwrap_or_else(|| name.clone())
    }

    /// The zones below the top-level domains: the domain's first, then those of hosts and providers elsewhere.
    pub fn zones(&self) -> Vec<Name> {
        let hosts = self.hosts();
        let names = hosts.iter().flat_map(|host| [Some(&host.host), host.alias_of.as_ref()]);
        let provider = self.mta_sts.as_ref().and_then(|policy| policy.provider.as_ref());
        let mut zones = vec![self.zone().clone()];
        for zone in names.chain([provider]).flatten().map(|name| self.zone_of(name)) {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        zones
    }
}

/// Proof of absence by hashes of names (RFC 5155).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nsec3Spec {
    /// How often hashes are hashed again; never if absent, as RFC 9276 has it.
    #[schemars(range(min = 0, max = 2500))]
    pub iterations: Option<u16>,
    /// Delegations to zones that are not signed have no hash.
    #[schemars(extend("const" = true))]
    pub opt_out: Option<bool>,
}

impl Nsec3Spec {
    /// How often hashes are hashed again.
    pub fn rounds(&self) -> u16 {
        self.iterations.unwrap_or(0)
    }
}

/// A host that takes the domain's mail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MxSpec {
    /// Its name, as the MX record has it.
    pub host: Name,
    /// The preference of its MX record; 10 if absent.
    pub preference: Option<u16>,
    /// How many IPv4 addresses it has; one if absent. Behind each stands a server of its own, all of them alike.
    #[schemars(range(min = 0, max = 64))]
    pub addresses: Option<u8>,
    /// It has an IPv6 address as well. Only one host can: there is one on this machine.
    #[schemars(extend("const" = true))]
    pub ipv6: Option<bool>,
    /// Its name is an alias of this one, which has the addresses.
    pub alias_of: Option<Name>,
    /// There are so many of it, numbered: `mx1.lab.test`, `mx2.lab.test`.
    #[schemars(range(min = 2, max = 200))]
    pub times: Option<u8>,
}

impl MxSpec {
    fn of(host: Name) -> Self {
        Self { host, preference: None, addresses: None, ipv6: None, alias_of: None, times: None }
    }

    fn each(&self) -> Vec<Self> {
        let Some(times) = self.times else { return vec![self.clone()] };
        let (label, parent) = self.host.as_str().split_once('.').unwrap_or((self.host.as_str(), "test"));
        let names = (1..=times).filter_map(|number| Name::parse(&format!("{label}{number}.{parent}")).ok());
        names.map(|host| Self { host, times: None, ..self.clone() }).collect()
    }

    /// How many addresses it has, of both families.
    pub fn count(&self) -> usize {
        usize::from(self.addresses.unwrap_or(1)) + usize::from(self.ipv6 == Some(true))
    }
}

/// An MTA-STS policy (RFC 8461) and its record.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MtaStsSpec {
    /// What senders do where a host fails the policy.
    pub mode: PolicyMode,
    /// How long senders keep the policy, in seconds; a week if absent.
    #[schemars(range(min = 1, max = 31_557_600))]
    pub max_age: Option<u32>,
    /// The patterns that hosts match; the names of all hosts if absent.
    #[schemars(with = "Option<Vec<PolicyLine>>", length(min = 1, max = 200), extend("uniqueItems" = true))]
    pub mx: Option<Vec<String>>,
    /// The host of the record and of the policy are aliases of a provider's, below this name.
    pub provider: Option<Name>,
}

/// The mode of an MTA-STS policy (RFC 8461, 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyMode {
    /// Do not deliver.
    Enforce,
    /// Deliver, and report.
    Testing,
    /// There is no policy any more.
    None,
}

impl PolicyMode {
    /// As a policy says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// Where in a domain the faults of a server are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FaultPlace {
    /// The host.
    pub host: Name,
    /// Which of its addresses, from 1 on, IPv6 last; all of them if absent.
    #[schemars(range(min = 1, max = 65))]
    pub address: Option<u8>,
}

/// A server that cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unreachable {
    /// Nothing listens there: the connection is refused.
    Refused,
    /// Nothing comes back.
    Silent,
}

/// The name servers answer wrongly about one set of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LookupFault {
    /// The name and the type of the records: `lab.test MX`.
    #[schemars(with = "RrsetText")]
    pub of: String,
    /// What they do.
    pub r#do: LookupAnswer,
    /// How long they wait, where they do that.
    pub by: Option<DurationText>,
}

/// What a name server can do instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LookupAnswer {
    /// SERVFAIL.
    Servfail,
    /// REFUSED.
    Refused,
    /// NOTIMP: the type is not known.
    Notimp,
    /// NXDOMAIN, although the name exists; without a proof.
    Nxdomain,
    /// No records, although they exist; without a proof.
    NoData,
    /// Nothing.
    Silence,
    /// The answer, later.
    Delay,
    /// By UDP a truncated answer without records; by TCP the whole of it.
    Truncate,
    /// By UDP a truncated answer; by TCP nothing.
    TruncateWithoutTcp,
    /// The records without a signature.
    Unsigned,
    /// A signature that does not hold.
    WrongSignature,
    /// A signature that expired three days ago.
    ExpiredSignature,
    /// A signature that is valid in a week only.
    EarlySignature,
    /// Where there are no records: no proof of that.
    NoProof,
    /// Where there are no records: a proof about another name.
    WrongProof,
}

/// A zone is signed or delegated wrongly.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DnssecFault {
    /// The zone; the domain's if absent.
    pub zone: Option<Name>,
    /// What is wrong with it.
    pub is: ZoneMistake,
}

/// What is wrong with a signed zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneMistake {
    /// The DS record is that of a key which the zone does not have.
    ForeignDs,
    /// It is signed, and the parent has no DS record.
    NoDs,
    /// The parent has a DS record, and the zone is not signed.
    NotSigned,
    /// Its signatures expired three days ago.
    Expired,
    /// Its signatures are valid in a week only.
    Early,
    /// It is signed with an algorithm that nobody knows.
    UnknownAlgorithm,
    /// It does not prove what there is not.
    NoProofs,
}

/// Other records than the correct world's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RecordsFault {
    /// Records that are there instead of those of the same name and type, each as a line of a zone file: `lab.test MX 0 .`.
    #[schemars(with = "Option<Vec<ZoneLine>>", length(min = 1, max = 256))]
    pub are: Option<Vec<String>>,
    /// Sets of records that are not there: `_mta-sts.lab.test TXT`.
    #[schemars(with = "Option<Vec<RrsetText>>", length(min = 1, max = 64), extend("uniqueItems" = true))]
    pub without: Option<Vec<String>>,
    /// One of the two name servers alone says so.
    #[schemars(extend("const" = true))]
    pub on_one_server: Option<bool>,
}

/// TLSA records that do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsaFault {
    /// They are of a key, or of a CA, that was never there.
    OtherKey,
    /// They are of the certificate before the last renewal, which had the same key.
    FormerCertificate,
    /// Their digests have lost their last bytes.
    ShortDigest,
    /// They are of the root, which the server does not send.
    UnsentRoot,
    /// Only the first of two certificates has them.
    FirstCertificateOnly,
    /// They are those of the submission ports, 587 and 465, only.
    SubmissionOnly,
    /// They are of the certificate that the server had before it got another one, with another key.
    CertificateRolled,
}

/// The policy is not served as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicyFault {
    /// The lines that it has instead.
    #[schemars(with = "Option<Vec<PolicyLine>>", length(max = 256))]
    pub lines: Option<Vec<String>>,
    /// How its lines end.
    pub line_ends: Option<PolicyEnds>,
    /// It begins with a byte order mark.
    #[schemars(extend("const" = true))]
    pub byte_order_mark: Option<bool>,
    /// It is filled up to so many bytes, with lines that nobody knows.
    #[schemars(range(min = 1000, max = 10_485_760))]
    pub bytes: Option<u32>,
    /// Its media type; none where empty.
    #[schemars(length(max = 100))]
    pub media_type: Option<String>,
    /// The status of the answer; its body is the policy all the same.
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// Where a redirection leads to.
    #[schemars(length(min = 1, max = 400))]
    pub location: Option<String>,
    /// The answer takes so long.
    pub delay: Option<DurationText>,
    /// It never comes to an end.
    pub ends_with: Option<PolicyEnd>,
}

impl PolicyFault {
    /// Whether anything is wrong at all.
    pub fn says_anything(&self) -> bool {
        *self != Self::default()
    }
}

/// How the lines of a policy end. LF and CRLF are both right (RFC 8461, 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyEnds {
    /// LF.
    Lf,
    /// CR alone, which is no end of a line.
    Cr,
}

/// How an answer breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyEnd {
    /// Nothing comes after the handshake.
    Silence,
    /// The connection is closed instead of an answer.
    Close,
    /// Half of the body comes, then the connection is closed.
    Half,
    /// The body comes in single bytes, one a second.
    Drip,
}

/// The policy host is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyHostFault {
    /// Its certificate expired three days ago.
    Expired,
    /// Its certificate is signed by its own key.
    SelfSigned,
    /// Its certificate names another host.
    WrongName,
    /// Its certificate is from a CA that nobody trusts.
    PrivateCa,
    /// It sends its own certificate alone.
    MissingIntermediate,
    /// Nothing listens there.
    Refused,
    /// Nothing comes back from there.
    Silent,
    /// It answers in the clear.
    Plaintext,
    /// It has no address.
    NoAddress,
}

/// A line of a zone file. Names are absolute, with or without their final dot.
pub fn zone_line(line: &str) -> Result<Record, String> {
    let mut words = line.split_whitespace();
    let owner = dns_name(words.next().ok_or("a name, a type and data are expected")?)?;
    let words: Vec<&str> = words.skip_while(|word| *word == "IN").collect();
    let data = match words.as_slice() {
        // The library's reader takes no byte in a name that a host name has not.
        ["MX", preference, host] => {
            let preference = preference.parse().map_err(|_| format!("`{preference}` is no preference"))?;
            RData::MX(MX::new(preference, dns_name(host)?))
        }
        ["CNAME", target] => RData::CNAME(CNAME(dns_name(target)?)),
        ["PTR", target] => RData::PTR(PTR(dns_name(target)?)),
        ["NS", target] => RData::NS(NS(dns_name(target)?)),
        [_, _, ..] => {
            let start = line.trim_start().find(char::is_whitespace).unwrap_or(0);
            return other_line(owner, line.trim_start().get(start..).unwrap_or_default());
        }
        _ => return Err("a name, a type and data are expected".to_owned()),
    };
    Ok(Record::from_rdata(owner, TTL, data))
}

const TTL: u32 = 300;

/// A record of a type that the library reads.
fn other_line(owner: DnsName, rest: &str) -> Result<Record, String> {
    let text = format!("$TTL {TTL}\nx. {rest}\n");
    let parsed = Parser::new(text, None, Some(DnsName::root())).parse();
    let (_, sets) = parsed.map_err(|error| format!("no line of a zone file: {error}"))?;
    let records: Vec<Record> =
        sets.into_values().flat_map(|set| set.records_without_rrsigs().cloned().collect::<Vec<_>>()).collect();
    match <[Record; 1]>::try_from(records) {
        Ok([mut record]) => {
            record.name = owner;
            Ok(record)
        }
        Err(_) => Err("one record is expected".to_owned()),
    }
}

/// A name with its escapes (RFC 1035, 5.1): `\.` for a dot within a label, `\032` for any byte in decimal.
fn dns_name(text: &str) -> Result<DnsName, String> {
    if text == "." {
        return Ok(DnsName::root());
    }
    let mut labels = vec![Vec::new()];
    let mut bytes = text.strip_suffix('.').filter(|rest| !rest.ends_with('\\')).unwrap_or(text).bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => {
                let bad = || format!("`{text}` has an escape that is none");
                let first = bytes.next().ok_or_else(bad)?;
                let byte = if first.is_ascii_digit() {
                    let digits = [Some(first), bytes.next(), bytes.next()];
                    let digits: String = digits.into_iter().flatten().map(char::from).collect();
                    digits.parse().ok().filter(|_| digits.len() == 3).ok_or_else(bad)?
                } else {
                    first
                };
                labels.last_mut().into_iter().for_each(|label| label.push(byte));
            }
            _ => labels.last_mut().into_iter().for_each(|label| label.push(byte.to_ascii_lowercase())),
        }
    }
    if labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        return Err(format!("`{text}` has a label that is empty or longer than 63 bytes"));
    }
    let mut name = DnsName::from_labels(labels.iter().map(Vec::as_slice)).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    Ok(name)
}

/// A name and a type: `lab.test MX`.
pub fn rrset(text: &str) -> Result<(DnsName, RecordType), String> {
    let (name, kind) = text.trim().rsplit_once(' ').ok_or("a name and a type are expected: `lab.test MX`")?;
    let name = dns_name(name.trim())?;
    let kind = kind.to_ascii_uppercase().parse().map_err(|_| format!("`{kind}` is no type of records"))?;
    Ok((name, kind))
}

/// Usage, selector and matching type.
pub fn tlsa_parameters(text: &str) -> Option<[u8; 3]> {
    let numbers: Vec<u8> = text.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("lab.test MX 0 .", "lab.test. 300 IN MX 0 .")]
    #[case("lab.test. IN MX 10 127.0.0.1", "lab.test. 300 IN MX 10 127.0.0.1.")]
    #[case("a.test CNAME b.test.", "a.test. 300 IN CNAME b.test.")]
    #[case("_mta-sts.lab.test TXT \"v=STSv1; id=1;\"", "_mta-sts.lab.test. 300 IN TXT v=STSv1; id=1;")]
    #[case("_25._tcp.mx.lab.test TLSA 3 1 1 abcd", "_25._tcp.mx.lab.test. 300 IN TLSA 3 1 1 abcd")]
    #[case("lab.test CAA 0 issue \"ca.test\"", "lab.test. 300 IN CAA 0 issue \"ca.test\"")]
    #[case("x.lab.test AAAA ::1", "x.lab.test. 300 IN AAAA ::1")]
    #[case("*.lab.test A 192.0.2.1", "*.lab.test. 300 IN A 192.0.2.1")]
    fn lines_of_a_zone_are_read(#[case] line: &str, #[case] expected: &str) {
        assert_eq!(zone_line(line).unwrap().to_string(), expected);
    }

    #[test]
    fn names_hold_any_byte() {
        let RData::MX(mx) = zone_line(r"lab.test MX 10 mx\032one\027[31m\.x.lab.test.").unwrap().data else { panic!("no MX") };
        let labels: Vec<&[u8]> = mx.exchange.iter().collect();
        assert_eq!(labels, [&b"mx one\x1b[31m.x"[..], b"lab", b"test"]);
        for bad in [r"a\2.test", r"a\256.test", r"a.test\", "a..test", ".test", ""] {
            assert!(dns_name(bad).is_err(), "{bad}");
        }
    }

    #[rstest]
    #[case("lab.test")]
    #[case("lab.test MX")]
    #[case("lab.test MX mx.lab.test")]
    #[case("lab.test NONE x")]
    #[case("a.test A 192.0.2.1\na.test A 192.0.2.2")]
    #[case("")]
    fn what_is_no_line_is_refused(#[case] line: &str) {
        assert!(zone_line(line).is_err());
    }

    #[test]
    fn a_set_is_a_name_and_a_type() {
        assert_eq!(rrset("Lab.Test mx"), Ok((DnsName::from_ascii("lab.test.").unwrap(), RecordType::MX)));
        assert!(rrset("MX").is_err());
        assert!(rrset("lab.test XM").is_err());
        assert_eq!(tlsa_parameters("3 1 1"), Some([3, 1, 1]));
        assert_eq!(tlsa_parameters("3 1 1 1"), None);
        assert_eq!(tlsa_parameters("3 1 256"), None);
    }
}
