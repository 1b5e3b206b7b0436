//! The report: what was counted, escaped, in order, and judged for practice 6.

use std::collections::BTreeMap;

use serde::Serialize;
use time::{Date, OffsetDateTime};

use super::{
    Reader,
    ledger::{Counts, Direction, Ledger, Product, Row, Tally, Trust, is_within},
    outside::{Checked, Outside, Reported},
    stamp::Day,
};
use crate::{
    finding::{ResultType, Verdict},
    name::Name,
    tls::Version,
    wire::WireText,
};

/// What this report calls itself.
pub const FORMAT: &str = "mtalab-logs";
/// The version of its form.
pub const VERSION: u32 = 1;

/// What the logs say of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Review {
    /// Says what this is: `mtalab-logs`.
    pub format: &'static str,
    /// The version of that form.
    pub version: u32,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String")]
    pub judged_at: OffsetDateTime,
    /// Practice 6, monitored TLS, as far as logs can tell.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// What a reader must know before the numbers.
    pub warnings: Vec<String>,
    /// The MTAs that wrote the lines.
    pub sources: Vec<SourceLine>,
    /// Each direction in sum: inbound, outbound.
    pub directions: Vec<DirectionSummary>,
    /// The domains of messages: of the sender inbound, of the recipient outbound. The busiest first.
    pub partners: Vec<PartnerLine>,
    /// Messages of partners that have no line of their own, as the tables are bounded.
    pub other_partners: Counts,
    /// The hosts of connections, the busiest first.
    pub hosts: Vec<HostLine>,
    /// Messages of hosts that have no line of their own.
    pub other_hosts: Counts,
    /// Why TLS failed, the most frequent first.
    pub failures: Vec<FailureLine>,
    /// Failures that have no line of their own.
    pub other_failures: u64,
    /// The trend: messages by day.
    pub days: Vec<DayCounts>,
    /// Messages of days that no stamp tells.
    pub undated: Counts,
    /// Messages of own users, who said who they are: they are counted nowhere else.
    pub submissions: u64,
    /// Deliveries within a machine: they are counted nowhere else.
    pub local: u64,
    /// How many reports of TLSRPT were read.
    pub reports: u64,
    /// What became of the lines.
    pub lines: LineCounts,
    /// The first lines of MTAs that no reader knows.
    pub unknown_lines: Vec<WireText>,
    /// The files.
    pub inputs: Vec<InputLine>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct InputLine {
    /// Its name.
    pub name: WireText,
    /// Bytes of lines, unpacked.
    pub bytes: u64,
    /// Lines.
    pub lines: u64,
    /// Its last line has no end.
    pub is_cut_off: bool,
    /// Why it was not read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<WireText>,
}

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct LineCounts {
    /// All that were read.
    pub read: u64,
    /// Those of MTAs.
    pub of_mtas: u64,
    /// Those of other programs, and empty ones.
    pub other: u64,
    /// Those that no reader knows.
    pub unknown: u64,
    /// Those longer than any line of a log, which are skipped.
    pub too_long: u64,
}

/// An MTA on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct SourceLine {
    /// The machine, as the lines name it; empty where they do not.
    pub host: WireText,
    /// The MTA.
    pub product: Product,
    /// Lines of it.
    pub lines: u64,
    /// Whether it tells of TLS with who sends to it; absent where nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_shows_tls: Option<bool>,
    /// Whether it tells of TLS with whom it sends to; absent where it sent nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_shows_tls: Option<bool>,
}

/// Sessions of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct VersionCount {
    /// `TLSv1.3`.
    pub version: Version,
    /// How many.
    pub sessions: u64,
}

/// Sessions with one suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct SuiteCount {
    /// As the MTA calls it.
    pub suite: WireText,
    /// How many.
    pub sessions: u64,
}

/// Sessions with one judgement of the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct TrustCount {
    /// The judgement of the MTA.
    pub trust: Trust,
    /// How many.
    pub sessions: u64,
}

/// One direction in sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DirectionSummary {
    /// Which.
    pub direction: Direction,
    /// Inbound messages; outbound deliveries, one for each recipient.
    pub messages: Counts,
    /// Connections over which something was sent, and those that failed.
    pub connections: Counts,
    /// Sessions that were taken again for further messages; they are not among the connections.
    pub reused: u64,
    /// Connections by version.
    pub versions: Vec<VersionCount>,
    /// Connections by suite.
    pub suites: Vec<SuiteCount>,
    /// Connections by what the MTA thought of the certificate.
    pub trust: Vec<TrustCount>,
}

/// The messages of a domain in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PartnerLine {
    /// The domain; empty for senders without one, as of bounces.
    pub domain: WireText,
    /// It was marked so that messages must go inside TLS.
    pub must_tls: bool,
    /// Messages that claim to be of this domain.
    pub inbound: Counts,
    /// Deliveries to this domain.
    pub outbound: Counts,
    /// Messages by version, of both directions.
    pub versions: Vec<VersionCount>,
    /// Messages by what the MTA thought of the certificate.
    pub trust: Vec<TrustCount>,
    /// What this domain reports of others' TLS, mostly of ours (RFC 8460).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_by: Option<Reported>,
    /// What is reported of this domain's TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_on: Option<Reported>,
    /// What a check saw of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<Checked>,
}

/// A host and its connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct HostLine {
    /// Which way.
    pub direction: Direction,
    /// Its name, or its address in brackets.
    pub host: WireText,
    /// Messages from or to it.
    pub messages: Counts,
    /// Connections.
    pub connections: Counts,
    /// Sessions that were taken again.
    pub reused: u64,
}

/// Why TLS failed with a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FailureLine {
    /// Which way.
    pub direction: Direction,
    /// With whom.
    pub host: WireText,
    /// What a sender would report (RFC 8460, 4.3).
    pub result_type: ResultType,
    /// Connections that failed for it.
    pub connections: u64,
    /// Messages that waited or were given back for it, once for each attempt.
    pub messages: u64,
    /// The words of the log, once.
    pub words: WireText,
}

/// The messages of a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DayCounts {
    /// The day, as the stamps have it: local time mostly.
    pub day: String,
    /// Inbound messages.
    pub inbound: Counts,
    /// Outbound deliveries.
    pub outbound: Counts,
}

impl PartnerLine {
    /// Whether somebody else than the logs tells of it.
    pub fn is_seen_outside(&self) -> bool {
        self.reported_by.is_some() || self.reported_on.is_some() || self.checked.is_some()
    }
}

impl Review {
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

/// Both directions of a name.
#[derive(Default)]
struct Both {
    inbound: Row,
    outbound: Row,
}

pub(super) fn review(reader: Reader, now: OffsetDateTime) -> Review {
    let Reader { tally, lines, examples, inputs, must_tls, outside, .. } = reader;
    let mut partners: BTreeMap<&[u8], Both> = BTreeMap::new();
    let mut hosts: BTreeMap<(Direction, &[u8]), Row> = BTreeMap::new();
    let mut days: BTreeMap<Date, (Counts, Counts)> = BTreeMap::new();
    let (mut undated, mut other_partners, mut other_hosts) = <(Counts, Counts, Counts)>::default();
    let mut failures: BTreeMap<(Direction, &[u8], &'static str), FailureLine> = BTreeMap::new();
    let mut other_failures = 0;
    for (direction, ledger) in ledgers(&tally) {
        let shows = ledger.shows_tls;
        for (name, row) in &ledger.partners.rows {
            let both = partners.entry(name).or_default();
            let own = if direction == Direction::Inbound { &mut both.inbound } else { &mut both.outbound };
            own.join(row, shows);
        }
        other_partners.join(&ledger.partners.rest.messages, shows);
        for (name, row) in &ledger.hosts.rows {
            hosts.entry((direction, name)).or_default().join(row, shows);
        }
        other_hosts.join(&ledger.hosts.rest.messages, shows);
        for (day, counts) in &ledger.days {
            match day {
                Day::Dated(date) => {
                    let of_day = days.entry(*date).or_default();
                    let own = if direction == Direction::Inbound { &mut of_day.0 } else { &mut of_day.1 };
                    own.join(counts, shows);
                }
                Day::Open { .. } | Day::Unknown => undated.join(counts, shows),
            }
        }
        for ((host, result), failure) in &ledger.failures {
            let line = failures.entry((direction, host, result.id())).or_insert_with(|| FailureLine {
                direction,
                host: WireText::from_bytes(host),
                result_type: *result,
                connections: 0,
                messages: 0,
                words: WireText::from_bytes(&failure.words),
            });
            line.connections += failure.connections;
            line.messages += failure.messages;
        }
        other_failures += ledger.failures_left_out;
    }
    let directions: Vec<_> = [Direction::Inbound, Direction::Outbound].map(|direction| summary(&tally, direction)).into();
    for name in outside.names() {
        partners.entry(name.as_str().as_bytes()).or_default();
    }
    let mut partners: Vec<_> = partners.iter().map(|(name, both)| partner(name, both, &must_tls, &outside)).collect();
    partners
        .sort_by_key(|line| std::cmp::Reverse((line.must_tls, line.is_seen_outside(), all(&line.inbound) + all(&line.outbound))));
    let mut hosts: Vec<_> = hosts
        .iter()
        .map(|((direction, name), row)| HostLine {
            direction: *direction,
            host: WireText::from_bytes(name),
            messages: row.messages,
            connections: row.connections,
            reused: row.reused,
        })
        .collect();
    hosts.sort_by_key(|line| std::cmp::Reverse(all(&line.messages) + all(&line.connections)));
    let mut failures: Vec<_> = failures.into_values().collect();
    failures.sort_by_key(|line| std::cmp::Reverse(line.connections + line.messages));
    let mut review = Review {
        format: FORMAT,
        version: VERSION,
        judged_at: now,
        verdict: Verdict::Inconclusive,
        reason: String::new(),
        warnings: Vec::new(),
        sources: sources(&tally),
        directions,
        partners,
        other_partners,
        hosts,
        other_hosts,
        failures,
        other_failures,
        days: days.into_iter().map(|(day, (inbound, outbound))| DayCounts { day: day.to_string(), inbound, outbound }).collect(),
        undated,
        submissions: tally.submissions,
        local: tally.local,
        reports: outside.reports,
        lines,
        unknown_lines: examples.iter().map(|line| WireText::from_bytes(line)).collect(),
        inputs,
    };
    review.warnings = warnings(&tally, &review);
    review.warnings.extend(outside.notes);
    if outside.left_out > 0 {
        review.warnings.push(format!("{} parts of reports are of domains beyond the number that is kept", outside.left_out));
    }
    (review.verdict, review.reason) = verdict(&review, &must_tls);
    review
}

fn all(counts: &Counts) -> u64 {
    counts.all() + counts.failed
}

fn ledgers(tally: &Tally) -> impl Iterator<Item = (Direction, &Ledger)> {
    tally.sources.iter().flat_map(|source| [(Direction::Inbound, &source.inbound), (Direction::Outbound, &source.outbound)])
}

fn partner(name: &[u8], both: &Both, must_tls: &[Name], outside: &Outside) -> PartnerLine {
    let mut sum = both.inbound.clone();
    sum.join(&both.outbound, true);
    let known = std::str::from_utf8(name).ok().and_then(|name| Name::parse(name).ok());
    let known = known.as_ref();
    PartnerLine {
        reported_by: known.and_then(|name| outside.by.get(name)).cloned(),
        reported_on: known.and_then(|name| outside.on.get(name)).cloned(),
        checked: known.and_then(|name| outside.checked.get(name)).cloned(),
        domain: WireText::from_bytes(name),
        must_tls: is_within(name, must_tls),
        inbound: both.inbound.messages,
        outbound: both.outbound.messages,
        versions: versions(&sum),
        trust: trust(&sum),
    }
}

fn versions(row: &Row) -> Vec<VersionCount> {
    let all = Version::ALL.iter().zip(row.versions);
    all.filter(|(_, sessions)| *sessions > 0).map(|(version, sessions)| VersionCount { version: *version, sessions }).collect()
}

fn trust(row: &Row) -> Vec<TrustCount> {
    let all = Trust::ALL.iter().zip(row.trust);
    all.filter(|(_, sessions)| *sessions > 0).map(|(trust, sessions)| TrustCount { trust: *trust, sessions }).collect()
}

fn summary(tally: &Tally, direction: Direction) -> DirectionSummary {
    let mut total = Row::default();
    let mut suites: BTreeMap<&[u8], u64> = BTreeMap::new();
    for (_, ledger) in ledgers(tally).filter(|(of, _)| *of == direction) {
        total.join(&ledger.total, ledger.shows_tls);
        for (id, sessions) in &ledger.suites {
            if let Some(name) = tally.suites.get(usize::from(*id)) {
                *suites.entry(name).or_default() += sessions;
            }
        }
    }
    let mut suites: Vec<_> =
        suites.into_iter().map(|(name, sessions)| SuiteCount { suite: WireText::from_bytes(name), sessions }).collect();
    suites.sort_by_key(|count| std::cmp::Reverse(count.sessions));
    DirectionSummary {
        direction,
        messages: total.messages,
        connections: total.connections,
        reused: total.reused,
        versions: versions(&total),
        suites,
        trust: trust(&total),
    }
}

fn sources(tally: &Tally) -> Vec<SourceLine> {
    let shows = |ledger: &Ledger| {
        let is_used = all(&ledger.total.messages) + all(&ledger.total.connections) > 0;
        is_used.then_some(ledger.shows_tls)
    };
    let line = |source: &super::ledger::Source| SourceLine {
        host: WireText::from_bytes(&source.host),
        product: source.product,
        lines: source.lines,
        inbound_shows_tls: shows(&source.inbound),
        outbound_shows_tls: shows(&source.outbound),
    };
    tally.sources.iter().map(line).collect()
}

/// The setting that makes an MTA tell of TLS.
fn setting(product: Product, direction: Direction) -> &'static str {
    match (product, direction) {
        (Product::Postfix, Direction::Outbound) => "set `smtp_tls_loglevel = 1`",
        (Product::Postfix, Direction::Inbound) => "set `smtpd_tls_loglevel = 1`",
        (Product::Exim, _) => "keep `tls_cipher` in `log_selector`, where it is by default",
        (Product::Sendmail, _) => "set `LogLevel` to 9 or more",
        (Product::Opensmtpd, _) => "OpenSMTPD tells of every session inside TLS; there was none",
        (Product::Courier | Product::Chasquid, _) => "it has no setting for that",
        (Product::Exchange, _) => "set `ProtocolLoggingLevel Verbose` on the connector",
    }
}

fn warnings(tally: &Tally, review: &Review) -> Vec<String> {
    let mut warnings = Vec::new();
    for source in &tally.sources {
        let at = if source.host.is_empty() { String::new() } else { format!(" on {}", WireText::from_bytes(&source.host)) };
        for (direction, ledger) in [(Direction::Inbound, &source.inbound), (Direction::Outbound, &source.outbound)] {
            let way = if direction == Direction::Inbound { "inbound" } else { "outbound" };
            let product = product_name(source.product);
            let messages = ledger.total.messages.all();
            if messages > 0 && matches!(source.product, Product::Courier | Product::Chasquid) {
                warnings.push(format!(
                    "{product}{at}: its log never tells of TLS. How {messages} {} went, {way}, is not known: only the Received lines of \
                     messages say it",
                    plural(messages, "message")
                ));
            } else if messages > 0 && !ledger.shows_tls {
                warnings.push(format!(
                    "{product}{at}: no line tells of TLS, {way}. Either there is none, or the log level hides it: {}. How {messages} \
                     {} went is not known",
                    setting(source.product, direction),
                    plural(messages, "message")
                ));
            } else if ledger.hidden > 0 {
                warnings.push(format!(
                    "{product}{at}: {} connections were inside TLS, {way}, and their versions and suites are hidden by the log level: {}",
                    ledger.hidden,
                    setting(source.product, direction)
                ));
            }
        }
    }
    if review.lines.unknown > 0 {
        warnings.push(format!("{} lines are not known to this version, and what they say is not counted", review.lines.unknown));
    }
    if review.lines.too_long > 0 {
        warnings.push(format!("{} lines are longer than any of a log, and were skipped", review.lines.too_long));
    }
    for input in &review.inputs {
        if let Some(why) = &input.stopped {
            warnings.push(format!("{}: {why}", input.name));
        }
    }
    let left = all(&review.other_partners);
    if left > 0 {
        warnings.push(format!("{left} messages are of partners beyond the number that is kept apart, and counted together"));
    }
    warnings
}

pub(super) fn product_name(product: Product) -> &'static str {
    match product {
        Product::Postfix => "Postfix",
        Product::Exim => "Exim",
        Product::Sendmail => "Sendmail",
        Product::Opensmtpd => "OpenSMTPD",
        Product::Courier => "Courier",
        Product::Chasquid => "chasquid",
        Product::Exchange => "Exchange",
    }
}

/// Practice 6 as the logs back it: monitoring is there where the logs tell of every message how it went.
fn verdict(review: &Review, must_tls: &[Name]) -> (Verdict, String) {
    let mut sum = Counts::default();
    review.directions.iter().for_each(|direction| sum.join(&direction.messages, true));
    if all(&sum) == 0 {
        let reports = if review.reports > 0 { "; reports of others are below" } else { "" };
        return (Verdict::Inconclusive, format!("the logs tell of no message from or to others{reports}"));
    }
    let broken: Vec<_> =
        review.partners.iter().filter(|line| line.must_tls && line.inbound.clear + line.outbound.clear > 0).collect();
    if let Some(first) = broken.first() {
        let messages: u64 = broken.iter().map(|line| line.inbound.clear + line.outbound.clear).sum();
        return (
            Verdict::Fail,
            format!(
                "{messages} {} went in the clear with {} that TLS is agreed with: {}",
                plural(messages, "message"),
                plural(broken.len(), "partner"),
                first.domain
            ),
        );
    }
    if sum.unknown > 0 {
        let share = percent(sum.unknown, sum.all());
        return (Verdict::Inconclusive, format!("of {share} of the messages the logs do not tell whether they went inside TLS"));
    }
    // One odd line among thousands leaves the rest as it is.
    if review.lines.unknown > review.lines.of_mtas / 100 || review.inputs.iter().any(|input| input.stopped.is_some()) {
        return (Verdict::Inconclusive, "a part of the logs could not be read; see the warnings".to_owned());
    }
    let unseen: Vec<String> = must_tls
        .iter()
        .filter(|name| !review.partners.iter().any(|line| is_within(line.domain.as_str().as_bytes(), std::slice::from_ref(name))))
        .map(Name::to_string)
        .collect();
    let share = percent(sum.tls, sum.all());
    let mut reason = format!("the logs tell of every message how it went: {share} of {} inside TLS", sum.all());
    if sum.failed > 0 {
        reason.push_str(&format!(", {} attempts failed because of TLS", sum.failed));
    }
    if !unseen.is_empty() {
        reason.push_str(&format!("; no message with {}", unseen.join(", ")));
    }
    (if sum.failed > 0 { Verdict::Warn } else { Verdict::Pass }, reason)
}

fn plural(number: impl TryInto<u64>, word: &str) -> String {
    if number.try_into().is_ok_and(|number| number == 1) { word.to_owned() } else { format!("{word}s") }
}

/// A share in percent, rounded down so that 100 % are all; less than one is said so.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "none".to_owned();
    }
    match u128::from(part) * 100 / u128::from(whole) {
        0 if part > 0 => "less than 1 %".to_owned(),
        share => format!("{share} %"),
    }
}
