//! What a name server that has all zones answers (RFC 1034, 4.3.2; RFC 4035, 3.1).

use std::ops::Bound;

use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType},
};

use super::zone::{Set, Zone};

/// An answer before it becomes a message.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub code: ResponseCode,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
}

/// What is said beside the records, or instead of those that there are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proofs {
    /// Neither signatures nor proofs.
    Unasked,
    /// Signatures, and what proves an absence.
    Right,
    /// Signatures alone.
    Missing,
    /// Signatures, and what the zone has of its own name instead of the one that was asked for.
    Wrong,
}

/// As many aliases are followed.
const MAX_ALIASES: usize = 16;

/// All zones of a world.
#[derive(Debug)]
pub(super) struct Zones(pub Vec<Zone>);

impl Zones {
    /// The answer to a question.
    pub fn answer(&self, name: &Name, kind: RecordType, proofs: Proofs) -> Answer {
        let mut answer = Answer::default();
        let mut name = name.to_lowercase();
        for _ in 0..MAX_ALIASES {
            let Some(zone) = self.zone_of(&name, kind) else {
                answer.code = ResponseCode::Refused;
                break;
            };
            let proofs = if proofs != Proofs::Unasked && !zone.has_proofs { Proofs::Missing } else { proofs };
            let mut step = Step { zone, proofs };
            match step.take(&name, kind, &mut answer) {
                Some(target) => name = target,
                None => break,
            }
        }
        answer
    }

    /// The zone that a name is in; DS records are in the zone above (RFC 4035, 3.1.4.1).
    fn zone_of(&self, name: &Name, kind: RecordType) -> Option<&Zone> {
        let has = |zone: &&Zone| zone.name.zone_of(name) && !(kind == RecordType::DS && zone.name == *name && !name.is_root());
        self.0.iter().filter(has).max_by_key(|zone| zone.name.num_labels())
    }
}

/// A step of the way to an answer, within one zone.
struct Step<'a> {
    zone: &'a Zone,
    proofs: Proofs,
}

impl Step<'_> {
    /// Adds what the zone has; the alias's target where the way goes on.
    fn take(&mut self, name: &Name, kind: RecordType, answer: &mut Answer) -> Option<Name> {
        if let Some(sets) = self.zone.names.get(name) {
            return self.at_node(name, name, kind, sets, answer);
        }
        if self.is_empty_non_terminal(name) {
            self.no_data(name, answer);
            return None;
        }
        let encloser = self.closest_encloser(name);
        let wildcard = encloser.prepend_label("*").ok();
        match wildcard.as_ref().and_then(|wildcard| Some((wildcard, self.zone.names.get(wildcard)?))) {
            Some((wildcard, sets)) => {
                let target = self.at_node(name, wildcard, kind, sets, answer);
                self.cover(name, answer);
                target
            }
            None => {
                answer.code = ResponseCode::NXDomain;
                self.soa(answer);
                self.cover(name, answer);
                if let Some(wildcard) = wildcard {
                    self.cover(&wildcard, answer);
                }
                None
            }
        }
    }

    fn at_node(
        &self,
        name: &Name,
        owner: &Name,
        kind: RecordType,
        sets: &std::collections::BTreeMap<RecordType, Set>,
        answer: &mut Answer,
    ) -> Option<Name> {
        match kind {
            RecordType::ANY => sets.values().for_each(|set| self.push(name, set, &mut answer.answers)),
            RecordType::RRSIG => {
                let signatures = sets.values().flat_map(|set| &set.signatures);
                answer.answers.extend(signatures.map(|record| renamed(record, name)));
            }
            _ => match (sets.get(&kind), sets.get(&RecordType::CNAME)) {
                (Some(set), _) => self.push(name, set, &mut answer.answers),
                (None, Some(set)) => {
                    self.push(name, set, &mut answer.answers);
                    return set.records.iter().find_map(|record| match &record.data {
                        RData::CNAME(target) => Some(target.0.to_lowercase()),
                        _ => None,
                    });
                }
                (None, None) => self.no_data(owner, answer),
            },
        }
        None
    }

    fn push(&self, name: &Name, set: &Set, into: &mut Vec<Record>) {
        into.extend(set.records.iter().map(|record| renamed(record, name)));
        if self.proofs != Proofs::Unasked {
            into.extend(set.signatures.iter().map(|record| renamed(record, name)));
        }
    }

    /// The name is there, and such records are not.
    fn no_data(&self, owner: &Name, answer: &mut Answer) {
        self.soa(answer);
        self.cover(owner, answer);
    }

    fn soa(&self, answer: &mut Answer) {
        if let Some(set) = self.zone.names.get(&self.zone.soa).and_then(|sets| sets.get(&RecordType::SOA)) {
            self.push(&self.zone.soa, set, &mut answer.authorities);
        }
    }

    /// What proves that there is no such name, or what it has.
    fn cover(&self, name: &Name, answer: &mut Answer) {
        let name = match self.proofs {
            Proofs::Unasked | Proofs::Missing => return,
            Proofs::Wrong => &self.zone.name,
            Proofs::Right => name,
        };
        let Some(hashes) = &self.zone.hashes else { return self.cover_by_name(name, answer) };
        if let Some((owner, set)) = hashes.of_name(name) {
            return self.deny(owner, set, answer);
        }
        // RFC 5155, 7.2.1: the nearest ancestor is there, and the next name towards this one is not.
        let encloser = self.closest_encloser(name);
        let next = name.trim_to(usize::from(encloser.num_labels()) + 1);
        for (owner, set) in [hashes.of_name(&encloser), hashes.around(&next)].into_iter().flatten() {
            self.deny(owner, set, answer);
        }
    }

    /// The NSEC record of this name, or the one whose gap it falls into.
    fn cover_by_name(&self, name: &Name, answer: &mut Answer) {
        let up_to = (Bound::Unbounded, Bound::Included(name.clone()));
        let before = self.zone.names.range(up_to).rev().find_map(|(owner, sets)| Some((owner, sets.get(&RecordType::NSEC)?)));
        let last = || self.zone.names.iter().rev().find_map(|(owner, sets)| Some((owner, sets.get(&RecordType::NSEC)?)));
        if let Some((owner, set)) = before.or_else(last) {
            self.deny(owner, set, answer);
        }
    }

    fn deny(&self, owner: &Name, set: &Set, answer: &mut Answer) {
        let is_known =
            |record: &Record| record.name == *owner && matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3);
        if !answer.authorities.iter().any(is_known) {
            self.push(owner, set, &mut answer.authorities);
        }
    }

    fn is_empty_non_terminal(&self, name: &Name) -> bool {
        // What is below a name comes right behind it in canonical order.
        let after = (Bound::Excluded(name.clone()), Bound::Unbounded);
        self.zone.names.range(after).next().is_some_and(|(next, _)| name.zone_of(next))
    }

    /// RFC 4592, 3.3.1: the nearest ancestor that exists.
    fn closest_encloser(&self, name: &Name) -> Name {
        let mut above = name.base_name();
        while above != self.zone.name && !self.zone.names.contains_key(&above) && !self.is_empty_non_terminal(&above) {
            above = above.base_name();
        }
        above
    }
}

/// What a wildcard makes of a record.
fn renamed(record: &Record, name: &Name) -> Record {
    let mut record = record.clone();
    record.name = name.clone();
    record
}
