//! What NSEC and NSEC3 records prove: that a name does not exist, or has no records of a type (RFC 4035, 5.4; RFC 5155, 8).
//! Their signatures are somebody else's business.

use hickory_proto::{
    dnssec::rdata::{DNSSECRData, NSEC, NSEC3},
    rr::{Name, RData, Record, RecordType},
};

/// More rounds than this are not hashed (RFC 9276, 3.2).
const MAX_ITERATIONS: u16 = 150;

/// The records of one answer that prove absence.
pub(super) struct Denials<'a> {
    plain: Vec<(&'a Name, &'a NSEC)>,
    hashed: Vec<(&'a Name, &'a NSEC3)>,
}

/// What is known of a name at which a zone may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// A delegation without DS: what lies below is insecure.
    Insecure,
    /// No delegation.
    None,
}

impl<'a> Denials<'a> {
    pub(super) fn of(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut all = Self { plain: Vec::new(), hashed: Vec::new() };
        for record in records {
            match &record.data {
                RData::DNSSEC(DNSSECRData::NSEC(nsec)) => all.plain.push((&record.name, nsec)),
                RData::DNSSEC(DNSSECRData::NSEC3(nsec)) if nsec.iterations() <= MAX_ITERATIONS => {
                    all.hashed.push((&record.name, nsec));
                }
                _ => {}
            }
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.hashed.is_empty()
    }

    /// Whether the name has no records of its own.
    pub(super) fn covers(&self, name: &Name) -> bool {
        self.plain.iter().any(|(owner, nsec)| is_between(owner, name, nsec.next_domain_name()))
            || self.hashed.iter().any(|(owner, nsec)| hash(nsec, name).is_some_and(|hash| covers_hash(owner, nsec, &hash)))
    }

    /// Whether the name exists without records of that type, and without a CNAME.
    fn is_without(&self, name: &Name, kind: RecordType) -> bool {
        let lacks = |types: Vec<RecordType>| !types.contains(&kind) && !types.contains(&RecordType::CNAME);
        // A name below which there are others has no records (RFC 4592, 2.2.2).
        let is_empty_node =
            |owner: &Name, nsec: &NSEC| owner < name && nsec.next_domain_name() != name && name.zone_of(nsec.next_domain_name());
        self.plain
            .iter()
            .any(|(owner, nsec)| (*owner == name && lacks(nsec.type_bit_maps().collect())) || is_empty_node(owner, nsec))
            || self.hashed.iter().any(|(owner, nsec)| {
                hash(nsec, name).is_some_and(|hash| is_hash_of(owner, &hash)) && lacks(nsec.type_bit_maps().collect())
            })
    }

    /// Whether all this proves that the name has no records of that type, or does not exist.
    pub(super) fn proves_absence(&self, name: &Name, kind: RecordType, is_nx_domain: bool) -> bool {
        if !is_nx_domain && self.is_without(name, kind) {
            return true;
        }
        // The closest encloser exists, the next name towards the one asked for does not, and neither does a wildcard in its
        // place (RFC 5155, 8.4; RFC 4035, 5.4).
        (0..name.num_labels()).any(|labels| {
            let encloser = name.trim_to(usize::from(labels));
            let next = name.trim_to(usize::from(labels) + 1);
            let exists =
                self.plain.iter().any(|(owner, nsec)| encloser.zone_of(owner) || encloser.zone_of(nsec.next_domain_name()))
                    || self.hashed.iter().any(|(owner, nsec)| hash(nsec, &encloser).is_some_and(|hash| is_hash_of(owner, &hash)));
            let Ok(wildcard) = encloser.prepend_label("*") else { return false };
            let no_wildcard = self.covers(&wildcard) || (!is_nx_domain && self.is_without(&wildcard, kind));
            exists && self.covers(&next) && no_wildcard
        })
    }

    /// Whether that name has been answered from a wildcard rightly: nothing closer exists (RFC 4035, 5.3.4).
    pub(super) fn proves_wildcard(&self, name: &Name, labels: u8) -> bool {
        self.covers(&name.trim_to(usize::from(labels) + 1))
    }

    /// What the absence of DS says of that name.
    pub(super) fn cut(&self, name: &Name) -> Option<Cut> {
        let of = |types: Vec<RecordType>| {
            // With SOA it is the child that speaks: it knows nothing of its DS (RFC 4035, 5.2).
            let is_parent = !types.contains(&RecordType::SOA) || name.is_root();
            (is_parent && !types.contains(&RecordType::DS))
                .then(|| if types.contains(&RecordType::NS) { Cut::Insecure } else { Cut::None })
        };
        for (owner, nsec) in &self.plain {
            if *owner == name {
                return of(nsec.type_bit_maps().collect());
            }
        }
        for (owner, nsec) in &self.hashed {
            if hash(nsec, name).is_some_and(|hash| is_hash_of(owner, &hash)) {
                return of(nsec.type_bit_maps().collect());
            }
        }
        // Opt-out: there may be unsigned delegations in between (RFC 5155, 6).
        let opts_out = |(owner, nsec): &(&Name, &NSEC3)| {
            nsec.opt_out() && hash(nsec, name).is_some_and(|hash| covers_hash(owner, nsec, &hash))
        };
        if self.hashed.iter().any(opts_out) {
            return Some(Cut::Insecure);
        }
        (self.covers(name) || self.is_without(name, RecordType::DS)).then_some(Cut::None)
    }
}

fn is_between(owner: &Name, name: &Name, next: &Name) -> bool {
    match owner < next {
        true => owner < name && name < next,
        // The last one of the zone leads back to its apex.
        false => owner < name && next.zone_of(name),
    }
}

fn hash(nsec: &NSEC3, name: &Name) -> Option<Vec<u8>> {
    let digest = nsec.hash_algorithm().hash(nsec.salt(), &name.to_lowercase(), nsec.iterations()).ok()?;
    Some(digest.as_ref().to_vec())
}

/// The first label of the owner is a hash in base32 (RFC 5155, 3).
fn owner_hash(owner: &Name) -> Option<Vec<u8>> {
    let label = owner.iter().next()?;
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::with_capacity(20));
    for byte in label.iter().map(u8::to_ascii_lowercase) {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'v' => byte - b'a' + 10,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

fn is_hash_of(owner: &Name, hash: &[u8]) -> bool {
    owner_hash(owner).is_some_and(|own| own == hash)
}

fn covers_hash(owner: &Name, nsec: &NSEC3, hash: &[u8]) -> bool {
    let Some(own) = owner_hash(owner) else { return false };
    let next = nsec.next_hashed_owner_name();
    match own.as_slice() < next {
        true => own.as_slice() < hash && hash < next,
        false => own.as_slice() < hash || hash < next,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn name(text: &str) -> Name {
        let mut name = Name::from_ascii(text).unwrap();
        name.set_fqdn(true);
        name
    }

    fn nsec(owner: &str, next: &str, types: &[RecordType]) -> Record {
        let data = NSEC::new(name(next), types.iter().copied());
        Record::from_rdata(name(owner), 60, RData::DNSSEC(DNSSECRData::NSEC(data)))
    }

    fn zone() -> Vec<Record> {
        use RecordType::{A, MX, NS, SOA, TXT};
        vec![
            nsec("test.", "a.test.", &[SOA, NS, MX]),
            nsec("a.test.", "sub.test.", &[A]),
            nsec("sub.test.", "x.y.test.", &[NS]),
            nsec("x.y.test.", "test.", &[TXT]),
        ]
    }

    #[rstest]
    #[case("a.test.", RecordType::AAAA, false, true)]
    #[case("a.test.", RecordType::A, false, false)]
    #[case("y.test.", RecordType::A, false, true)]
    #[case("b.test.", RecordType::A, true, true)]
    #[case("z.test.", RecordType::A, true, true)]
    #[case("a.test.", RecordType::AAAA, true, false)]
    #[case("other.", RecordType::A, true, false)]
    fn absence_is_proven(#[case] of: &str, #[case] kind: RecordType, #[case] is_nx: bool, #[case] expected: bool) {
        let zone = zone();
        assert_eq!(Denials::of(&zone).proves_absence(&name(of), kind, is_nx), expected);
    }

    #[test]
    fn without_the_wildcards_denial_nothing_is_proven() {
        let all = zone();
        let some = Denials::of(&all[1..2]);
        assert!(some.covers(&name("b.test.")) && !some.proves_absence(&name("b.test."), RecordType::A, true));
        assert!(Denials::of(&all).proves_wildcard(&name("q.b.test."), 1));
        assert!(!Denials::of(&all).proves_wildcard(&name("q.a.test."), 1));
    }

    #[test]
    fn delegations_without_ds_are_told_from_names_within_a_zone() {
        let zone = zone();
        let denials = Denials::of(&zone);
        assert_eq!(denials.cut(&name("sub.test.")), Some(Cut::Insecure));
        assert_eq!(denials.cut(&name("a.test.")), Some(Cut::None));
        assert_eq!(denials.cut(&name("b.test.")), Some(Cut::None));
        assert_eq!(denials.cut(&name("other.")), None);
        // The child's own word.
        assert_eq!(denials.cut(&name("test.")), None);
    }

    /// RFC 5155, appendix A: H(example) and H(a.example).
    #[test]
    fn hashes_are_those_of_the_rfc() {
        let salt = vec![0xaa, 0xbb, 0xcc, 0xdd];
        let next = owner_hash(&name("35mthgpgcu1qg68fab165klnsnk3dpvl.example.")).unwrap();
        let data = NSEC3::new(hickory_proto::dnssec::Nsec3HashAlgorithm::SHA1, false, 12, salt, next, [RecordType::SOA]);
        let owner = name("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.");
        assert_eq!(owner_hash(&owner), hash(&data, &name("example.")));
        assert_eq!(hash(&data, &name("a.example.")).unwrap(), data.next_hashed_owner_name());
        let record = Record::from_rdata(owner, 60, RData::DNSSEC(DNSSECRData::NSEC3(data)));
        let denials = Denials::of([&record]);
        assert!(denials.is_without(&name("example."), RecordType::TXT) && !denials.covers(&name("a.example.")));
        // RFC 5155, appendix A: H(ns2.example) is q04j..., H(*.w.example) is r53b...: both beyond.
        assert!(!denials.covers(&name("ns2.example.")));
    }
}
