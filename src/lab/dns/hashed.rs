//! NSEC3: the proof of absence by hashes of names (RFC 5155, 7.1).

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::{
    dnssec::{
        Nsec3HashAlgorithm,
        rdata::{DNSSECRData, NSEC3, NSEC3PARAM},
    },
    rr::{Name, RData, Record, RecordType},
};

use super::{
    DnsError,
    zone::{Set, TTL},
};
use crate::scenario::Nsec3Spec;

const ALGORITHM: Nsec3HashAlgorithm = Nsec3HashAlgorithm::SHA1;

/// The NSEC3 records of a zone, by the hashes of the names that they are of.
#[derive(Debug)]
pub(super) struct Hashes {
    spec: Nsec3Spec,
    pub chain: BTreeMap<Vec<u8>, (Name, Set)>,
}

impl Hashes {
    /// Over the names of a zone and the types that each has.
    pub fn of(zone: &Name, spec: &Nsec3Spec, names: &BTreeMap<Name, Vec<RecordType>>) -> Result<Self, DnsError> {
        let mut of_hash = BTreeMap::new();
        let mut all: BTreeSet<Name> = names.keys().cloned().collect();
        // Names that only have others below them count as well.
        for name in names.keys() {
            let mut above = name.clone();
            while above != *zone {
                above = above.base_name();
                all.insert(above.clone());
            }
        }
        for name in all {
            of_hash.insert(hash(spec, &name)?, names.get(&name).cloned().unwrap_or_default());
        }
        let hashes: Vec<Vec<u8>> = of_hash.keys().cloned().collect();
        let mut records = Vec::new();
        let mut owners = BTreeMap::new();
        for (at, (own, types)) in of_hash.into_iter().enumerate() {
            let next = hashes.get(at + 1).or_else(|| hashes.first()).cloned().unwrap_or_default();
            let data = NSEC3::new(ALGORITHM, spec.opt_out == Some(true), spec.rounds(), Vec::new(), next.clone(), types);
            // Each record has the label of the one that follows.
            let label = data.next_hashed_owner_name_base32().ok_or(DnsError::Key)?;
            owners.insert(next, zone.prepend_label(label)?);
            records.push((own, data));
        }
        let mut chain = BTreeMap::new();
        for (own, data) in records {
            let owner = owners.get(&own).cloned().ok_or(DnsError::Key)?;
            let record = Record::from_rdata(owner.clone(), TTL, RData::DNSSEC(DNSSECRData::NSEC3(data)));
            chain.insert(own, (owner, Set { records: vec![record], signatures: Vec::new() }));
        }
        Ok(Self { spec: spec.clone(), chain })
    }

    /// The record of that very name.
    pub fn of_name(&self, name: &Name) -> Option<&(Name, Set)> {
        self.chain.get(&hash(&self.spec, name).ok()?)
    }

    /// The record whose gap the name's hash falls into.
    pub fn around(&self, name: &Name) -> Option<&(Name, Set)> {
        let hash = hash(&self.spec, name).ok()?;
        self.chain.range(..=hash).next_back().or_else(|| self.chain.iter().next_back()).map(|(_, record)| record)
    }
}

/// What a zone says of how it hashes (RFC 5155, 4): without opt-out, and without salt (RFC 9276, 3.1).
pub(super) fn parameters(spec: &Nsec3Spec) -> RData {
    RData::DNSSEC(DNSSECRData::NSEC3PARAM(NSEC3PARAM::new(ALGORITHM, false, spec.rounds(), Vec::new())))
}

fn hash(spec: &Nsec3Spec, name: &Name) -> Result<Vec<u8>, DnsError> {
    Ok(ALGORITHM.hash(&[], name, spec.rounds())?.as_ref().to_vec())
}
