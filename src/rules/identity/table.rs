//! Every name that a server goes by, and what decides whether it is the right one.

use std::{collections::BTreeSet, net::IpAddr};

use serde::Serialize;

use super::{greeting_word, host_name};
use crate::{
    facts::{Observed, SanEntry},
    name::Name,
    rules::Context,
    wire::WireText,
};

/// One name, what says it, and how it compares with the name that senders look up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct NameRow {
    /// What says it.
    pub source: NameSource,
    /// The name as it was said; why there is none where it is not known.
    pub name: WireText,
    /// How it compares.
    pub relation: Relation,
    /// The clause that decides.
    pub decided_by: &'static str,
}

/// What says a name, in the order of a sender's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NameSource {
    /// Whoever asked for the check, or the MX record: what senders look up.
    Given,
    /// An address that it was reached at: from an A or AAAA record, or from whoever asked for the check.
    Address,
    /// The PTR record of an address.
    Pointer,
    /// The first word of the greeting.
    Greeting,
    /// The reply to EHLO.
    Ehlo,
    /// A CN of the certificate's subject.
    CommonName,
    /// A subject alternative name.
    SubjectAltName,
}

impl NameSource {
    /// For the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Given => "looked up",
            Self::Address => "address",
            Self::Pointer => "PTR",
            Self::Greeting => "greeting",
            Self::Ehlo => "EHLO",
            Self::CommonName => "CN",
            Self::SubjectAltName => "SAN",
        }
    }
}

/// How a name compares with the one that senders look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is the one.
    Reference,
    /// The server is there.
    Reached,
    /// It is the same, or covers it.
    Matches,
    /// It is another.
    Differs,
    /// It is not known.
    Unknown,
}

impl Relation {
    /// For the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Reached => "reached",
            Self::Matches => "matches",
            Self::Differs => "differs",
            Self::Unknown => "not known",
        }
    }
}

/// All names, each once, in the order of a sender's steps; those that match come first.
pub fn names(context: &Context) -> Vec<NameRow> {
    let facts = context.facts;
    let host = &facts.target.name;
    let mut rows = BTreeSet::new();
    let mut add = |source, name: &str, relation| {
        // What was seen is escaped already.
        rows.insert(NameRow { source, name: WireText::from(name.to_owned()), relation, decided_by: decided_by(source) });
    };
    add(NameSource::Given, host.as_str(), Relation::Reference);
    for view in &facts.views {
        let is_reached = view.session.connection.seen().is_some();
        add(NameSource::Address, &view.address.ip().to_string(), if is_reached { Relation::Reached } else { Relation::Unknown });
    }
    for pointer in &facts.pointers {
        match &pointer.names {
            Observed::Seen(names) if names.is_empty() => {
                add(NameSource::Pointer, &format!("none for {}", pointer.address), Relation::Differs)
            }
            Observed::Seen(names) => {
                names.iter().for_each(|name| add(NameSource::Pointer, name.as_str(), is_same(name.as_str(), host)))
            }
            other => add(NameSource::Pointer, &format!("{}: {}", pointer.address, other.why_not()), Relation::Unknown),
        }
    }
    for (index, view) in facts.views.iter().enumerate() {
        if view.session.connection.seen().is_none() {
            continue;
        }
        match greeting_word(view) {
            Ok(word) => add(NameSource::Greeting, &word, is_same(&word, host)),
            Err(_) => add(NameSource::Greeting, "-", Relation::Unknown),
        }
        match &view.session.ehlo {
            Observed::Seen(ehlo) => add(NameSource::Ehlo, ehlo.domain.as_str(), is_same(ehlo.domain.as_str(), host)),
            _ => add(NameSource::Ehlo, "-", Relation::Unknown),
        }
        let leaves = context.chains(index).iter().filter_map(|chain| chain.certificates.first()?.details().ok());
        let leaves: Vec<_> = leaves.collect();
        if leaves.is_empty() {
            add(NameSource::SubjectAltName, "-", Relation::Unknown);
        }
        let matched = |name: &str| if host.is_matched_by(name) { Relation::Matches } else { Relation::Differs };
        let common_names = leaves.iter().flat_map(|leaf| &leaf.common_names);
        common_names.for_each(|name| add(NameSource::CommonName, name.as_str(), matched(name.as_str())));
        for entry in leaves.iter().flat_map(|leaf| &leaf.subject_alt_names) {
            let relation = match entry {
                SanEntry::Dns(name) => matched(name.as_str()),
                SanEntry::Ip(_) | SanEntry::Other(_) => Relation::Differs,
            };
            add(NameSource::SubjectAltName, &entry.to_string(), relation);
        }
    }
    let mut rows: Vec<NameRow> = rows.into_iter().collect();
    // Where one view knows, it does not matter that another does not.
    let known: BTreeSet<NameSource> = rows.iter().filter(|row| row.relation != Relation::Unknown).map(|row| row.source).collect();
    let is_of_one = |row: &NameRow| matches!(row.source, NameSource::Address | NameSource::Pointer);
    rows.retain(|row| row.relation != Relation::Unknown || is_of_one(row) || !known.contains(&row.source));
    // Addresses in the order of their numbers, not of their text.
    let address = |row: &NameRow| row.name.as_str().parse::<IpAddr>().ok();
    rows.sort_by_key(|row| (row.source, row.relation, address(row)));
    rows
}

fn is_same(said: &str, host: &Name) -> Relation {
    if host_name(said).is_some_and(|name| name == *host) { Relation::Matches } else { Relation::Differs }
}

fn decided_by(source: NameSource) -> &'static str {
    match source {
        NameSource::Given => "RFC 8461, 4.1",
        NameSource::Address => "RFC 5321, 5.1",
        NameSource::Pointer => "RFC 1912, 2.1: a hint",
        NameSource::Greeting => "RFC 5321, 4.3.1",
        NameSource::Ehlo => "RFC 5321, 4.1.1.1",
        NameSource::CommonName => "some gateways only",
        NameSource::SubjectAltName => "RFC 9525; 8461; 7672",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        facts::{Facts, Failure, Pointer},
        rules::test_facts::World,
    };

    fn shown(world: &World, facts: &Facts) -> Vec<String> {
        names(&world.context(facts))
            .iter()
            .map(|row| format!("{} {} {}", row.source.word(), row.name, row.relation.word()))
            .collect()
    }

    #[test]
    fn a_correct_server_has_one_name() {
        let world = World::correct();
        let facts = world.facts(2);
        assert_eq!(
            shown(&world, &facts),
            [
                "looked up mx.example.test reference",
                "address 198.51.100.10 reached",
                "greeting mx.example.test matches",
                "EHLO mx.example.test matches",
                "CN mx.example.test matches",
                "SAN mx.example.test matches",
            ]
        );
    }

    #[test]
    fn what_is_escaped_already_is_not_escaped_again() {
        let world = World::correct();
        let mut facts = world.facts(1);
        let names = Observed::Seen(vec![crate::wire::WireText::from("a\0b.example.test")]);
        facts.pointers = vec![Pointer { address: [192, 0, 2, 1].into(), names }];
        assert!(shown(&world, &facts).contains(&r"PTR a\x00b.example.test differs".to_owned()), "{:?}", shown(&world, &facts));
    }

    #[test]
    fn what_differs_and_what_is_not_known_are_told_apart() {
        let world = World::correct();
        let mut facts = world.facts(1);
        let pointer = |last: u8, names| Pointer { address: [192, 0, 2, last].into(), names };
        facts.pointers = vec![
            pointer(1, Observed::Seen(vec!["other.example.test".into()])),
            pointer(2, Observed::Seen(Vec::new())),
            pointer(3, Observed::Failed(Failure::TimedOut { millis: 5000 })),
        ];
        World::without_starttls(&mut facts.views[0]);
        let shown = shown(&world, &facts);
        assert!(shown.contains(&"PTR other.example.test differs".to_owned()), "{shown:?}");
        assert!(shown.contains(&"PTR none for 192.0.2.2 differs".to_owned()), "{shown:?}");
        assert!(shown.contains(&"PTR 192.0.2.3: no answer within 5 s not known".to_owned()), "{shown:?}");
        assert!(shown.contains(&"SAN - not known".to_owned()), "{shown:?}");
    }
}
