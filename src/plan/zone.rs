//! The zones of a domain's world as data: the lab's root, top-level domains, the domain, and what its hosts need elsewhere.
//! Addresses are places that have to be filled in: they are known when the servers run.

use serde::{Deserialize, Serialize};

use super::domain::{HostRecords, World};
use crate::scenario::{DomainSpec, LookupFault, MtaStsSpec, Nsec3Spec, RecordsFault, ZoneMistake};

/// All that the name servers of a domain's world know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DnsPlan {
    /// The zones; the root first.
    pub zones: Vec<ZonePlan>,
    /// Records that there are instead of others, and on which of the two servers.
    pub records: Option<RecordsFault>,
    /// What is answered wrongly.
    pub lookup: Option<LookupFault>,
}

/// A zone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZonePlan {
    /// Its name, with its final dot.
    pub name: String,
    /// Whether it is meant to be signed.
    pub is_signed: bool,
    /// What is wrong with that.
    pub mistake: Option<ZoneMistake>,
    /// How it hashes the names that it proves the absence of by; names themselves if absent.
    #[serde(default)]
    pub nsec3: Option<Nsec3Spec>,
    /// What its key is made of.
    pub seed: [u8; 32],
    /// Its records, without those that each zone has.
    pub records: Vec<RecordPlan>,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordPlan {
    /// As a line of a zone file.
    Line(String),
    /// The address of a server of the plan, under this name.
    Address(String, usize),
    /// The address of the policy host, under this name.
    PolicyHost(String),
    /// The address of a name server, the first or the second, under this name.
    NameServer(String, usize),
    /// The name of a server's address.
    Pointer(usize, String),
}

/// The name servers of all zones.
pub const NAME_SERVERS: [&str; 2] = ["ns1.nic.test.", "ns2.nic.test."];
/// The zones of the names of addresses.
const REVERSE: [&str; 2] = ["in-addr.arpa.", "ip6.arpa."];
/// It says nothing but that it is one (RFC 8461, 3.1).
const POLICY_ID: &str = "20260301120000Z";

/// Makes the zones of a world.
pub(super) fn plan(spec: &DomainSpec, world: &World) -> DnsPlan {
    let mut zones = vec![world.zone(".", true), world.zone("test.", true)];
    let below = spec.zones();
    for zone in &below {
        let top = format!("{}.", zone.as_str().rsplit('.').next().unwrap_or_default());
        if !zones.iter().any(|known| known.name == top) {
            zones.push(world.zone(&top, true));
        }
    }
    for zone in &below {
        let is_signed = !spec.unsigned.as_ref().is_some_and(|unsigned| unsigned.contains(zone));
        let mut planned = world.zone(&format!("{zone}."), is_signed);
        planned.mistake = world.mistake_in(zone);
        zones.push(planned);
    }
    zones.iter_mut().skip(1).for_each(|zone| zone.nsec3 = spec.nsec3.clone());
    zones.extend(REVERSE.map(|name| world.zone(name, false)));
    let mut dns = DnsPlan { zones, records: world.scenario.fault.records.clone(), lookup: world.scenario.fault.lookup.clone() };
    for (index, name) in NAME_SERVERS.into_iter().enumerate() {
        dns.add(name, RecordPlan::NameServer(name.to_owned(), index));
    }
    mail(spec, world, &mut dns);
    if let Some(policy) = &spec.mta_sts {
        sts(spec, policy, world, &mut dns);
    }
    if let Some(to) = &spec.tlsrpt {
        dns.text(&format!("_smtp._tls.{}.", spec.name), &format!("v=TLSRPTv1; rua={}", to.join(",")));
    }
    for line in spec.records.iter().flatten() {
        let owner = format!("{}.", line.split_whitespace().next().unwrap_or_default().trim_end_matches('.'));
        dns.add(&owner, RecordPlan::Line(line.clone()));
    }
    dns
}

/// MX records, addresses and TLSA records.
fn mail(spec: &DomainSpec, world: &World, dns: &mut DnsPlan) {
    let domain = format!("{}.", spec.name);
    if spec.null_mx == Some(true) {
        dns.add(&domain, RecordPlan::Line(format!("{domain} MX 0 .")));
    }
    for HostRecords { spec: host, servers, tlsa, is_only_for_submission } in &world.hosts {
        let name = format!("{}.", host.host);
        if spec.implicit_mx != Some(true) {
            dns.add(&domain, RecordPlan::Line(format!("{domain} MX {} {name}", host.preference.unwrap_or(10))));
        }
        let place = match &host.alias_of {
            None => name,
            Some(target) => {
                dns.add(&name, RecordPlan::Line(format!("{name} CNAME {target}.")));
                format!("{target}.")
            }
        };
        for server in servers.clone() {
            dns.add(&place, RecordPlan::Address(place.clone(), server));
            for pointer in world.pointer(&host.host) {
                dns.add(REVERSE[0], RecordPlan::Pointer(server, format!("{pointer}.")));
            }
        }
        let ports: &[u16] = if *is_only_for_submission { &[465, 587] } else { &[25] };
        for port in ports {
            let owner = format!("_{port}._tcp.{place}");
            tlsa.iter().for_each(|data| dns.add(&owner, RecordPlan::Line(format!("{owner} TLSA {data}"))));
        }
    }
}

/// The record that announces the policy, and the host that has it.
fn sts(spec: &DomainSpec, policy: &MtaStsSpec, world: &World, dns: &mut DnsPlan) {
    let (record, host) = (format!("_mta-sts.{}.", spec.name), format!("mta-sts.{}.", spec.name));
    let text = format!("v=STSv1; id={POLICY_ID};");
    let (record_place, host_place) = match &policy.provider {
        None => (record, host),
        Some(provider) => {
            let label = spec.name.as_str().replace('.', "-");
            let places = (format!("{label}._mta-sts.{provider}."), format!("mta-sts.{provider}."));
            dns.add(&record, RecordPlan::Line(format!("{record} CNAME {}", places.0)));
            dns.add(&host, RecordPlan::Line(format!("{host} CNAME {}", places.1)));
            places
        }
    };
    dns.text(&record_place, &text);
    if world.has_policy_address() {
        dns.add(&host_place, RecordPlan::PolicyHost(host_place.clone()));
    }
}

impl DnsPlan {
    /// Whether the two name servers say different things.
    pub fn is_split(&self) -> bool {
        self.records.as_ref().is_some_and(|records| records.on_one_server == Some(true))
    }

    /// Adds a record to the zone that its owner belongs to.
    fn add(&mut self, owner: &str, record: RecordPlan) {
        let is_in = |zone: &ZonePlan| zone.name == "." || owner == zone.name || owner.ends_with(&format!(".{}", zone.name));
        let zone = self.zones.iter_mut().filter(|zone| is_in(zone)).max_by_key(|zone| zone.name.len());
        if let Some(zone) = zone {
            zone.records.push(record);
        }
    }

    fn text(&mut self, owner: &str, text: &str) {
        // A string of a TXT record has 255 bytes at the most (RFC 1035, 3.3).
        let characters: Vec<char> = text.chars().collect();
        let strings: Vec<String> =
            characters.chunks(200).map(|chunk| format!("\"{}\"", chunk.iter().collect::<String>())).collect();
        self.add(owner, RecordPlan::Line(format!("{owner} TXT {}", strings.join(" "))));
    }
}
