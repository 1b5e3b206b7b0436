//! The chain of signatures from a trust anchor to an RRset, walked step by step (RFC 4035, 5), to say where it breaks.
//!
//! It is asked where the validator of the resolver library says "bogus", which names no reason and is wrong at times; where it
//! says "secure", since it takes keys that a DS record vouches for without a look at their signatures; and where a resolver answers
//! SERVFAIL, which may be its own way to say "bogus".

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use hickory_proto::{
    dnssec::{
        Verifier as _,
        rdata::{DNSKEY, DNSSECRData, DS, RRSIG},
    },
    op::{Message, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};
use time::OffsetDateTime;

use super::{
    anchors::Anchors,
    denial::{Cut, Denials},
    wire::{ask, text},
};
use crate::{
    facts::{Absence, Bogus, BogusCause, DnsFailure, Proof},
    wire::WireText,
};

/// Questions of one walk: a deep name takes two for each of its labels.
const MAX_QUESTIONS: usize = 80;
/// Signatures that are checked in one walk.
const MAX_CHECKS: usize = 200;
/// CNAMEs that are followed.
const MAX_ALIASES: usize = 8;

/// What a walk found.
pub(super) struct Walked {
    /// The CNAMEs on the way.
    pub(super) aliases: Vec<(Name, Name, Proof)>,
    /// The records at its end.
    pub(super) records: Vec<Record>,
    /// Why there are none.
    pub(super) absence: Option<Absence>,
    /// What was proven of them.
    pub(super) proof: Proof,
    /// Whether they come from a wildcard that NSEC speaks for.
    pub(super) is_plain_wildcard: bool,
    /// Whether the chain breaks at the keys of a zone.
    pub(super) is_broken_at_keys: bool,
}

/// What earlier walks found out about zones; for a while, and not without end.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Known>>);

struct Known {
    since: Instant,
    delegations: HashMap<Name, Message>,
    zones: HashMap<Name, Zone>,
}

impl Default for Known {
    fn default() -> Self {
        Self { since: Instant::now(), delegations: HashMap::new(), zones: HashMap::new() }
    }
}

/// How long zones are remembered, whatever their TTL: a check is of a moment.
const MEMORY: Duration = Duration::from_secs(120);
/// Zones that are remembered.
const MAX_ZONES: usize = 5000;

impl Memory {
    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.since.elapsed() > MEMORY || known.delegations.len() > MAX_ZONES || known.zones.len() > MAX_ZONES {
            *known = Known::default();
        }
        act(&mut known)
    }
}

pub(super) struct Walk<'a> {
    pub(super) servers: &'a [SocketAddr],
    pub(super) anchors: &'a Anchors,
    pub(super) timeout: Duration,
    pub(super) attempts: usize,
    /// The moment at which signatures must be valid.
    pub(super) now: OffsetDateTime,
    memory: Memory,
    asked: HashMap<(Name, RecordType), Message>,
    zones: HashMap<Name, Zone>,
    questions: usize,
    checks: usize,
    is_broken_at_keys: bool,
}

/// What is known of a zone.
#[derive(Clone)]
enum Zone {
    Secure(Vec<DNSKEY>),
    /// Anything but secure.
    Not(Proof),
}

/// The state of one RRset, and whether it stands for a wildcard: then with the labels of its signature.
struct State {
    proof: Proof,
    wildcard: Option<u8>,
}

impl State {
    fn plain(proof: Proof) -> Self {
        Self { proof, wildcard: None }
    }
}

fn bogus(cause: BogusCause, text: String) -> Proof {
    Proof::Bogus(Bogus { cause, text: WireText::from(text) })
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        servers: &'a [SocketAddr],
        anchors: &'a Anchors,
        timeout: Duration,
        attempts: usize,
        now: OffsetDateTime,
        memory: Memory,
    ) -> Self {
        let (asked, zones) = (HashMap::new(), HashMap::new());
        Self { servers, anchors, timeout, attempts, now, memory, asked, zones, questions: 0, checks: 0, is_broken_at_keys: false }
    }

    /// Walks to the records of a name, through CNAMEs.
    pub(super) async fn to(&mut self, name: &Name, kind: RecordType) -> Result<Walked, DnsFailure> {
        let mut aliases: Vec<(Name, Name, Proof)> = Vec::new();
        let mut at = name.clone();
        loop {
            let message = self.ask(&at, kind).await?;
            let own: Vec<Record> = rrset(&message.answers, &at, kind);
            if !own.is_empty() {
                let (state, is_plain_wildcard) = self.positive(&at, kind, &own, &message).await;
                return Ok(Walked {
                    aliases,
                    records: own,
                    absence: None,
                    proof: state,
                    is_plain_wildcard,
                    is_broken_at_keys: self.is_broken_at_keys,
                });
            }
            let alias = rrset(&message.answers, &at, RecordType::CNAME);
            let target = alias.iter().find_map(|record| match &record.data {
                RData::CNAME(target) => Some(target.0.clone()),
                _ => None,
            });
            let Some(target) = target else {
                let is_nx = message.metadata.response_code == ResponseCode::NXDomain;
                let absence = Some(if is_nx { Absence::NxDomain } else { Absence::NoData });
                let proof = self.negative(&at, kind, is_nx, &message).await;
                let is_broken_at_keys = self.is_broken_at_keys;
                return Ok(Walked { aliases, records: Vec::new(), absence, proof, is_plain_wildcard: false, is_broken_at_keys });
            };
            let (proof, _) = self.positive(&at, RecordType::CNAME, &alias, &message).await;
            if aliases.len() >= MAX_ALIASES || target == *name || aliases.iter().any(|(from, ..)| *from == target) {
                return Err(DnsFailure::Loop(text(name)));
            }
            aliases.push((at, target.clone(), proof));
            at = target;
        }
    }

    async fn ask(&mut self, name: &Name, kind: RecordType) -> Result<Message, DnsFailure> {
        let key = (name.to_lowercase(), kind);
        if let Some(known) = self.asked.get(&key) {
            return Ok(known.clone());
        }
        if kind == RecordType::DS
            && let Some(known) = self.memory.with(|known| known.delegations.get(&key.0).cloned())
        {
            self.asked.insert(key, known.clone());
            return Ok(known);
        }
        if self.questions >= MAX_QUESTIONS {
            return Err(DnsFailure::Other { name: text(name), why: WireText::from("the walk takes too many questions") });
        }
        self.questions += 1;
        let message = ask(self.servers, name, kind, self.timeout, self.attempts).await?;
        if kind == RecordType::DS {
            self.memory.with(|known| known.delegations.insert(key.0.clone(), message.clone()));
        }
        self.asked.insert(key, message.clone());
        Ok(message)
    }

    /// The state of records, and whether a wildcard with NSEC gave them.
    async fn positive(&mut self, name: &Name, kind: RecordType, records: &[Record], message: &Message) -> (Proof, bool) {
        let state = self.rrset_state(name, kind, records, &signatures(&message.answers, name, kind)).await;
        let Some(labels) = state.wildcard.filter(|_| state.proof.is_secure()) else { return (state.proof, false) };
        match self.signed_denials(message).await {
            Ok(records) => {
                let denials = Denials::of(&records);
                let is_plain = records.iter().any(|record| record.record_type() == RecordType::NSEC);
                if denials.proves_wildcard(name, labels) {
                    (Proof::Secure, is_plain)
                } else {
                    let why = format!("nothing proves that {} may be answered from a wildcard", text(name));
                    (bogus(BogusCause::NoDenial, why), false)
                }
            }
            Err(proof) => (proof, false),
        }
    }

    /// The state of an absence.
    async fn negative(&mut self, name: &Name, kind: RecordType, is_nx: bool, message: &Message) -> Proof {
        let what = if is_nx { text(name).to_string() } else { format!("{kind} of {}", text(name)) };
        let found = self.signed_denials(message).await;
        match found {
            Ok(records) if Denials::of(&records).proves_absence(name, kind, is_nx) => Proof::Secure,
            Ok(records) => match self.without_signature(name, kind).await {
                // It lies in a signed zone, and nothing proves that it is not there.
                Proof::Bogus(Bogus { cause: BogusCause::NoSignature | BogusCause::NoDenial, .. }) => {
                    let how = if Denials::of(&records).is_empty() {
                        "there is no NSEC or NSEC3 record"
                    } else {
                        "what NSEC or NSEC3 records there are say something else"
                    };
                    bogus(BogusCause::NoDenial, format!("nothing proves the absence of {what}: {how}"))
                }
                other => other,
            },
            Err(proof) => proof,
        }
    }

    /// The NSEC and NSEC3 records of an answer, if each is signed as it must be.
    async fn signed_denials(&mut self, message: &Message) -> Result<Vec<Record>, Proof> {
        let mut signed = Vec::new();
        let mut seen: Vec<(Name, RecordType)> = Vec::new();
        for record in &message.authorities {
            let kind = record.record_type();
            let key = (record.name.clone(), kind);
            if !matches!(kind, RecordType::NSEC | RecordType::NSEC3) || seen.contains(&key) {
                continue;
            }
            seen.push(key);
            let records = rrset(&message.authorities, &record.name, kind);
            let state =
                self.rrset_state(&record.name, kind, &records, &signatures(&message.authorities, &record.name, kind)).await;
            match state.proof {
                // Nothing is expanded into an NSEC (RFC 4592, 4.7 and RFC 5155, 7.2).
                Proof::Secure if state.wildcard.is_none() => signed.extend(records),
                Proof::Secure => {}
                other => return Err(other),
            }
        }
        Ok(signed)
    }

    /// The state of one RRset by its signatures.
    fn rrset_state<'s>(
        &'s mut self,
        name: &'s Name,
        kind: RecordType,
        records: &'s [Record],
        signatures: &'s [RRSIG],
    ) -> BoxFuture<'s, State> {
        Box::pin(async move {
            let what = format!("{kind} of {}", text(name));
            // What is told of the signature that gets furthest.
            let mut worst: Option<(u8, Proof)> = None;
            let mut note = |rank: u8, proof: Proof| {
                if worst.as_ref().is_none_or(|(known, _)| rank > *known) {
                    worst = Some((rank, proof));
                }
            };
            for signature in signatures.iter().take(8) {
                let input = signature.input();
                let signer = &input.signer_name;
                // RFC 4035, 5.3.1; what stands in the parent is signed there.
                let is_above = signer.zone_of(name) && (kind != RecordType::DS || signer != name || name.is_root());
                if !is_above || input.num_labels > name.num_labels() {
                    note(
                        1,
                        bogus(
                            BogusCause::BadSignature,
                            format!("the signature of {what} is by {}, which is not its zone", text(signer)),
                        ),
                    );
                    continue;
                }
                let keys = match self.zone(signer).await {
                    Zone::Secure(keys) => keys,
                    Zone::Not(Proof::Insecure) => return State::plain(Proof::Insecure),
                    Zone::Not(proof) => {
                        note(5, proof);
                        continue;
                    }
                };
                let fitting: Vec<&DNSKEY> = keys
                    .iter()
                    .filter(|key| {
                        key.public_key_algorithm() == input.algorithm
                            && key.calculate_key_tag().is_ok_and(|tag| tag == input.key_tag)
                    })
                    .take(4)
                    .collect();
                if fitting.is_empty() {
                    let why =
                        format!("the signature of {what} is by the key {}, which {} does not have", input.key_tag, text(signer));
                    note(2, bogus(BogusCause::NoKey, why));
                    continue;
                }
                self.checks += fitting.len();
                if self.checks > MAX_CHECKS {
                    return State::plain(Proof::Indeterminate("there are too many signatures to check".to_owned()));
                }
                let fits = fitting.iter().any(|key| key.verify_rrsig(name, DNSClass::IN, signature, records.iter()).is_ok());
                if !fits {
                    note(3, bogus(BogusCause::BadSignature, format!("the signature of {what} does not fit the records")));
                    continue;
                }
                if let Some((cause, words)) = out_of_time(signature, self.now) {
                    note(4, bogus(cause, format!("the signature of {what} {words}")));
                    continue;
                }
                let own = name.num_labels();
                let wildcard = (input.num_labels < own).then_some(input.num_labels);
                return State { proof: Proof::Secure, wildcard };
            }
            match worst {
                Some((_, proof)) => State::plain(proof),
                None => State::plain(self.without_signature(name, kind).await),
            }
        })
    }

    /// What it means that there is no signature at a name: that depends on whether its zone is signed.
    fn without_signature<'s>(&'s mut self, name: &'s Name, kind: RecordType) -> BoxFuture<'s, Proof> {
        Box::pin(async move {
            let Some(anchor) = self.anchor_above(name) else {
                return Proof::Indeterminate(format!("no trust anchor stands above {}", text(name)));
            };
            if let Zone::Not(proof) = self.zone(&anchor).await {
                return proof;
            }
            // A DS stands in the parent's zone.
            let last = if kind == RecordType::DS { name.base_name() } else { name.clone() };
            for labels in anchor.num_labels() + 1..=last.num_labels() {
                let cut = last.trim_to(usize::from(labels));
                match self.delegation(&cut).await {
                    Delegation::None => {}
                    Delegation::Signed => {
                        if let Zone::Not(proof) = self.zone(&cut).await {
                            return proof;
                        }
                    }
                    Delegation::Not(proof) => return proof,
                }
            }
            bogus(BogusCause::NoSignature, format!("{kind} of {} has no signature, and its zone is signed", text(name)))
        })
    }

    /// The deepest anchor at or above a name.
    fn anchor_above(&self, name: &Name) -> Option<Name> {
        let above = self.anchors.entries.iter().map(|(zone, _)| zone).filter(|zone| zone.zone_of(name));
        above.max_by_key(|zone| zone.num_labels()).cloned()
    }

    /// What the parent says of a name at which a zone may be cut.
    async fn delegation(&mut self, name: &Name) -> Delegation {
        let message = match self.ask(name, RecordType::DS).await {
            Ok(message) => message,
            Err(failure) => return Delegation::Not(Proof::Indeterminate(failure.to_string())),
        };
        let records = rrset(&message.answers, name, RecordType::DS);
        if !records.is_empty() {
            let signatures = signatures(&message.answers, name, RecordType::DS);
            return match self.rrset_state(name, RecordType::DS, &records, &signatures).await.proof {
                Proof::Secure => Delegation::Signed,
                other => Delegation::Not(other),
            };
        }
        // A name that is an alias is no cut.
        if !rrset(&message.answers, name, RecordType::CNAME).is_empty() {
            return Delegation::None;
        }
        match self.signed_denials(&message).await {
            Err(proof) => Delegation::Not(proof),
            Ok(records) => match Denials::of(&records).cut(name) {
                Some(Cut::Insecure) => Delegation::Not(Proof::Insecure),
                Some(Cut::None) => Delegation::None,
                None => {
                    let why = format!("nothing proves that {} has no DS record", text(name));
                    Delegation::Not(bogus(BogusCause::NoDenial, why))
                }
            },
        }
    }

    /// The keys of a zone, if a chain leads to them.
    fn zone<'s>(&'s mut self, zone: &'s Name) -> BoxFuture<'s, Zone> {
        Box::pin(async move {
            let key = zone.to_lowercase();
            if let Some(known) = self.zones.get(&key) {
                return known.clone();
            }
            if let Some(known) = self.memory.with(|known| known.zones.get(&key).cloned()) {
                self.is_broken_at_keys |= matches!(known, Zone::Not(Proof::Bogus(_)));
                self.zones.insert(key, known.clone());
                return known;
            }
            // Whoever comes back here while it is worked out goes in a circle.
            let circle = Proof::Indeterminate(format!("the keys of {} lead in a circle", text(zone)));
            self.zones.insert(key.clone(), Zone::Not(circle));
            let found = self.find_zone(zone).await;
            self.is_broken_at_keys |= matches!(found, Zone::Not(Proof::Bogus(_)));
            if !matches!(found, Zone::Not(Proof::Indeterminate(_))) {
                self.memory.with(|known| known.zones.insert(key.clone(), found.clone()));
            }
            self.zones.insert(key, found.clone());
            found
        })
    }

    async fn find_zone(&mut self, zone: &Name) -> Zone {
        let not = |proof: Proof| Zone::Not(proof);
        let is_anchor = self.anchors.of(zone).next().is_some();
        if !is_anchor && self.anchor_above(zone).is_none() {
            return not(Proof::Indeterminate(format!("no trust anchor stands above {}", text(zone))));
        }
        let mut digests: Vec<DS> = Vec::new();
        if !is_anchor {
            match self.delegation(zone).await {
                Delegation::Signed => {}
                Delegation::Not(proof) => return not(proof),
                // A signature by a zone that is none.
                Delegation::None => {
                    let why = format!("a signature is by {}, where no zone begins", text(zone));
                    return not(bogus(BogusCause::BadSignature, why));
                }
            }
            let Ok(message) = self.ask(zone, RecordType::DS).await else { return not(Proof::Insecure) };
            digests = rrset(&message.answers, zone, RecordType::DS)
                .into_iter()
                .filter_map(|record| match record.data {
                    RData::DNSSEC(DNSSECRData::DS(digest)) => Some(digest),
                    _ => None,
                })
                .filter(|digest| digest.algorithm().is_supported() && is_known_digest(digest))
                .collect();
            // RFC 4035, 5.2: a zone that nobody can validate counts as unsigned.
            if digests.is_empty() {
                return not(Proof::Insecure);
            }
        }
        let message = match self.ask(zone, RecordType::DNSKEY).await {
            Ok(message) => message,
            Err(failure) => return not(Proof::Indeterminate(failure.to_string())),
        };
        let records = rrset(&message.answers, zone, RecordType::DNSKEY);
        let keys: Vec<DNSKEY> = records
            .iter()
            .filter_map(|record| match &record.data {
                RData::DNSSEC(DNSSECRData::DNSKEY(key)) if key.zone_key() && !key.revoke() => Some(key.clone()),
                _ => None,
            })
            .collect();
        let signatures = signatures(&message.answers, zone, RecordType::DNSKEY);
        let trusted: Vec<&DNSKEY> = keys
            .iter()
            .filter(|key| match is_anchor {
                true => self.anchors.of(zone).any(|anchor| anchor.trusts(zone, key)),
                false => digests.iter().any(|digest| is_digest_of(digest, zone, key)),
            })
            .take(4)
            .collect();
        let of = text(zone);
        if trusted.is_empty() {
            return not(match is_anchor {
                // The zone may be right and the anchor wrong.
                true if keys.is_empty() => {
                    Proof::Indeterminate(format!("no keys came for {of}: the resolver may not pass DNSSEC on"))
                }
                true => {
                    Proof::Indeterminate(format!("the keys of {of} are not those of the trust anchor ({})", self.anchors.name))
                }
                false if keys.is_empty() => bogus(BogusCause::DsMismatch, format!("{of} has a DS record and no keys")),
                false => bogus(BogusCause::DsMismatch, format!("none of the keys of {of} is the one that its DS record means")),
            });
        }
        if signatures.is_empty() && is_anchor {
            return not(Proof::Indeterminate(format!("no signatures came for {of}: the resolver may not pass DNSSEC on")));
        }
        let mut why =
            bogus(BogusCause::NoSignature, format!("the keys of {of} are not signed by the one that its parent vouches for"));
        for signature in signatures.iter().take(8) {
            let input = signature.input();
            let by_trusted = trusted.iter().filter(|key| key.calculate_key_tag().is_ok_and(|tag| tag == input.key_tag));
            for key in by_trusted {
                self.checks += 1;
                if self.checks > MAX_CHECKS {
                    return not(Proof::Indeterminate("there are too many signatures to check".to_owned()));
                }
                if key.verify_rrsig(zone, DNSClass::IN, signature, records.iter()).is_err() {
                    why = bogus(BogusCause::BadSignature, format!("the signature of the keys of {of} does not fit them"));
                } else if let Some((cause, words)) = out_of_time(signature, self.now) {
                    why = bogus(cause, format!("the signature of the keys of {of} {words}"));
                } else {
                    return Zone::Secure(keys);
                }
            }
        }
        not(why)
    }
}

/// What a parent says of a name.
enum Delegation {
    /// A zone begins there, and it is signed.
    Signed,
    /// No zone begins there.
    None,
    /// Anything else: an unsigned zone, or nothing that is proven.
    Not(Proof),
}

fn is_known_digest(digest: &DS) -> bool {
    use hickory_proto::dnssec::DigestType;
    matches!(digest.digest_type(), DigestType::SHA1 | DigestType::SHA256 | DigestType::SHA384)
}

fn is_digest_of(digest: &DS, zone: &Name, key: &DNSKEY) -> bool {
    digest.algorithm() == key.public_key_algorithm()
        && key.calculate_key_tag().is_ok_and(|tag| tag == digest.key_tag())
        && digest.covers(zone, key).unwrap_or(false)
}

/// The algorithm of a key.
trait KeyAlgorithm {
    fn public_key_algorithm(&self) -> hickory_proto::dnssec::Algorithm;
}

impl KeyAlgorithm for DNSKEY {
    fn public_key_algorithm(&self) -> hickory_proto::dnssec::Algorithm {
        use hickory_proto::dnssec::PublicKey as _;
        self.public_key().algorithm()
    }
}

/// Whether now is outside of a signature's time, which is counted modulo 2^32 (RFC 4034, 3.1.5).
fn out_of_time(signature: &RRSIG, now: OffsetDateTime) -> Option<(BogusCause, String)> {
    let seconds = now.unix_timestamp();
    let since = |moment: u32| {
        let now = u32::try_from(seconds.rem_euclid(1 << 32)).unwrap_or_default();
        i64::from(now.wrapping_sub(moment).cast_signed())
    };
    let date = |moment: u32| {
        let at = OffsetDateTime::from_unix_timestamp(seconds - since(moment)).unwrap_or(now);
        at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
    };
    let input = signature.input();
    let (begin, end) = (input.sig_inception.get(), input.sig_expiration.get());
    if since(end) > 0 {
        return Some((BogusCause::Expired, format!("expired on {}", date(end))));
    }
    (since(begin) < 0).then(|| (BogusCause::NotYetValid, format!("is not valid before {}", date(begin))))
}

/// The records of a name and type.
fn rrset(records: &[Record], name: &Name, kind: RecordType) -> Vec<Record> {
    records.iter().filter(|record| record.name == *name && record.record_type() == kind).cloned().collect()
}

/// The signatures of a name and type.
fn signatures(records: &[Record], name: &Name, kind: RecordType) -> Vec<RRSIG> {
    let of = records.iter().filter(|record| record.name == *name);
    let of = of.filter_map(|record| match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature.clone()),
        _ => None,
    });
    of.filter(|signature| signature.input().type_covered == kind).collect()
}
