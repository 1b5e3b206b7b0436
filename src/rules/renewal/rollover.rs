//! What a renewal does to TLSA records (RFC 7671, 8.1 and 8.4): a record that is of no certificate in use, and a next
//! certificate that has no record yet.

use serde::Serialize;
use time::Duration;

use crate::{
    dane::{Tlsa, Usage},
    facts::{Certificate, HostFacts},
    name::Name,
    rules::{
        Context, DomainContext, Outcome,
        deliveries::{Dane, Fit, base_name, dane, fit, reference_names, untried, without_hosts},
        mx::has_no_address,
        short,
        views::{nothing_tried, tried, without_chain},
    },
};

/// What is to be said about the records of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloverKind {
    /// No record is of a certificate that is served: senders that keep to DANE defer mail now.
    NoRecordFits,
    /// A certificate that is to be served next has no record yet.
    NextNotPublished,
    /// A record is of no certificate that is served: of the next one, or left over from a former one.
    RecordWithoutCertificate,
    /// A certificate that is to be served next has its record.
    NextPublished,
}

impl RolloverKind {
    /// The name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRecordFits => "no-record-fits",
            Self::NextNotPublished => "next-not-published",
            Self::RecordWithoutCertificate => "record-without-certificate",
            Self::NextPublished => "next-published",
        }
    }
}

/// One thing to be said about the TLSA records of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Rollover {
    /// The host.
    pub host: Name,
    /// What it is.
    pub kind: RolloverKind,
    /// The same in words, and what to do.
    pub text: String,
}

/// What is to be said about the TLSA records of the hosts of a domain, and what could not be told. `next` are the chains that
/// will be served next; without them, a host is told of where its certificate ends `within` that time.
pub fn rollovers(context: &DomainContext, next: &[Vec<Certificate>], within: Duration) -> (Vec<Rollover>, Vec<String>) {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for (place, host) in context.facts.hosts.iter().enumerate() {
        match dane(host) {
            Dane::Records { usable, .. } if !usable.is_empty() => {
                let records = Records { context, host, usable: &usable };
                let served = records.served(place, next, within);
                match next {
                    [] => found.extend(served.next),
                    next => found.extend(next.iter().filter_map(|chain| records.next(chain, &mut unknown))),
                }
                found.extend(served.found);
                unknown.extend(served.unknown);
            }
            Dane::Records { .. } | Dane::None(_) => {}
            Dane::Withheld(why) | Dane::Unknown(why) => unknown.push(why),
        }
    }
    (found, unknown)
}

/// Of the addresses of a domain those that showed no certificate, each in words: nothing is known of what they serve.
pub fn unseen(context: &DomainContext) -> Vec<String> {
    let mut unseen: Vec<String> = match context.facts.hosts.is_empty().then(|| without_hosts(context)) {
        Some(Outcome::Undetermined(why)) => vec![why],
        _ => Vec::new(),
    };
    for (host, of_host) in context.facts.hosts.iter().zip(&context.hosts) {
        if host.facts.views.is_empty() {
            if has_no_address(host) != Some(true) {
                unseen.push(untried(host));
            }
        } else {
            unseen.extend(unseen_of_server(of_host).into_iter().map(|why| format!("{}: {why}", host.name)));
        }
    }
    unseen
}

/// The same of one server.
pub fn unseen_of_server(context: &Context) -> Vec<String> {
    let words = |outcome: Outcome| if let Outcome::Undetermined(why) = outcome { Some(why) } else { None };
    if tried(context).next().is_none() {
        return words(nothing_tried(context)).into_iter().collect();
    }
    let is_blind = |index: usize| context.chains(index).iter().all(|chain| chain.certificates.is_empty());
    tried(context).filter(|(index, _)| is_blind(*index)).filter_map(|(_, view)| words(without_chain(context, view))).collect()
}

/// The usable records of a host.
struct Records<'a, 'b> {
    context: &'b DomainContext<'a>,
    host: &'b HostFacts,
    usable: &'b [(&'a Tlsa, Usage)],
}

/// What the certificates that are served say of the records.
#[derive(Default)]
struct Served {
    found: Vec<Rollover>,
    next: Option<Rollover>,
    unknown: Vec<String>,
}

impl Records<'_, '_> {
    fn rollover(&self, kind: RolloverKind, text: String) -> Rollover {
        Rollover { host: self.host.name.clone(), kind, text }
    }

    /// How one chain fits some of the records, at a moment when dates do not hinder it.
    fn fit(&self, chain: &[Certificate], records: &[(&Tlsa, Usage)], is_next: bool) -> Fit {
        let base = base_name(self.host);
        let names = reference_names(self.context, self.host, &base);
        let begin = chain.first().and_then(|leaf| leaf.details().ok()).map(|details| details.not_before);
        let now = self.context.now;
        let moment = begin.filter(|begin| is_next && *begin > now).unwrap_or(now);
        fit(chain, records, &names, moment)
    }

    fn served(&self, place: usize, next: &[Vec<Certificate>], within: Duration) -> Served {
        let of_host = &self.context.hosts[place];
        let host = &self.host.name;
        let mut served = Served::default();
        let chains: Vec<&[Certificate]> = tried(of_host)
            .flat_map(|(index, _)| of_host.chains(index))
            .map(|chain| chain.certificates)
            .filter(|chain| !chain.is_empty())
            .collect();
        // What an address serves that showed nothing may be what a record is of; that it showed nothing is told elsewhere.
        if chains.is_empty() || !unseen_of_server(of_host).is_empty() {
            return served;
        }
        let (mut matched, mut left) = (Vec::new(), Vec::new());
        for record in self.usable {
            let fits: Vec<Fit> = chains.iter().map(|chain| self.fit(chain, &[*record], false)).collect();
            if fits.iter().any(|fit| matches!(fit, Fit::Fits(_) | Fit::OutOfDate(_) | Fit::WrongName(_) | Fit::BadPath(_))) {
                matched.push(*record);
            } else if let Some(Fit::Unknown(why)) = fits.into_iter().find(|fit| matches!(fit, Fit::Unknown(_))) {
                served.unknown.push(format!("{host}: {why}"));
            } else {
                left.push(record.0);
            }
        }
        let is_told = served.unknown.is_empty();
        if is_told && matched.is_empty() {
            let text = format!(
                "no TLSA record of {host} is of a certificate that was seen there: senders that keep to DANE defer mail until one is \
                 published, or the certificate is back that the record is of"
            );
            served.found.push(self.rollover(RolloverKind::NoRecordFits, text));
            return served;
        }
        let is_of_next = |record: &Tlsa| {
            let fits = |chain: &Vec<Certificate>, usage| matches!(self.fit(chain, &[(record, usage)], true), Fit::Fits(_));
            record.usage().is_ok_and(|usage| next.iter().any(|chain| fits(chain, usage)))
        };
        for record in left.iter().filter(|record| !is_of_next(record)) {
            let text = format!(
                "the TLSA record {} of {host} is of no certificate that was seen there: it is of the next one, or left over; \
                 remove it once the rollover is over",
                short(&record.to_string())
            );
            served.found.push(self.rollover(RolloverKind::RecordWithoutCertificate, text));
        }
        // A record of a trust anchor is of the next certificate too, as long as the CA stays.
        if is_told && left.is_empty() && matched.iter().all(|(_, usage)| *usage == Usage::EndEntity) {
            served.next = self.not_announced(&chains, &matched, within);
        }
        served
    }

    /// The certificate ends soon, and each record is of it alone.
    fn not_announced(&self, chains: &[&[Certificate]], matched: &[(&Tlsa, Usage)], within: Duration) -> Option<Rollover> {
        let ends = chains.iter().filter_map(|chain| chain[0].details().ok()).map(|details| details.not_after);
        let left = ends.min()? - self.context.now;
        if left >= within {
            return None;
        }
        let host = &self.host.name;
        let but = match matched.iter().all(|(record, _)| record.selector == 1) {
            true => ", unless it keeps the key",
            false => "; keeping the key does not help, since a record is of the whole certificate",
        };
        let text = format!(
            "every TLSA record of {host} is of the certificate in use, which ends soon: publish that of the next one, and wait until \
             the old answer has left the caches, before it is served{but}"
        );
        Some(self.rollover(RolloverKind::NextNotPublished, text))
    }

    /// Whether a chain that will be served next has its record; none where it is not of this host.
    fn next(&self, chain: &[Certificate], unknown: &mut Vec<String>) -> Option<Rollover> {
        let host = &self.host.name;
        let leaf = chain.first()?.details().ok()?;
        if !leaf.dns_names().any(|presented| host.is_matched_by(presented.as_str())) {
            return None;
        }
        let what = short(leaf.subject.as_str());
        let what = format!("the next certificate of {host} ({what}, valid until {})", leaf.not_after.date());
        match self.fit(chain, self.usable, true) {
            Fit::Fits(which) => Some(self.rollover(RolloverKind::NextPublished, format!("{what} has its TLSA record: {which}"))),
            Fit::Mismatch(_) | Fit::BadPath(_) | Fit::WrongName(_) | Fit::OutOfDate(_) => {
                let text = format!(
                    "no TLSA record fits {what}: publish one, `3 1 1 {}`, and wait until the old answer has left the caches, before \
                     it is served",
                    leaf.key.sha256
                );
                Some(self.rollover(RolloverKind::NextNotPublished, text))
            }
            Fit::Unknown(why) => {
                unknown.push(format!("{what}: {why}"));
                None
            }
        }
    }
}
