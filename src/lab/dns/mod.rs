//! The name servers of a domain's world. Each has all zones, from the lab's root down, and answers as a resolver would that
//! does not validate: a stub that validates can ask it, and so can `dig`.

mod answer;
mod hashed;
mod zone;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hickory_proto::{
    ProtoError,
    op::{Edns, Header, HeaderCounts, Metadata, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR},
    },
};
use hickory_server::{
    Server,
    net::{runtime::Time, xfer::Protocol},
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};
use time::OffsetDateTime;
use tokio::net::{TcpListener, UdpSocket};

use crate::{
    plan::{DnsPlan, RecordPlan},
    scenario::{LookupAnswer, RecordsFault, rrset, zone_line},
};
use answer::{Answer, Proofs, Zones};
use zone::{Bent, Draft};

/// Why the name servers did not start.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// An address cannot be bound.
    #[error("cannot listen for DNS on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// A record cannot be encoded.
    #[error("cannot make the zones: {0}")]
    Zone(#[from] ProtoError),
    /// A line of the plan is no record.
    #[error("cannot make the zones: {0}")]
    Line(String),
    /// A key cannot be made or used.
    #[error("cannot sign the zones")]
    Key,
}

/// Where everything is that records speak of.
#[derive(Clone, Debug)]
pub struct Places {
    /// The address of each server of the plan, in its order.
    pub servers: Vec<IpAddr>,
    /// That of the policy host.
    pub policy_host: IpAddr,
    /// Those of the name servers.
    pub name_servers: [IpAddr; 2],
}

/// The running name servers; they end when this is dropped.
pub struct NameServers {
    /// Where they listen, by UDP and TCP. The first is the one to ask.
    pub addresses: Vec<SocketAddr>,
    _servers: Vec<Server<Handler>>,
}

impl std::fmt::Debug for NameServers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameServers").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// A connection that asks nothing is closed after this.
const IDLE: Duration = Duration::from_secs(10);
/// Answers of one connection that wait to be sent.
const WAITING: usize = 32;

impl NameServers {
    /// Signs the zones and serves them on sockets that are already there: those of both servers, or of the first, which then
    /// is both.
    pub fn serve(
        plan: &DnsPlan,
        places: &Places,
        now: OffsetDateTime,
        sockets: Vec<(UdpSocket, TcpListener)>,
    ) -> Result<Self, DnsError> {
        let first = Arc::new(zones(plan, places, now, 0)?);
        let is_split = sockets.len() > 1 && plan.is_split();
        let second = if is_split { Arc::new(zones(plan, places, now, 1)?) } else { Arc::clone(&first) };
        let lookup = lookup(plan)?;
        let (mut addresses, mut servers) = (Vec::new(), Vec::new());
        for (((udp, tcp), zones), place) in sockets.into_iter().zip([first, second]).zip(places.name_servers) {
            addresses.push(SocketAddr::new(place, udp.local_addr().as_ref().map_or(0, SocketAddr::port)));
            let mut server = Server::new(Handler { zones, lookup: lookup.clone() });
            server.register_socket(udp);
            server.register_listener(tcp, IDLE, WAITING);
            servers.push(server);
        }
        Ok(Self { addresses, _servers: servers })
    }
}

/// The lab's root as a trust anchor, a DNSKEY record as a line of a zone file.
pub fn anchor(plan: &DnsPlan) -> Result<String, DnsError> {
    plan.zones.first().map_or_else(|| Ok(String::new()), |root| Ok(Draft::new(root)?.anchor()))
}

/// The zones as one of the servers has them.
fn zones(plan: &DnsPlan, places: &Places, now: OffsetDateTime, server: usize) -> Result<Zones, DnsError> {
    let mut drafts = plan.zones.iter().map(Draft::new).collect::<Result<Vec<_>, _>>()?;
    for record in plan.zones.iter().flat_map(|zone| &zone.records) {
        let (name, data) = concrete(record, places)?;
        add(&mut drafts, name, data);
    }
    let is_here = |records: &&RecordsFault| server == 1 || records.on_one_server != Some(true);
    if let Some(records) = plan.records.as_ref().filter(is_here) {
        replace(records, &mut drafts)?;
    }
    for child in 1..drafts.len() {
        let parents = (0..drafts.len()).filter(|at| *at != child && drafts[*at].name.zone_of(&drafts[child].name));
        let Some(parent) = parents.max_by_key(|at| drafts[*at].name.num_labels()) else { continue };
        let [parent, child] = drafts.get_disjoint_mut([parent, child]).map_err(|_| DnsError::Key)?;
        parent.delegate(child)?;
    }
    let bent: Bent = lookup(plan)?.map(|lookup| (lookup.name, lookup.kind, lookup.answer));
    let zones = drafts.into_iter().map(|draft| draft.sign(now, &bent)).collect::<Result<_, _>>()?;
    Ok(Zones(zones))
}

/// Adds a record to the zone that its name is in.
fn add(drafts: &mut [Draft], name: Name, data: RData) {
    let zone = drafts.iter_mut().filter(|draft| draft.name.zone_of(&name)).max_by_key(|draft| draft.name.num_labels());
    if let Some(zone) = zone {
        zone.add(name, data);
    }
}

/// A record with its address.
fn concrete(record: &RecordPlan, places: &Places) -> Result<(Name, RData), DnsError> {
    let at = |name: &str, address: IpAddr| {
        let data = match address {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        Ok((Name::from_ascii(name)?, data))
    };
    let server = |index: usize| places.servers.get(index).copied().unwrap_or(places.policy_host);
    match record {
        RecordPlan::Line(line) => zone_line(line).map(|record| (record.name, record.data)).map_err(DnsError::Line),
        RecordPlan::Address(name, index) => at(name, server(*index)),
        RecordPlan::PolicyHost(name) => at(name, places.policy_host),
        RecordPlan::NameServer(name, index) => at(name, places.name_servers[index % 2]),
        RecordPlan::Pointer(index, name) => Ok((Name::from(server(*index)), RData::PTR(PTR(Name::from_ascii(name)?)))),
    }
}

/// Puts other records into the place of those that there are.
fn replace(fault: &RecordsFault, drafts: &mut [Draft]) -> Result<(), DnsError> {
    for text in fault.without.iter().flatten() {
        let (name, kind) = rrset(text).map_err(DnsError::Line)?;
        drafts.iter_mut().for_each(|draft| drop(draft.sets.remove(&(name.clone(), kind))));
    }
    let records =
        fault.are.iter().flatten().map(|line| zone_line(line).map_err(DnsError::Line)).collect::<Result<Vec<_>, _>>()?;
    for record in &records {
        let (name, kind) = (record.name.to_lowercase(), record.record_type());
        // An alias has no other records, and what has others is none (RFC 1034, 3.6.2).
        let goes = |(owner, other): &(Name, RecordType)| {
            *owner == name && (kind == *other || kind == RecordType::CNAME || *other == RecordType::CNAME)
        };
        drafts.iter_mut().for_each(|draft| draft.sets.retain(|key, _| !goes(key)));
    }
    records.into_iter().for_each(|record| add(drafts, record.name, record.data));
    Ok(())
}

/// What is answered wrongly, with its name taken apart.
#[derive(Clone, Debug)]
struct Lookup {
    name: Name,
    kind: RecordType,
    answer: LookupAnswer,
    by: Duration,
}

fn lookup(plan: &DnsPlan) -> Result<Option<Lookup>, DnsError> {
    let Some(fault) = &plan.lookup else { return Ok(None) };
    let (name, kind) = rrset(&fault.of).map_err(DnsError::Line)?;
    Ok(Some(Lookup { name, kind, answer: fault.r#do, by: fault.by.map_or(Duration::ZERO, |by| by.0) }))
}

/// One name server.
struct Handler {
    zones: Arc<Zones>,
    lookup: Option<Lookup>,
}

/// What becomes of a question.
enum Reply {
    Answer(Answer),
    /// The header alone, with the bit that says so.
    Truncated,
    Nothing,
}

impl Handler {
    async fn reply(&self, name: &Name, kind: RecordType, with_proofs: bool, protocol: Protocol) -> Reply {
        let bent = self.lookup.as_ref().filter(|lookup| lookup.kind == kind && lookup.name == name.to_lowercase());
        let proofs = match bent.map(|lookup| lookup.answer) {
            _ if !with_proofs => Proofs::Unasked,
            Some(LookupAnswer::NoProof) => Proofs::Missing,
            Some(LookupAnswer::WrongProof) => Proofs::Wrong,
            _ => Proofs::Right,
        };
        let usual = || self.zones.answer(name, kind, proofs);
        let bare = |code| Reply::Answer(Answer { code, ..Answer::default() });
        let Some(lookup) = bent else { return Reply::Answer(usual()) };
        match lookup.answer {
            LookupAnswer::Servfail => bare(ResponseCode::ServFail),
            LookupAnswer::Refused => bare(ResponseCode::Refused),
            LookupAnswer::Notimp => bare(ResponseCode::NotImp),
            LookupAnswer::Nxdomain => bare(ResponseCode::NXDomain),
            LookupAnswer::NoData => bare(ResponseCode::NoError),
            LookupAnswer::Silence => Reply::Nothing,
            LookupAnswer::Delay => {
                tokio::time::sleep(lookup.by).await;
                Reply::Answer(usual())
            }
            LookupAnswer::Truncate | LookupAnswer::TruncateWithoutTcp if protocol == Protocol::Udp => Reply::Truncated,
            LookupAnswer::TruncateWithoutTcp => Reply::Nothing,
            LookupAnswer::Truncate
            | LookupAnswer::Unsigned
            | LookupAnswer::WrongSignature
            | LookupAnswer::ExpiredSignature
            | LookupAnswer::EarlySignature
            | LookupAnswer::NoProof
            | LookupAnswer::WrongProof => Reply::Answer(usual()),
        }
    }
}

/// What fits into a datagram that is not fragmented.
const MAX_DATAGRAM: u16 = 1232;

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut handle: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        metadata.recursion_available = true;
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().clamp(512, MAX_DATAGRAM)).set_dnssec_ok(asked.flags().dnssec_ok);
            edns
        });
        let with_proofs = edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let reply = match (request.metadata.op_code, request.queries.queries()) {
            (OpCode::Query, [query]) => {
                let name = Name::from(query.name());
                self.reply(&name, query.query_type(), with_proofs, request.protocol()).await
            }
            _ => Reply::Answer(Answer { code: ResponseCode::NotImp, ..Answer::default() }),
        };
        let answer = match reply {
            Reply::Nothing => return nothing(metadata),
            Reply::Truncated => {
                metadata.truncation = true;
                Answer::default()
            }
            Reply::Answer(answer) => answer,
        };
        metadata.response_code = answer.code;
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let none: [&Record; 0] = [];
        let response = builder.build(metadata, &answer.answers, &answer.authorities, none, none);
        match handle.send_response(response).await {
            Ok(info) => info,
            // Whoever asked is gone.
            Err(_) => nothing(metadata),
        }
    }
}

fn nothing(metadata: Metadata) -> ResponseInfo {
    ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::dnssec::{Verifier as _, rdata::DNSSECRData};
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;
    use crate::{
        plan::ZonePlan,
        scenario::{LookupFault, Nsec3Spec, ZoneMistake},
    };

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn zone(name: &str, mistake: Option<ZoneMistake>, lines: &[&str]) -> ZonePlan {
        let records = lines.iter().map(|line| RecordPlan::Line((*line).to_owned())).collect();
        ZonePlan { name: name.to_owned(), is_signed: true, mistake, nsec3: None, seed: [name.len() as u8; 32], records }
    }

    fn plan(mistake: Option<ZoneMistake>, lookup: Option<LookupFault>) -> DnsPlan {
        let lines = ["lab.test MX 10 mx.lab.test", "mx.lab.test A 192.0.2.1", "*.wild.lab.test TXT \"x\""];
        let zones_of = vec![
            zone(".", None, &[]),
            zone("test.", None, &["a.test CNAME mx.lab.test", "l.test CNAME m.test", "m.test CNAME l.test"]),
            zone("lab.test.", mistake, &lines),
        ];
        DnsPlan { zones: zones_of, records: None, lookup }
    }

    fn world(mistake: Option<ZoneMistake>, lookup: Option<LookupFault>) -> Zones {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let places = Places { servers: vec![address], policy_host: address, name_servers: [address; 2] };
        zones(&plan(mistake, lookup), &places, NOW, 0).unwrap()
    }

    fn ask(zones: &Zones, question: &str) -> Answer {
        let (name, kind) = rrset(question).unwrap();
        zones.answer(&name, kind, Proofs::Right)
    }

    fn kinds(records: &[Record]) -> Vec<RecordType> {
        records.iter().map(Record::record_type).collect()
    }

    #[rstest]
    #[case("lab.test MX", ResponseCode::NoError, &[RecordType::MX, RecordType::RRSIG], 0)]
    // The name is there, the type is not: SOA and one NSEC, each signed.
    #[case("mx.lab.test AAAA", ResponseCode::NoError, &[], 4)]
    // A name without records of its own, above one that has some.
    #[case("wild.lab.test A", ResponseCode::NoError, &[], 4)]
    // No such name: the gap, and that no wildcard stands there.
    #[case("z.mx.lab.test A", ResponseCode::NXDomain, &[], 4)]
    // Out of a wildcard, with the proof that the name itself is not there.
    #[case("q.wild.lab.test TXT", ResponseCode::NoError, &[RecordType::TXT, RecordType::RRSIG], 2)]
    // An alias into another zone.
    #[case("a.test A", ResponseCode::NoError, &[RecordType::CNAME, RecordType::RRSIG, RecordType::A, RecordType::RRSIG], 0)]
    // The parent has it.
    #[case("lab.test DS", ResponseCode::NoError, &[RecordType::DS, RecordType::RRSIG], 0)]
    fn questions_find_their_answers(
        #[case] question: &str,
        #[case] code: ResponseCode,
        #[case] answers: &[RecordType],
        #[case] authorities: usize,
    ) {
        let answer = ask(&world(None, None), question);
        assert_eq!((answer.code, kinds(&answer.answers).as_slice()), (code, answers));
        assert_eq!(answer.authorities.len(), authorities, "{:?}", answer.authorities);
    }

    #[rstest]
    // The name is there, the type is not: SOA and the NSEC3 record of the name, each signed.
    #[case("mx.lab.test AAAA", Proofs::Right, 4)]
    // A name without records of its own is hashed as well.
    #[case("wild.lab.test A", Proofs::Right, 4)]
    // RFC 5155, 7.2.2: the nearest ancestor, the name below it that is not there, and the wildcard, if these are three.
    #[case("z.mx.lab.test A", Proofs::Right, 8)]
    #[case("z.mx.lab.test A", Proofs::Wrong, 4)]
    #[case("z.mx.lab.test A", Proofs::Missing, 2)]
    #[case("z.mx.lab.test A", Proofs::Unasked, 1)]
    fn hashes_prove_what_there_is_not(#[case] question: &str, #[case] proofs: Proofs, #[case] authorities: usize) {
        let mut plan = plan(None, None);
        plan.zones.iter_mut().skip(1).for_each(|zone| zone.nsec3 = Some(Nsec3Spec::default()));
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let places = Places { servers: vec![address], policy_host: address, name_servers: [address; 2] };
        let (name, kind) = rrset(question).unwrap();
        let answer = zones(&plan, &places, NOW, 0).unwrap().answer(&name, kind, proofs);
        assert_eq!(answer.authorities.len(), authorities, "{:?}", answer.authorities);
        assert!(!kinds(&answer.authorities).contains(&RecordType::NSEC));
    }

    #[test]
    fn a_circle_of_aliases_ends() {
        assert_eq!(ask(&world(None, None), "l.test A").answers.len(), 32);
    }

    #[test]
    fn signatures_hold_and_are_the_same_again() {
        let zones = world(None, None);
        assert_eq!(anchor(&plan(None, None)).unwrap(), anchor(&plan(None, None)).unwrap());
        let answer = ask(&zones, "lab.test MX");
        assert_eq!(answer.answers, ask(&world(None, None), "lab.test MX").answers);
        let keys = ask(&zones, "lab.test DNSKEY").answers;
        let (RData::DNSSEC(DNSSECRData::DNSKEY(key)), RData::DNSSEC(DNSSECRData::RRSIG(rrsig))) =
            (&keys[0].data, &answer.answers[1].data)
        else {
            panic!("{keys:?}")
        };
        let name = Name::from_ascii("lab.test.").unwrap();
        key.verify_rrsig(&name, hickory_proto::rr::DNSClass::IN, rrsig, answer.answers[..1].iter()).unwrap();
        let fault = LookupFault { of: "lab.test MX".to_owned(), r#do: LookupAnswer::WrongSignature, by: None };
        let bent = ask(&world(None, Some(fault)), "lab.test MX").answers;
        let RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) = &bent[1].data else { panic!("{bent:?}") };
        assert!(key.verify_rrsig(&name, hickory_proto::rr::DNSClass::IN, rrsig, bent[..1].iter()).is_err());
    }

    #[test]
    fn zones_are_handed_over_as_their_mistakes_say() {
        let ds = |mistake| kinds(&ask(&world(mistake, None), "lab.test DS").answers).contains(&RecordType::DS);
        assert!(ds(None) && ds(Some(ZoneMistake::NotSigned)) && ds(Some(ZoneMistake::ForeignDs)));
        assert!(!ds(Some(ZoneMistake::NoDs)));
        let unsigned = ask(&world(Some(ZoneMistake::NotSigned), None), "lab.test MX");
        assert_eq!(kinds(&unsigned.answers), [RecordType::MX]);
        let silent = ask(&world(Some(ZoneMistake::NoProofs), None), "mx.lab.test AAAA");
        assert_eq!(kinds(&silent.authorities), [RecordType::SOA, RecordType::RRSIG]);
    }
}
