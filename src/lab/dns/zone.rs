//! Zones in memory, signed (RFC 4034, RFC 4035): every set of records with its signatures, and the chain of NSEC records, or of
//! NSEC3 records.

use std::{collections::BTreeMap, time::Duration};

use aws_lc_rs::signature::Ed25519KeyPair;
use hickory_proto::{
    dnssec::{
        Algorithm, DigestType, PublicKeyBuf, SigningKey as _, TBS,
        crypto::Ed25519SigningKey,
        rdata::{DNSKEY, DNSSECRData, DS, NSEC, RRSIG, SigInput},
    },
    rr::{
        DNSClass, Name, RData, Record, RecordType, SerialNumber,
        rdata::{NS, SOA},
    },
};
use time::OffsetDateTime;

use super::{
    DnsError,
    hashed::{self, Hashes},
};
use crate::{
    plan::{NAME_SERVERS, ZonePlan},
    scenario::{LookupAnswer, Nsec3Spec, ZoneMistake},
};

/// How long everything may be kept. A lab changes, and ends.
pub(super) const TTL: u32 = 300;
/// An algorithm that IANA has not assigned.
const UNKNOWN_ALGORITHM: Algorithm = Algorithm::Unknown(200);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A set of records of one name and type.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    pub records: Vec<Record>,
    /// Empty in a zone that is not signed, and where the zone does not vouch for them.
    pub signatures: Vec<Record>,
}

/// A zone with everything in it.
#[derive(Debug)]
pub(super) struct Zone {
    pub name: Name,
    pub names: BTreeMap<Name, BTreeMap<RecordType, Set>>,
    pub soa: Name,
    /// The hashes that prove what there is not, where names do not.
    pub hashes: Option<Hashes>,
    /// Whether it proves what there is not.
    pub has_proofs: bool,
}

/// The signatures of one set, where they are not to hold.
pub(super) type Bent = Option<(Name, RecordType, LookupAnswer)>;

/// A zone before it is signed.
#[derive(Debug)]
pub(super) struct Draft {
    pub name: Name,
    is_signed: bool,
    mistake: Option<ZoneMistake>,
    nsec3: Option<Nsec3Spec>,
    key: Key,
    pub sets: BTreeMap<(Name, RecordType), Vec<Record>>,
}

struct Key {
    inner: Ed25519SigningKey,
    dnskey: DNSKEY,
}

/// Keys never reach a log.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    fn new(seed: &[u8], algorithm: Option<Algorithm>) -> Result<Self, DnsError> {
        // Zone key and secure entry point (RFC 4034, 2.1.1): one key signs everything.
        const FLAGS: u16 = 257;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| DnsError::Key)?;
        let inner = Ed25519SigningKey::from_ed25519(pair);
        let public = inner.to_public_key().map_err(|_| DnsError::Key)?;
        let public = algorithm.map_or(public.clone(), |algorithm| PublicKeyBuf::new(public.into_inner(), algorithm));
        Ok(Self { inner, dnskey: DNSKEY::with_flags(FLAGS, public) })
    }

    fn ds(&self, zone: &Name) -> Result<DS, DnsError> {
        use hickory_proto::dnssec::PublicKey as _;
        let digest = self.dnskey.to_digest(zone, DigestType::SHA256)?;
        let algorithm = self.dnskey.public_key().algorithm();
        Ok(DS::new(self.dnskey.calculate_key_tag()?, algorithm, DigestType::SHA256, digest.as_ref().to_owned()))
    }
}

impl Draft {
    /// With the records that every zone has.
    pub fn new(plan: &ZonePlan) -> Result<Self, DnsError> {
        let name = Name::from_ascii(&plan.name)?;
        let algorithm = (plan.mistake == Some(ZoneMistake::UnknownAlgorithm)).then_some(UNKNOWN_ALGORITHM);
        let key = Key::new(&plan.seed, algorithm)?;
        let is_signed = plan.is_signed && plan.mistake != Some(ZoneMistake::NotSigned);
        let nsec3 = plan.nsec3.clone().filter(|_| is_signed);
        let mut draft = Self { name: name.clone(), is_signed, mistake: plan.mistake, nsec3, key, sets: BTreeMap::new() };
        let [first, second] = [Name::from_ascii(NAME_SERVERS[0])?, Name::from_ascii(NAME_SERVERS[1])?];
        let contact = Name::from_ascii("hostmaster.nic.test.")?;
        draft.add(name.clone(), RData::SOA(SOA::new(first.clone(), contact, 1, 3600, 600, 86_400, TTL)));
        for server in [first, second] {
            draft.add(name.clone(), RData::NS(NS(server)));
        }
        if is_signed {
            draft.add(name.clone(), RData::DNSSEC(DNSSECRData::DNSKEY(draft.key.dnskey.clone())));
        }
        if let Some(spec) = &draft.nsec3 {
            let parameters = hashed::parameters(spec);
            draft.add(name, parameters);
        }
        Ok(draft)
    }

    pub fn add(&mut self, name: Name, data: RData) {
        let record = Record::from_rdata(name.to_lowercase(), TTL, data);
        let set = self.sets.entry((record.name.clone(), record.record_type())).or_default();
        if !set.contains(&record) {
            set.push(record);
        }
    }

    /// Hands this zone over to one below it.
    pub fn delegate(&mut self, child: &Self) -> Result<(), DnsError> {
        for server in NAME_SERVERS {
            self.add(child.name.clone(), RData::NS(NS(Name::from_ascii(server)?)));
        }
        let is_vouched_for = child.is_signed || child.mistake == Some(ZoneMistake::NotSigned);
        if is_vouched_for && child.mistake != Some(ZoneMistake::NoDs) {
            let ds = match child.mistake {
                Some(ZoneMistake::ForeignDs) => Key::new(&[7; 32], None)?.ds(&child.name)?,
                _ => child.key.ds(&child.name)?,
            };
            self.add(child.name.clone(), RData::DNSSEC(DNSSECRData::DS(ds)));
        }
        Ok(())
    }

    /// The trust anchor that it is, as a line of a zone file.
    pub fn anchor(&self) -> String {
        let record = RData::DNSSEC(DNSSECRData::DNSKEY(self.key.dnskey.clone()));
        format!("{}\n", Record::from_rdata(self.name.clone(), TTL, record))
    }

    /// Signs it.
    pub fn sign(self, now: OffsetDateTime, bent: &Bent) -> Result<Zone, DnsError> {
        let Self { name: zone, is_signed, mistake, nsec3, key, sets } = self;
        let mut names: BTreeMap<Name, BTreeMap<RecordType, Set>> = BTreeMap::new();
        for ((name, kind), records) in sets {
            names.entry(name).or_default().insert(kind, Set { records, signatures: Vec::new() });
        }
        let mut hashes = None;
        if is_signed {
            let sign = |set: &mut Set, answer| {
                set.signatures = signatures(&set.records, &zone, &key, now, mistake, answer)?;
                Ok::<(), DnsError>(())
            };
            let own: Vec<Name> = names.keys().filter(|name| !is_below_delegation(name, &zone, &names)).cloned().collect();
            match &nsec3 {
                Some(spec) => {
                    let mut made = Hashes::of(&zone, spec, &hashed_names(&zone, spec, &own, &names))?;
                    made.chain.values_mut().try_for_each(|(_, set)| sign(set, None))?;
                    hashes = Some(made);
                }
                None => chain(&zone, &own, &mut names),
            }
            for name in &own {
                let is_delegation = is_delegation(name, &zone, &names);
                for (kind, set) in names.get_mut(name).into_iter().flatten() {
                    // The parent vouches for what is its own (RFC 4035, 2.2).
                    if is_delegation && !matches!(*kind, RecordType::DS | RecordType::NSEC) {
                        continue;
                    }
                    let of_set = bent.as_ref().filter(|(bent_name, bent_kind, _)| bent_name == name && bent_kind == kind);
                    sign(set, of_set.map(|(.., answer)| *answer))?;
                }
            }
        }
        Ok(Zone { soa: zone.clone(), name: zone, names, hashes, has_proofs: mistake != Some(ZoneMistake::NoProofs) })
    }
}

/// Adds the NSEC records: each name leads to the next one.
fn chain(zone: &Name, own: &[Name], names: &mut BTreeMap<Name, BTreeMap<RecordType, Set>>) {
    for (at, name) in own.iter().enumerate() {
        let next = own.get(at + 1).unwrap_or(zone).clone();
        let types: Vec<RecordType> = names[name].keys().copied().chain([RecordType::NSEC, RecordType::RRSIG]).collect();
        let record = Record::from_rdata(name.clone(), TTL, RData::DNSSEC(DNSSECRData::NSEC(NSEC::new(next, types))));
        let set = Set { records: vec![record], signatures: Vec::new() };
        names.entry(name.clone()).or_default().insert(RecordType::NSEC, set);
    }
}

/// The names that are hashed, and what each has.
fn hashed_names(
    zone: &Name,
    spec: &Nsec3Spec,
    own: &[Name],
    names: &BTreeMap<Name, BTreeMap<RecordType, Set>>,
) -> BTreeMap<Name, Vec<RecordType>> {
    let types = |name: &Name| {
        let mut types: Vec<RecordType> = names[name].keys().copied().collect();
        let is_unsigned = is_delegation(name, zone, names) && !types.contains(&RecordType::DS);
        if !is_unsigned {
            types.push(RecordType::RRSIG);
        }
        // RFC 5155, 7.1: those delegations alone may be left out.
        (!is_unsigned || spec.opt_out != Some(true)).then_some(types)
    };
    own.iter().filter_map(|name| Some((name.clone(), types(name)?))).collect()
}

fn is_delegation(name: &Name, zone: &Name, names: &BTreeMap<Name, BTreeMap<RecordType, Set>>) -> bool {
    name != zone && names.get(name).is_some_and(|sets| sets.contains_key(&RecordType::NS))
}

/// Whether a name belongs to a zone below this one: addresses of its name servers may stand here, unsigned.
fn is_below_delegation(name: &Name, zone: &Name, names: &BTreeMap<Name, BTreeMap<RecordType, Set>>) -> bool {
    let mut above = name.base_name();
    while above != *zone && zone.zone_of(&above) {
        if names.get(&above).is_some_and(|sets| sets.contains_key(&RecordType::NS)) {
            return true;
        }
        above = above.base_name();
    }
    false
}

fn signatures(
    records: &[Record],
    zone: &Name,
    key: &Key,
    now: OffsetDateTime,
    mistake: Option<ZoneMistake>,
    answer: Option<LookupAnswer>,
) -> Result<Vec<Record>, DnsError> {
    let Some(first) = records.first() else { return Ok(Vec::new()) };
    if answer == Some(LookupAnswer::Unsigned) {
        return Ok(Vec::new());
    }
    let (since, until) = match (mistake, answer) {
        (Some(ZoneMistake::Expired), _) | (_, Some(LookupAnswer::ExpiredSignature)) => (now - DAY * 17, now - DAY * 3),
        (Some(ZoneMistake::Early), _) | (_, Some(LookupAnswer::EarlySignature)) => (now + DAY * 7, now + DAY * 21),
        _ => (now - DAY, now + DAY * 14),
    };
    // Serial number arithmetic (RFC 4034, 3.1.5): the low bits of the time.
    let serial = |moment: OffsetDateTime| SerialNumber::from(u32::try_from(moment.unix_timestamp() & 0xffff_ffff).unwrap_or(0));
    use hickory_proto::dnssec::PublicKey as _;
    let input = SigInput {
        type_covered: first.record_type(),
        algorithm: key.dnskey.public_key().algorithm(),
        num_labels: first.name.num_labels(),
        original_ttl: TTL,
        sig_expiration: serial(until),
        sig_inception: serial(since),
        key_tag: key.dnskey.calculate_key_tag()?,
        signer_name: zone.clone(),
    };
    let message = TBS::from_input(&first.name, DNSClass::IN, &input, records.iter())?;
    let mut signature = key.inner.sign(&message).map_err(|_| DnsError::Key)?;
    if answer == Some(LookupAnswer::WrongSignature) {
        signature.iter_mut().take(8).for_each(|byte| *byte ^= 0xff);
    }
    let rrsig = RData::DNSSEC(DNSSECRData::RRSIG(RRSIG::from_sig(input, signature)));
    Ok(vec![Record::from_rdata(first.name.clone(), TTL, rrsig)])
}
