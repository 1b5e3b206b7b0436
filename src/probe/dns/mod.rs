//! What DNS says of a domain, and whether DNSSEC proves it.
//!
//! Answers come from the resolver library, which validates them itself. Where it says "secure" or "bogus", or a resolver answers
//! SERVFAIL, `walk` asks again and follows the signatures. What both say counts, and "bogus" then has a reason; where they differ
//! it is indeterminate, except where the library is known to be wrong.

mod anchors;
mod denial;
mod walk;
mod wire;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use hickory_proto::{
    dnssec::{Proof as Proven, TrustAnchors, rdata::DNSSECRData},
    op::ResponseCode,
    rr::{Name as DnsName, RData, Record, RecordType},
};
use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolveHosts, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
};
use time::OffsetDateTime;

use crate::{
    dane::Tlsa,
    facts::{Absence, Alias, DnsAnswer, DnsFailure, Failure, MxRecord, Observed, Pointer, Proof},
    wire::WireText,
};
use anchors::Anchor;
pub use anchors::{AnchorError, Anchors};
use walk::{Memory, Walk};
use wire::text;

/// Who is asked, and from what proofs begin.
#[derive(Clone, Debug)]
pub struct DnsOptions {
    /// The resolvers to ask, in order; those of this system where none is named.
    pub servers: Vec<SocketAddr>,
    /// What DNSSEC is validated from.
    pub anchors: Anchors,
    /// How long one question may take, once.
    pub timeout: Duration,
    /// How often it is asked before it counts as not answered.
    pub attempts: usize,
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self { servers: Vec::new(), anchors: Anchors::iana(), timeout: Duration::from_secs(5), attempts: 2 }
    }
}

/// Records of one answer that are kept; the rest is counted.
const MAX_RECORDS: usize = 400;
/// Bytes of one TXT record that are kept.
const MAX_TEXT: usize = 4096;
/// Servers that are asked.
const MAX_SERVERS: usize = 4;

/// Why DNS cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum DnsSetupError {
    /// The system's configuration cannot be read, or names nobody.
    #[error("cannot read this system's resolver configuration: {0}; --resolver names one")]
    System(String),
    /// The library refuses to work.
    #[error("the resolver cannot be set up: {0}")]
    Library(String),
}

/// A validating stub resolver. Clones share its cache.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
    servers: Arc<[SocketAddr]>,
    options: Arc<DnsOptions>,
    /// Why nothing can be proven, whatever comes.
    trouble: Option<String>,
    memory: Memory,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dns").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Dns {
    /// Prepares one. Trust anchors that are digests are turned into keys, which asks for the keys of their zones.
    pub async fn new(options: &DnsOptions) -> Result<Self, DnsSetupError> {
        let servers = match options.servers.is_empty() {
            false => options.servers.iter().copied().take(MAX_SERVERS).collect(),
            true => system_servers()?,
        };
        let (anchors, trouble) = trust(options, &servers).await;
        let configured = servers.iter().map(|server| {
            let mut configured = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut configured.connections {
                connection.port = server.port();
            }
            // What a validator proves needs no authority.
            configured.trust_negative_responses = true;
            configured
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), configured.collect());
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_trust_anchor(Arc::new(anchors));
        let set = builder.options_mut();
        set.validate = true;
        set.use_hosts_file = ResolveHosts::Never;
        set.timeout = options.timeout;
        set.attempts = options.attempts;
        set.edns0 = true;
        set.preserve_intermediates = true;
        let resolver = builder.build().map_err(|error| DnsSetupError::Library(error.to_string()))?;
        Ok(Self { resolver, servers: servers.into(), options: Arc::new(options.clone()), trouble, memory: Memory::default() })
    }

    /// Who is asked, in words.
    pub fn servers_text(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        match self.options.servers.is_empty() {
            true => format!("this system's ({})", servers.join(", ")),
            false => servers.join(", "),
        }
    }

    /// The MX records, in the order of their preferences.
    pub async fn mx(&self, name: &str) -> Observed<DnsAnswer<MxRecord>> {
        let mut answer = self
            .records(name, RecordType::MX, |data| match data {
                RData::MX(mx) => Some(MxRecord { preference: mx.preference, exchange: text(&mx.exchange) }),
                _ => None,
            })
            .await;
        if let Observed::Seen(answer) = &mut answer {
            answer.records.sort_by(|a, b| (a.preference, &a.exchange).cmp(&(b.preference, &b.exchange)));
        }
        answer
    }

    /// A.
    pub async fn v4(&self, name: &str) -> Observed<DnsAnswer<std::net::Ipv4Addr>> {
        self.sorted(name, RecordType::A, |data| match data {
            RData::A(address) => Some(address.0),
            _ => None,
        })
        .await
    }

    /// AAAA.
    pub async fn v6(&self, name: &str) -> Observed<DnsAnswer<std::net::Ipv6Addr>> {
        self.sorted(name, RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(address.0),
            _ => None,
        })
        .await
    }

    /// The TLSA records for mail: those at `_25._tcp` (RFC 7672, 2.2.3).
    pub async fn tlsa(&self, base: &str) -> Observed<DnsAnswer<Tlsa>> {
        self.sorted(&format!("_25._tcp.{base}"), RecordType::TLSA, |data| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        })
        .await
    }

    /// The texts of the TXT records, the strings of each joined.
    pub async fn txt(&self, name: &str) -> Observed<DnsAnswer<WireText>> {
        self.sorted(name, RecordType::TXT, |data| match data {
            RData::TXT(txt) => {
                let mut joined = txt.txt_data.concat();
                joined.truncate(MAX_TEXT);
                Some(WireText::from_bytes(&joined))
            }
            _ => None,
        })
        .await
    }

    /// The names that PTR records give an address.
    pub async fn pointer(&self, address: std::net::IpAddr) -> Pointer {
        const MAX_POINTERS: usize = 16;
        let name = text(&DnsName::from(address));
        let answer = self.records(name.as_str(), RecordType::PTR, |data| match data {
            RData::PTR(name) => Some(text(&name.0)),
            _ => None,
        });
        let names = match answer.await {
            Observed::Seen(answer) => Observed::Seen(answer.records.into_iter().take(MAX_POINTERS).collect()),
            Observed::Failed(failure) => Observed::Failed(failure),
            Observed::NotAttempted(why) => Observed::NotAttempted(why),
        };
        Pointer { address, names }
    }

    /// The CAA records that hold for a name: its own, or those of the next name above that has any (RFC 8659, 3).
    pub async fn caa(&self, name: &str) -> Observed<DnsAnswer<WireText>> {
        let mut at = name;
        loop {
            let answer = self.sorted(at, RecordType::CAA, |data| match data {
                RData::CAA(caa) => {
                    let flags = if caa.issuer_critical { 128 } else { 0 } | caa.reserved_flags;
                    let tag = WireText::from(&*caa.tag);
                    Some(WireText::from(format!("{flags} {tag} \"{}\"", WireText::from_bytes(&caa.value))))
                }
                _ => None,
            });
            let answer = answer.await;
            let is_absent = answer.seen().is_some_and(|answer| answer.absence.is_some());
            match at.split_once('.') {
                Some((_, above)) if is_absent => at = above,
                _ => return answer,
            }
        }
    }

    async fn sorted<T: Ord>(&self, name: &str, kind: RecordType, read: impl Fn(&RData) -> Option<T>) -> Observed<DnsAnswer<T>> {
        let mut answer = self.records(name, kind, read).await;
        if let Observed::Seen(answer) = &mut answer {
            answer.records.sort();
        }
        answer
    }

    async fn records<T>(&self, name: &str, kind: RecordType, read: impl Fn(&RData) -> Option<T>) -> Observed<DnsAnswer<T>> {
        let mut asked = match DnsName::from_ascii(name) {
            Ok(asked) => asked,
            Err(error) => {
                let failure = DnsFailure::Other { name: WireText::from(name), why: WireText::from(error.to_string()) };
                return Observed::Failed(Failure::Dns(failure));
            }
        };
        // The root dot keeps search domains out.
        asked.set_fqdn(true);
        match self.answer(&asked, kind).await {
            Ok(answer) => Observed::Seen(answer.map(|record| read(&record.data))),
            Err(failure) => Observed::Failed(Failure::Dns(failure)),
        }
    }

    async fn answer(&self, name: &DnsName, kind: RecordType) -> Result<DnsAnswer<Record>, DnsFailure> {
        let found = match self.resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => Ok(self.positive(name, kind, lookup.answers())),
            Err(error) => self.negative(name, &error),
        };
        match found {
            Ok(Some(answer)) if self.trouble.is_none() && answer.whole_proof().is_secure() => {
                self.walked(name, kind, Library::Secure(answer)).await
            }
            Ok(Some(answer)) => Ok(self.believed(answer)),
            // Bogus, says the library; or it may be what the resolver means by SERVFAIL.
            Ok(None) => self.walked(name, kind, Library::Bogus).await,
            Err(failure @ DnsFailure::ServerFailure(_)) => self.walked(name, kind, Library::Failed(failure)).await,
            Err(failure) => Err(failure),
        }
    }

    /// The answer as the library gives it; none where its end is missing.
    fn positive(&self, name: &DnsName, kind: RecordType, records: &[Record]) -> Option<DnsAnswer<Record>> {
        let mut aliases: Vec<Alias> = Vec::new();
        let mut at = name.clone();
        while let Some((target, proof)) = records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == at => Some((target.0.clone(), proof(record.proof)?)),
            _ => None,
        }) {
            if aliases.len() > 16 {
                return None;
            }
            aliases.push(Alias { from: text(&at), to: text(&target), proof });
            at = target;
        }
        let own: Vec<&Record> = records.iter().filter(|record| record.name == at && record.record_type() == kind).collect();
        let worst = own.iter().map(|record| record.proof).max_by_key(|proof| match proof {
            Proven::Secure => 0,
            Proven::Insecure => 1,
            Proven::Indeterminate => 2,
            Proven::Bogus => 3,
        })?;
        let left_out = own.len().saturating_sub(MAX_RECORDS);
        let kept = own.into_iter().take(MAX_RECORDS).cloned().collect();
        Some(DnsAnswer { name: text(name), aliases, records: kept, left_out, absence: None, proof: proof(worst)? })
    }

    /// What the library says where there are no records; none where it says bogus.
    fn negative(&self, name: &DnsName, error: &NetError) -> Result<Option<DnsAnswer<Record>>, DnsFailure> {
        let absent = |absence, proof| {
            let (name, aliases, records) = (text(name), Vec::new(), Vec::new());
            Ok(Some(DnsAnswer { name, aliases, records, left_out: 0, absence: Some(absence), proof }))
        };
        let absence = |code: ResponseCode| if code == ResponseCode::NXDomain { Absence::NxDomain } else { Absence::NoData };
        match error {
            NetError::Dns(DnsError::NoRecordsFound(found)) => match found.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => {
                    let authorities = found.authorities.iter().flat_map(|records| records.iter());
                    let proofs = authorities.filter(|record| is_denial(record)).map(|record| record.proof);
                    let proofs: Vec<Proven> = proofs.chain(found.soa.iter().map(|soa| soa.proof)).collect();
                    // Where the library found the zone to be insecure, it asks for no proof of absence.
                    let found_out = match () {
                        () if proofs.contains(&Proven::Secure) => Proof::Secure,
                        () if proofs.contains(&Proven::Bogus) => return Ok(None),
                        () => Proof::Insecure,
                    };
                    absent(absence(found.response_code), found_out)
                }
                ResponseCode::ServFail => Err(DnsFailure::ServerFailure(text(name))),
                code => Err(DnsFailure::Code { name: text(name), code: code.to_string() }),
            },
            NetError::Dns(DnsError::Nsec { response, proof: Proven::Insecure, .. }) => {
                absent(absence(response.metadata.response_code), Proof::Insecure)
            }
            NetError::Dns(DnsError::Nsec { .. } | DnsError::DnssecBogus) => Ok(None),
            NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => Err(DnsFailure::ServerFailure(text(name))),
            NetError::Dns(DnsError::ResponseCode(code)) => Err(DnsFailure::Code { name: text(name), code: code.to_string() }),
            NetError::Timeout => Err(DnsFailure::TimedOut(text(name))),
            other => Err(DnsFailure::Other { name: text(name), why: WireText::from(&*other.to_string()) }),
        }
    }

    /// Asks again without the library, and follows the signatures.
    async fn walked(&self, name: &DnsName, kind: RecordType, library: Library) -> Result<DnsAnswer<Record>, DnsFailure> {
        let DnsOptions { anchors, timeout, attempts, .. } = &*self.options;
        let memory = self.memory.clone();
        let mut walk = Walk::new(&self.servers, anchors, *timeout, *attempts, OffsetDateTime::now_utc(), memory);
        let walked = match (walk.to(name, kind).await, &library) {
            (Ok(walked), _) => walked,
            (Err(_), Library::Failed(failed)) => return Err(failed.clone()),
            (Err(failure), Library::Bogus) => return Err(failure),
            (Err(failure), Library::Secure(answer)) => {
                let why = format!("a second look at the signatures did not come about: {failure}");
                return Ok(DnsAnswer { proof: Proof::Indeterminate(why), ..answer.clone() });
            }
        };
        let worst =
            walked.aliases.iter().map(|(.., proof)| proof).chain([&walked.proof]).find(|proof| matches!(proof, Proof::Bogus(_)));
        let is_bogus = worst.is_some();
        let differ = |library: &str, own: &Proof| {
            Proof::Indeterminate(format!("two validators differ: one says {library}, the other {}", short(own)))
        };
        let is_behind_alias = !walked.aliases.is_empty();
        let proof = match library {
            // What a resolver refuses is an answer only where it is clear why.
            Library::Failed(failed) if !is_bogus => return Err(failed),
            Library::Failed(_) => walked.proof,
            Library::Secure(answer) => {
                return Ok(match worst.unwrap_or(&walked.proof) {
                    Proof::Secure => answer,
                    // The library takes keys that a DS record vouches for without a look at their signatures (RFC 4035, 5.2).
                    bogus @ Proof::Bogus(_) if walked.is_broken_at_keys => DnsAnswer { proof: bogus.clone(), ..answer },
                    other => DnsAnswer { proof: differ("secure", other), ..answer },
                });
            }
            Library::Bogus => match walked.proof {
                // The library takes every answer from a wildcard under NSEC for bogus (hickory-dns, issue 2882), and reads what
                // is denied of the end of an alias as if it were of its begin.
                Proof::Secure if walked.is_plain_wildcard || (is_behind_alias && walked.absence.is_some()) => Proof::Secure,
                proof @ (Proof::Secure | Proof::Insecure) if !is_bogus => differ("bogus", &proof),
                proof => proof,
            },
        };
        let alias = |(from, to, proof): (DnsName, DnsName, Proof)| Alias { from: text(&from), to: text(&to), proof };
        let left_out = walked.records.len().saturating_sub(MAX_RECORDS);
        Ok(self.believed(DnsAnswer {
            name: text(name),
            aliases: walked.aliases.into_iter().map(alias).collect(),
            records: walked.records.into_iter().take(MAX_RECORDS).collect(),
            left_out,
            absence: walked.absence,
            proof,
        }))
    }

    /// Without a trust anchor that can be used nothing is proven, and nothing refuted.
    fn believed(&self, mut answer: DnsAnswer<Record>) -> DnsAnswer<Record> {
        if let Some(trouble) = &self.trouble {
            let unknown = || Proof::Indeterminate(trouble.clone());
            answer.proof = unknown();
            answer.aliases.iter_mut().for_each(|alias| alias.proof = unknown());
        }
        answer
    }
}

/// What the resolver library makes of a question.
enum Library {
    Secure(DnsAnswer<Record>),
    Bogus,
    Failed(DnsFailure),
}

/// A state, with its reason where it has one.
fn short(proof: &Proof) -> String {
    proof.to_string().chars().take(300).collect()
}

fn is_denial(record: &Record) -> bool {
    matches!(&record.data, RData::DNSSEC(DNSSECRData::NSEC(_) | DNSSECRData::NSEC3(_)))
}

/// The library's word in ours; none for bogus, of which it knows no reason.
fn proof(proven: Proven) -> Option<Proof> {
    match proven {
        Proven::Secure => Some(Proof::Secure),
        Proven::Insecure => Some(Proof::Insecure),
        Proven::Indeterminate => Some(Proof::Indeterminate("no chain of signatures was looked for".to_owned())),
        Proven::Bogus => None,
    }
}

/// The resolvers that this system is configured for.
fn system_servers() -> Result<Vec<SocketAddr>, DnsSetupError> {
    let failed = |error: String| DnsSetupError::System(error);
    let (config, _) = hickory_resolver::system_conf::read_system_conf().map_err(|error| failed(error.to_string()))?;
    let mut servers: Vec<SocketAddr> = Vec::new();
    for server in config.name_servers() {
        let port = server.connections.first().map_or(53, |connection| connection.port);
        let server = SocketAddr::new(server.ip, port);
        if !servers.contains(&server) && servers.len() < MAX_SERVERS {
            servers.push(server);
        }
    }
    if servers.is_empty() { Err(failed("it names no server".to_owned())) } else { Ok(servers) }
}

/// The anchors as the library takes them: keys only. A digest is looked up in the keys of its zone.
async fn trust(options: &DnsOptions, servers: &[SocketAddr]) -> (TrustAnchors, Option<String>) {
    let mut anchors = TrustAnchors::empty();
    let mut trouble = None;
    let mut count = 0;
    for (zone, anchor) in &options.anchors.entries {
        match anchor {
            Anchor::Key(key) => count += usize::from(anchors.insert_with_name(key, zone.into())),
            Anchor::Digest(_) => match wire::ask(servers, zone, RecordType::DNSKEY, options.timeout, options.attempts).await {
                Ok(message) => {
                    let keys = message.answers.iter().filter_map(|record| match &record.data {
                        RData::DNSSEC(DNSSECRData::DNSKEY(key)) if record.name == *zone => Some(key),
                        _ => None,
                    });
                    trouble = Some(format!("the keys of {} are not those of the trust anchor", text(zone)));
                    for key in keys.filter(|key| anchor.trusts(zone, key)) {
                        count += usize::from(anchors.insert_with_name(key.public_key(), zone.into()));
                    }
                }
                Err(failure) => trouble = Some(format!("the keys of the trust anchor did not come: {failure}")),
            },
        }
    }
    (anchors, trouble.filter(|_| count == 0))
}
