//! Reminders of what ends: the certificates of servers, of policy hosts and in files, and what a renewal does to TLSA records.
//!
//! ```text
//! Facts of servers and domains, files ──Watch──> Reminders ──text, to_json, ics, nagios, openmetrics──> calendar, monitoring
//! ```

mod ics;
mod metrics;
mod nagios;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};

use crate::{
    facts::{Certificate, CertificateDetails, DomainFacts, Facts, Observed, SanEntry, Target},
    rules::{self, CertificateRole, Context, DomainContext, Link, Rollover, RolloverKind, SeenPath, policy},
    trust::TrustStore,
    wire::WireText,
};

pub use ics::{Invitation, ics};
pub use metrics::openmetrics;
pub use nagios::{nagios, nagios_unknown};
pub use text::text;

/// From how many days on something is to be done; below the first a warning, below the second it is critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Thresholds {
    /// Less than so many days left is worth a warning.
    pub warning: u32,
    /// Less than so many is critical.
    pub critical: u32,
}

/// How urgent something is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// Nothing is to be done.
    Ok,
    /// Soon.
    Warning,
    /// Something could not be told. That outranks a warning: of what was not seen, anything may be due.
    Unknown,
    /// Now.
    Critical,
}

/// One certificate and its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Reminder {
    /// The same as long as the same place is watched, whatever certificate is there.
    pub uid: String,
    /// The server, the policy host or the file.
    pub watched: WireText,
    /// What the certificate is there.
    pub role: CertificateRole,
    /// Which certificate, in words.
    pub certificate: WireText,
    /// The subject of the certificate.
    pub subject: WireText,
    /// The SHA-256 of its DER in hexadecimal.
    pub sha256: String,
    /// Where it was seen.
    pub addresses: BTreeSet<SocketAddr>,
    /// The first moment of validity.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub from: OffsetDateTime,
    /// The last moment of validity.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub at: OffsetDateTime,
    /// Whole days left; negative where it has been over for a day or more.
    pub days_left: i64,
    /// How urgent it is.
    pub urgency: Urgency,
    /// What breaks at its end.
    pub breaks: String,
}

impl Reminder {
    /// `in 3 days`, `3 days ago`, of its end; or when it begins, where that is to come.
    fn when(&self, now: OffsetDateTime) -> String {
        if now < self.from {
            return format!("not valid before {}, in {}", self.from.date(), rules::span(self.from - now));
        }
        let span = rules::span(self.at - now);
        if now > self.at { format!("expired {span} ago") } else { format!("expires in {span}") }
    }
}

/// Everything that was watched, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Reminders {
    /// Says what this is.
    pub format: &'static str,
    /// The version of that form.
    pub version: u32,
    /// As of when.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub judged_at: OffsetDateTime,
    /// What is urgent.
    pub thresholds: Thresholds,
    /// How urgent the most urgent of all is.
    pub urgency: Urgency,
    /// The certificates, the soonest end first.
    pub certificates: Vec<Reminder>,
    /// TLSA records and renewals that do not fit, or not yet.
    pub rollovers: Vec<Rollover>,
    /// What was to be watched and could not be seen, and why.
    pub unknown: Vec<WireText>,
    /// What else a reader must know.
    pub notes: Vec<WireText>,
}

impl Reminders {
    /// How urgent what is said of TLSA records is.
    pub fn urgency_of(kind: RolloverKind) -> Urgency {
        match kind {
            RolloverKind::NoRecordFits => Urgency::Critical,
            RolloverKind::NextNotPublished => Urgency::Warning,
            // During a rollover that is as it must be.
            RolloverKind::RecordWithoutCertificate | RolloverKind::NextPublished => Urgency::Ok,
        }
    }

    /// The JSON that programs read.
    pub fn to_json(&self) -> String {
        // Neither keys nor values of it can fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The schema of that.
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

/// Gathers what is watched.
#[derive(Debug)]
pub struct Watch<'a> {
    stores: &'a [TrustStore],
    now: OffsetDateTime,
    thresholds: Thresholds,
    reminders: BTreeMap<String, Reminder>,
    rollovers: Vec<Rollover>,
    unknown: Vec<WireText>,
    notes: Vec<WireText>,
}

/// A certificate where it was found, before it has a number among its like.
struct Found {
    watched: WireText,
    /// What its UID comes from, besides the number.
    key: String,
    /// The lowest address that shows it; files have none.
    addresses: BTreeSet<SocketAddr>,
    link: Link,
}

impl<'a> Watch<'a> {
    /// Nothing yet.
    pub fn new(stores: &'a [TrustStore], now: OffsetDateTime, thresholds: Thresholds) -> Self {
        Self {
            stores,
            now,
            thresholds,
            reminders: BTreeMap::new(),
            rollovers: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Notes something that could not be seen.
    pub fn unknown(&mut self, why: &str) {
        // What is quoted in it was escaped when it was stored.
        push_new(&mut self.unknown, WireText::from(why.to_owned()));
    }

    /// Notes something else.
    pub fn note(&mut self, note: &str) {
        push_new(&mut self.notes, WireText::from(note.to_owned()));
    }

    /// Adds a server.
    pub fn server(&mut self, facts: &Facts) {
        let context = Context::new(facts, self.stores, policy::default(), self.now);
        let unseen = rules::unseen_of_server(&context);
        unseen.iter().for_each(|why| self.unknown(&format!("{}: {why}", facts.target.name)));
        self.paths(&facts.target, rules::seen_paths(&context));
    }

    /// Adds a domain: its servers, its policy host, and its TLSA records. `next` are the chains that will be served next.
    pub fn domain(&mut self, facts: &DomainFacts, next: &[Vec<Certificate>]) {
        let context = DomainContext::new(facts, self.stores, policy::default(), self.now);
        rules::unseen(&context).iter().for_each(|why| self.unknown(why));
        if facts.is_null_mx() {
            self.note(&format!("{} says that it takes no mail", facts.domain));
        }
        if let more @ 1.. = facts.left_out.len() {
            self.unknown(&format!("{}: {more} MX hosts were not looked at", facts.domain));
        }
        for (host, context) in facts.hosts.iter().zip(&context.hosts) {
            self.paths(&host.facts.target, rules::seen_paths(context));
        }
        self.policy_host(&context);
        let within = Duration::days(i64::from(self.thresholds.warning));
        let (rollovers, unknown) = rules::rollovers(&context, next, within);
        unknown.iter().for_each(|why| self.unknown(why));
        for rollover in rollovers {
            push_new(&mut self.rollovers, rollover);
        }
    }

    fn policy_host(&mut self, context: &DomainContext) {
        let fetched = match rules::policy_host(context) {
            Ok(fetched) => fetched,
            // Whatever answers under that name, no sender asks it for a policy.
            Err(None) => return,
            Err(Some(why)) => return self.unknown(&format!("the policy host of MTA-STS of {}: {why}", context.facts.domain)),
        };
        let certificates = match &fetched.certificates {
            Observed::Seen(certificates) if !certificates.is_empty() => certificates,
            unseen => {
                let why = unseen.why_not();
                return self.unknown(&format!("{}: no certificate of the policy host of MTA-STS was seen: {why}", fetched.host));
            }
        };
        let breaks = "senders that keep to MTA-STS cannot fetch the policy any more";
        let links = rules::path_links(certificates, self.stores, self.now, breaks);
        let target = Target { name: fetched.host.clone(), port: 443 };
        let addresses: BTreeSet<SocketAddr> = fetched.address.into_iter().collect();
        let found = links.into_iter().map(|mut link| {
            if link.depth == 0 {
                link.what = "the certificate of the policy host of MTA-STS".to_owned();
            }
            Found { addresses: addresses.clone(), ..found(&target, None, link) }
        });
        let found = found.collect();
        self.add(found);
    }

    fn paths(&mut self, target: &Target, paths: Vec<SeenPath>) {
        let mut all: Vec<Found> = Vec::new();
        for SeenPath { address, kind, links } in paths {
            for link in links {
                let new = found(target, kind.as_deref(), link);
                let same = |known: &&mut Found| known.key == new.key && known.link.certificate == new.link.certificate;
                match all.iter_mut().find(same) {
                    Some(known) => _ = known.addresses.insert(address),
                    None => all.push(Found { addresses: BTreeSet::from([address]), ..new }),
                }
            }
        }
        // DNS gives the addresses in any order: that must not change who is first.
        all.sort_by(|one, other| one.addresses.cmp(&other.addresses));
        self.add(all);
    }

    /// Adds the certificates of a file, in their order.
    pub fn file(&mut self, path: &str, certificates: &[Certificate]) {
        let watched = WireText::from(path);
        // Other machines have files of that name: what the first certificate is for tells them apart.
        let owner = certificates.iter().find_map(|certificate| certificate.details().ok()).map(|details| {
            let name = details.subject_alt_names.iter().find_map(|san| match san {
                SanEntry::Dns(name) => Some(name.to_string()),
                _ => None,
            });
            name.unwrap_or_else(|| details.subject.to_string())
        });
        let owner = owner.unwrap_or_default();
        let (mut found, mut issuers): (Vec<Found>, usize) = (Vec::new(), 0);
        for (place, certificate) in certificates.iter().enumerate() {
            let details = match certificate.details() {
                Ok(details) => details,
                Err(why) => {
                    self.unknown(&format!("{watched}: certificate {} cannot be read: {why}", place + 1));
                    continue;
                }
            };
            if found.iter().any(|known| known.link.certificate == *certificate) {
                continue;
            }
            let (role, depth, breaks) = match (details.is_ca, details.subject == details.issuer) {
                (false, _) => (CertificateRole::EndEntity, 0, "senders that verify defer mail, where it is served"),
                (true, is_root) => {
                    issuers += 1;
                    let role = if is_root { CertificateRole::TrustAnchor } else { CertificateRole::Intermediate };
                    (role, issuers, "every path over it is refused")
                }
            };
            let what = format!("certificate {} of the file", place + 1);
            let key = format!("file {watched} {owner} {} {depth}", role.name());
            let link = Link { role, depth, what, certificate: certificate.clone(), breaks };
            found.push(Found { watched: watched.clone(), key, addresses: BTreeSet::new(), link });
        }
        self.add(found);
    }

    /// Numbers what has the same key, and makes reminders of it.
    fn add(&mut self, found: Vec<Found>) {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for Found { watched, key, addresses, link } in found {
            let details = match link.certificate.details() {
                Ok(details) => details,
                Err(why) => {
                    self.unknown(&format!("{watched}: {} cannot be read: {why}", link.what));
                    continue;
                }
            };
            let number = numbers.entry(key.clone()).and_modify(|number| *number += 1).or_insert(1);
            let digest = Sha256::digest(format!("{key} {number}"));
            let uid = format!("{}@mtalab", digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>());
            let is_served = !addresses.is_empty();
            let reminder = Reminder {
                uid: uid.clone(),
                watched,
                role: link.role,
                certificate: WireText::from(link.what),
                subject: WireText::from(short(details.subject.as_str())),
                sha256: details.sha256.clone(),
                addresses,
                from: details.not_before,
                at: details.not_after,
                days_left: (details.not_after - self.now).whole_days(),
                urgency: self.urgency(details, is_served),
                breaks: link.breaks.to_owned(),
            };
            self.reminders.entry(uid).or_insert(reminder);
        }
    }

    /// Most clients renew in the last third of the validity: before that, nothing is late. Of what lives for a few days, no
    /// number of days makes sense.
    fn urgency(&self, details: &CertificateDetails, is_served: bool) -> Urgency {
        let left = details.not_after - self.now;
        let life = details.not_after - details.not_before;
        let days = |days: u32| Duration::days(i64::from(days));
        let (warning, critical) = match rules::is_short_lived(details) {
            true => (life / 4, life / 8),
            false => (days(self.thresholds.warning).min(life / 3), days(self.thresholds.critical)),
        };
        if left < Duration::ZERO || left < critical || (is_served && self.now < details.not_before) {
            Urgency::Critical
        } else if left < warning {
            Urgency::Warning
        } else {
            Urgency::Ok
        }
    }

    /// All of it.
    pub fn finish(self) -> Reminders {
        let Self { now, thresholds, reminders, mut rollovers, unknown, notes, .. } = self;
        let mut certificates: Vec<Reminder> = reminders.into_values().collect();
        certificates.sort_by(|one, other| {
            (one.at, &one.watched, one.role, &one.uid).cmp(&(other.at, &other.watched, other.role, &other.uid))
        });
        rollovers.sort_by(|one, other| (one.kind, &one.host, &one.text).cmp(&(other.kind, &other.host, &other.text)));
        let of_certificates = certificates.iter().map(|reminder| reminder.urgency);
        let of_rollovers = rollovers.iter().map(|rollover| Reminders::urgency_of(rollover.kind));
        // Who watches nothing must not be told that all is well.
        let is_blind = certificates.is_empty() && notes.is_empty();
        let of_unknown = (is_blind || !unknown.is_empty()).then_some(Urgency::Unknown);
        let urgency = of_certificates.chain(of_rollovers).chain(of_unknown).max().unwrap_or(Urgency::Ok);
        Reminders {
            format: "mtalab-reminders",
            version: 1,
            judged_at: now,
            thresholds,
            urgency,
            certificates,
            rollovers,
            unknown,
            notes,
        }
    }
}

/// A certificate of a server: what its UID comes from stays when it is renewed.
fn found(target: &Target, kind: Option<&str>, link: Link) -> Found {
    let watched = format!("{}:{}", target.name, target.port);
    let key = format!("server {watched} {} {} {}", kind.unwrap_or_default(), link.role.name(), link.depth);
    Found { watched: WireText::from(watched), key, addresses: BTreeSet::new(), link }
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// `2026-03-01 12:30 UTC`.
fn moment_words(moment: OffsetDateTime) -> String {
    let moment = moment.to_offset(time::UtcOffset::UTC);
    let (hour, minute, _) = moment.to_hms();
    format!("{} {hour:02}:{minute:02} UTC", moment.date())
}

/// A text from a certificate, cut where a reader has seen enough of it.
fn short(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;
    use crate::rules::test_facts::{NOW, World};

    const THRESHOLDS: Thresholds = Thresholds { warning: 30, critical: 7 };

    fn watch(world: &World, facts: &Facts) -> Reminders {
        let mut watch = Watch::new(&world.stores, NOW, THRESHOLDS);
        watch.server(facts);
        watch.finish()
    }

    /// Days that it lives for, and days that are left.
    #[rstest]
    #[case(90, 31, Urgency::Ok)]
    #[case(90, 29, Urgency::Warning)]
    #[case(90, 6, Urgency::Critical)]
    #[case(90, -1, Urgency::Critical)]
    #[case(47, 16, Urgency::Ok)]
    #[case(47, 15, Urgency::Warning)]
    #[case(8, 3, Urgency::Ok)]
    #[case(8, 1, Urgency::Warning)]
    #[case(16, 17, Urgency::Critical)]
    fn what_is_due_is_told_by_its_life(#[case] life: i64, #[case] left: i64, #[case] urgency: Urgency) {
        let mut world = World::correct();
        world.chain[0] = world.issuing.leaf(|params| {
            params.not_after = NOW + Duration::days(left);
            params.not_before = params.not_after - Duration::days(life);
        });
        let reminders = watch(&world, &world.facts(1));
        assert_eq!((reminders.certificates[0].urgency, reminders.urgency), (urgency, urgency));
    }

    #[test]
    fn one_certificate_at_several_addresses_is_one_reminder() {
        let world = World::correct();
        let mut facts = world.facts(2);
        facts.views[1].address = "198.51.100.99:25".parse().unwrap();
        let reminders = watch(&world, &facts);
        assert_eq!(reminders.certificates.len(), 3);
        assert_eq!(reminders.certificates[0].addresses.len(), 2);
        // Another one at the second address has an event of its own, whichever address is told first.
        let other = world.issuing.leaf(|params| params.not_after = NOW + Duration::days(50));
        facts.views[1].session.certificates = Observed::Seen(vec![other, world.issuing.certificate.clone()]);
        let uids = |facts: &Facts| {
            let own = |reminder: &Reminder| (reminder.role == CertificateRole::EndEntity).then(|| reminder.uid.clone());
            watch(&world, facts).certificates.iter().filter_map(own).collect::<Vec<_>>()
        };
        let before = uids(&facts);
        assert_eq!(before.len(), 2);
        facts.views.reverse();
        assert_eq!(uids(&facts), before);
    }

    #[test]
    fn what_is_not_seen_is_not_well() {
        let world = World::correct();
        let mut facts = world.facts(2);
        World::timed_out(&mut facts.views[1]);
        let reminders = watch(&world, &facts);
        assert_eq!((reminders.certificates.len(), reminders.unknown.len(), reminders.urgency), (3, 1, Urgency::Unknown));
        assert_eq!(nagios(&reminders).1, 3);
        let nothing = Watch::new(&world.stores, NOW, THRESHOLDS).finish();
        assert_eq!((nothing.urgency, nagios(&nothing).1), (Urgency::Unknown, 3));
    }

    /// No moment is so far away that the forms break.
    #[test]
    fn the_ends_of_time_are_told() {
        let world = World::correct();
        let facts = world.facts(1);
        let invitation = Invitation { attendees: Vec::new(), organizer: None, alarms: vec![Duration::days(7)] };
        for now in [datetime!(9999-12-31 23:59:59 UTC), datetime!(0001-01-01 0:00 UTC)] {
            let mut watch = Watch::new(&world.stores, now, THRESHOLDS);
            watch.server(&facts);
            let reminders = watch.finish();
            assert!(ics(&reminders, &invitation).contains("\r\nTRIGGER:-PT604800S\r\n"));
            for form in [reminders.to_json(), text(&reminders, 80), nagios(&reminders).0, openmetrics(&reminders)] {
                assert!(!form.is_empty());
            }
        }
    }
}
