//! What was read is counted here: per source (an MTA on a machine), direction, partner, host and day, in tables of bounded size.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    reason,
    stamp::{Day, Days},
    text::is_loopback,
};
use crate::{finding::ResultType, name::Name, tls::Version};

/// Which way messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From others to this machine.
    Inbound,
    /// From this machine to others.
    Outbound,
}

/// Which MTA wrote a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// Postfix.
    Postfix,
    /// Exim.
    Exim,
    /// Sendmail.
    Sendmail,
    /// OpenSMTPD.
    Opensmtpd,
    /// Courier.
    Courier,
    /// chasquid.
    Chasquid,
    /// Microsoft Exchange: the protocol logs of its connectors.
    Exchange,
}

/// What the MTA thought of the certificate of the other side, in the words of Postfix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// Trusted, and of the right host.
    Verified,
    /// From a trusted CA; nobody asked whether it is of the right host.
    Trusted,
    /// Not from a trusted CA, or not verified.
    Untrusted,
    /// There was none.
    Anonymous,
}

impl Trust {
    pub(super) const ALL: [Self; 4] = [Self::Verified, Self::Trusted, Self::Untrusted, Self::Anonymous];
}

/// The number of a suite in [`Tally::suites`].
pub(super) type SuiteId = u16;

/// What a log says of a session inside TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) version: Option<Version>,
    pub(super) suite: Option<SuiteId>,
    pub(super) trust: Option<Trust>,
}

/// How a message or a connection was protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    /// Inside TLS.
    Tls(Session),
    /// Without; believed where the source shows TLS at all.
    Clear,
    /// The log cannot tell.
    Unknown,
}

/// Messages or connections by their protection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Counts {
    /// Inside TLS.
    pub tls: u64,
    /// Without TLS.
    pub clear: u64,
    /// The log does not tell which.
    pub unknown: u64,
    /// Not delivered, or not established, because of TLS.
    pub failed: u64,
}

impl Counts {
    fn add(&mut self, protection: Protection) {
        match protection {
            Protection::Tls(_) => self.tls += 1,
            Protection::Clear => self.clear += 1,
            Protection::Unknown => self.unknown += 1,
        }
    }

    pub(super) fn join(&mut self, other: &Self, shows_tls: bool) {
        self.tls += other.tls;
        self.failed += other.failed;
        self.unknown += other.unknown;
        // Where a log shows no TLS ever, that it shows none here says nothing.
        if shows_tls { self.clear += other.clear } else { self.unknown += other.clear }
    }

    /// All that were delivered or established.
    pub fn all(&self) -> u64 {
        self.tls + self.clear + self.unknown
    }
}

/// A partner, a host, or all of a direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) messages: Counts,
    pub(super) connections: Counts,
    pub(super) reused: u64,
    pub(super) versions: [u64; 6],
    pub(super) trust: [u64; 4],
}

impl Row {
    fn session(&mut self, session: Session) {
        if let Some(version) = session.version {
            self.versions[slot(version)] += 1;
        }
        if let Some(trust) = session.trust
            && let Some(at) = Trust::ALL.iter().position(|known| *known == trust)
        {
            self.trust[at] += 1;
        }
    }

    pub(super) fn join(&mut self, other: &Self, shows_tls: bool) {
        self.messages.join(&other.messages, shows_tls);
        self.connections.join(&other.connections, shows_tls);
        self.reused += other.reused;
        self.versions.iter_mut().zip(other.versions).for_each(|(own, other)| *own += other);
        self.trust.iter_mut().zip(other.trust).for_each(|(own, other)| *own += other);
    }
}

fn slot(version: Version) -> usize {
    Version::ALL.iter().position(|known| *known == version).unwrap_or(0)
}

/// Rows by name; the first that come have one each, and the others one together.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) rows: HashMap<Box<[u8]>, Row>,
    pub(super) rest: Row,
    /// How often somebody was counted in [`Self::rest`].
    pub(super) left_out: u64,
}

/// A name longer than this is cut: none is in DNS.
const MAX_NAME: usize = 255;

impl Table {
    fn row(&mut self, name: &[u8], room: &mut usize, is_kept: bool) -> &mut Row {
        let mut lower = [0; MAX_NAME];
        let length = name.len().min(MAX_NAME);
        let lower = &mut lower[..length];
        lower.copy_from_slice(&name[..length]);
        lower.make_ascii_lowercase();
        if !self.rows.contains_key(&*lower) {
            if *room == 0 && !is_kept {
                self.left_out += 1;
                return &mut self.rest;
            }
            *room = room.saturating_sub(1);
            self.rows.insert((&*lower).into(), Row::default());
        }
        // Looked up twice: the borrow checker does not let a row that was found outlive one that is added.
        self.rows.get_mut(&*lower).unwrap_or(&mut self.rest)
    }
}

/// One reason why TLS failed with one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) connections: u64,
    pub(super) messages: u64,
    pub(super) words: Vec<u8>,
}

/// A direction of a source.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) total: Row,
    pub(super) partners: Table,
    pub(super) hosts: Table,
    pub(super) days: HashMap<Day, Counts>,
    pub(super) suites: HashMap<SuiteId, u64>,
    pub(super) failures: HashMap<(Box<[u8]>, ResultType), Failure>,
    pub(super) failures_left_out: u64,
    /// The log says of some session that it was inside TLS, so silence about another means something.
    pub(super) shows_tls: bool,
    /// Messages before the first line that shows TLS.
    pub(super) before_tls: u64,
    /// Sessions inside TLS that only a summary tells of: their own lines are hidden.
    pub(super) hidden: u64,
}

/// An MTA on a machine.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) host: Vec<u8>,
    pub(super) product: Product,
    pub(super) lines: u64,
    pub(super) inbound: Ledger,
    pub(super) outbound: Ledger,
}

/// More sources than these are counted as one.
const MAX_SOURCES: usize = 64;
/// More suites than these have no name.
const MAX_SUITES: usize = 512;
const MAX_FAILURES: usize = 4096;
const MAX_DAYS: usize = 4096;
/// How much of the words of a failure is kept.
const MAX_WORDS: usize = 300;

/// Everything that is counted, and where the next line is counted.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) sources: Vec<Source>,
    current: usize,
    pub(super) suites: Vec<Vec<u8>>,
    /// The day of the line that is read.
    pub(super) day: Day,
    partners_left: usize,
    hosts_left: usize,
    must_tls: Vec<Name>,
    /// Messages of own users, who said who they are: no partners.
    pub(super) submissions: u64,
    /// Deliveries that stay on the machine.
    pub(super) local: u64,
}

impl Tally {
    pub(super) fn new(most: usize, must_tls: &[Name]) -> Self {
        Self {
            sources: Vec::new(),
            current: 0,
            suites: Vec::new(),
            day: Day::Unknown,
            partners_left: most,
            hosts_left: most,
            must_tls: must_tls.to_vec(),
            submissions: 0,
            local: 0,
        }
    }

    /// The next lines are of this MTA on this machine; its number.
    pub(super) fn enter(&mut self, host: &[u8], product: Product) -> usize {
        let is_it = |source: &Source| source.product == product && source.host == host;
        if !self.sources.get(self.current).is_some_and(is_it) {
            self.current = match self.sources.iter().position(is_it) {
                Some(at) => at,
                None if self.sources.len() < MAX_SOURCES => {
                    let host = host[..host.len().min(MAX_NAME)].to_vec();
                    let (inbound, outbound) = (Ledger::default(), Ledger::default());
                    self.sources.push(Source { host, product, lines: 0, inbound, outbound });
                    self.sources.len() - 1
                }
                None => MAX_SOURCES - 1,
            };
        }
        self.sources[self.current].lines += 1;
        self.current
    }

    fn ledger(&mut self, direction: Direction) -> &mut Ledger {
        // `enter` comes before.
        let source = &mut self.sources[self.current];
        match direction {
            Direction::Inbound => &mut source.inbound,
            Direction::Outbound => &mut source.outbound,
        }
    }

    /// A message that was taken or delivered, of or to a partner where that is known already.
    pub(super) fn message(&mut self, direction: Direction, partner: Option<&[u8]>, host: &[u8], protection: Protection) {
        let day = self.day;
        let mut room = self.hosts_left;
        let ledger = self.ledger(direction);
        ledger.total.messages.add(protection);
        if !ledger.shows_tls {
            ledger.before_tls += 1;
        }
        ledger.hosts.row(host, &mut room, false).messages.add(protection);
        if ledger.days.len() < MAX_DAYS || ledger.days.contains_key(&day) {
            ledger.days.entry(day).or_default().add(protection);
        }
        self.hosts_left = room;
        if let Some(partner) = partner {
            self.partner(direction, partner, protection);
        }
    }

    /// A message that was counted before, of a partner that is known now.
    pub(super) fn partner(&mut self, direction: Direction, partner: &[u8], protection: Protection) {
        let is_kept = self.is_must_tls(partner);
        let mut room = self.partners_left;
        let row = self.ledger(direction).partners.row(partner, &mut room, is_kept);
        row.messages.add(protection);
        if let Protection::Tls(session) = protection {
            row.session(session);
        }
        self.partners_left = room;
    }

    fn is_must_tls(&self, partner: &[u8]) -> bool {
        !self.must_tls.is_empty() && is_within(partner, &self.must_tls)
    }

    /// A connection.
    pub(super) fn connection(&mut self, direction: Direction, host: &[u8], protection: Protection, is_reused: bool) {
        let mut room = self.hosts_left;
        let ledger = self.ledger(direction);
        let row = ledger.hosts.row(host, &mut room, false);
        for row in [row, &mut ledger.total] {
            if is_reused {
                row.reused += 1;
            } else {
                row.connections.add(protection);
            }
            if let (Protection::Tls(session), false) = (protection, is_reused) {
                row.session(session);
            }
        }
        if let (Protection::Tls(session), false) = (protection, is_reused)
            && let Some(suite) = session.suite
        {
            *ledger.suites.entry(suite).or_default() += 1;
        }
        self.hosts_left = room;
    }

    /// What became of the certificate of a connection that was counted before.
    pub(super) fn judged(&mut self, direction: Direction, trust: Trust) {
        self.ledger(direction).total.session(Session { trust: Some(trust), ..Session::default() });
    }

    /// The log tells of TLS in this direction.
    pub(super) fn shows_tls(&mut self, direction: Direction) {
        self.ledger(direction).shows_tls = true;
    }

    /// A session inside TLS whose own line is not there.
    pub(super) fn hidden(&mut self, direction: Direction) {
        self.ledger(direction).hidden += 1;
    }

    /// A connection that failed because of TLS.
    pub(super) fn failed_connection(&mut self, direction: Direction, host: &[u8], words: &[u8]) {
        let mut room = self.hosts_left;
        let ledger = self.ledger(direction);
        ledger.total.connections.failed += 1;
        ledger.hosts.row(host, &mut room, false).connections.failed += 1;
        self.hosts_left = room;
        if let Some(failure) = self.failure(direction, host, reason::result(words), words) {
            failure.connections += 1;
        }
    }

    /// A message that waits or was given back because of TLS.
    pub(super) fn failed_message(&mut self, direction: Direction, partner: &[u8], host: &[u8], result: ResultType, words: &[u8]) {
        let (is_kept, day) = (self.is_must_tls(partner), self.day);
        let (mut room, mut hosts) = (self.partners_left, self.hosts_left);
        let ledger = self.ledger(direction);
        ledger.total.messages.failed += 1;
        ledger.partners.row(partner, &mut room, is_kept).messages.failed += 1;
        ledger.hosts.row(host, &mut hosts, false).messages.failed += 1;
        if ledger.days.len() < MAX_DAYS || ledger.days.contains_key(&day) {
            ledger.days.entry(day).or_default().failed += 1;
        }
        (self.partners_left, self.hosts_left) = (room, hosts);
        if let Some(failure) = self.failure(direction, host, result, words) {
            failure.messages += 1;
        }
    }

    fn failure(&mut self, direction: Direction, host: &[u8], result: ResultType, words: &[u8]) -> Option<&mut Failure> {
        let ledger = self.ledger(direction);
        let key: (Box<[u8]>, _) = (host[..host.len().min(MAX_NAME)].to_ascii_lowercase().into(), result);
        if ledger.failures.len() >= MAX_FAILURES && !ledger.failures.contains_key(&key) {
            ledger.failures_left_out += 1;
            return None;
        }
        let words = || words[..words.len().min(MAX_WORDS)].to_vec();
        Some(ledger.failures.entry(key).or_insert_with(|| Failure { connections: 0, messages: 0, words: words() }))
    }

    /// The number of a suite.
    pub(super) fn suite(&mut self, name: &[u8]) -> Option<SuiteId> {
        let name = &name[..name.len().min(MAX_NAME)];
        let at = match self.suites.iter().position(|known| known == name) {
            Some(at) => at,
            None if self.suites.len() < MAX_SUITES => {
                self.suites.push(name.to_vec());
                self.suites.len() - 1
            }
            None => return None,
        };
        u16::try_from(at).ok()
    }

    /// At the end of a file: days without a year get theirs.
    pub(super) fn date(&mut self, days: &Days, end: OffsetDateTime) {
        for source in &mut self.sources {
            for ledger in [&mut source.inbound, &mut source.outbound] {
                let open: Vec<Day> = ledger.days.keys().copied().filter(|day| matches!(day, Day::Open { .. })).collect();
                for day in open {
                    if let Some(counts) = ledger.days.remove(&day) {
                        // Whether the source shows TLS is decided at the very end.
                        ledger.days.entry(days.dated(day, end)).or_default().join(&counts, true);
                    }
                }
            }
        }
    }
}

/// Whether a partner is one of these domains, or below one.
pub(super) fn is_within(partner: &[u8], domains: &[Name]) -> bool {
    domains.iter().any(|domain| {
        let domain = domain.as_str().as_bytes();
        let Some(at) = partner.len().checked_sub(domain.len()) else { return false };
        partner[at..].eq_ignore_ascii_case(domain) && (at == 0 || partner[at - 1] == b'.')
    })
}

/// The version that a log names: `TLSv1.3`, `TLS1.2`, `TLSv1` for 1.0.
pub(super) fn version(name: &[u8]) -> Option<Version> {
    Some(match name {
        b"TLSv1.3" | b"TLS1.3" => Version::Tls13,
        b"TLSv1.2" | b"TLS1.2" => Version::Tls12,
        b"TLSv1.1" | b"TLS1.1" => Version::Tls11,
        b"TLSv1" | b"TLSv1.0" | b"TLS1.0" => Version::Tls10,
        b"SSLv3" | b"SSL3.0" => Version::Ssl3,
        b"SSLv2" => Version::Ssl2,
        _ => return None,
    })
}

/// Whether a peer is this machine itself.
pub(super) fn is_here(address: &[u8]) -> bool {
    is_loopback(address)
}
