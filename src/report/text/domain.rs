//! The report of a domain for people: the seven lines, how far a sender gets with each address, what is wrong, what DNS says; then
//! each server by itself.

use anstyle::Style;

use super::{
    MAX_ITEMS, MAX_NAME, MAX_SENTENCE, MAX_VALUE, TIME, Text, TextOptions, VALUES, advice, doubts, moment, shown, verdict_style,
};
use crate::{
    facts::{Absence, DnsAnswer, Observed},
    finding::{Severity, Verdict},
    report::{
        DomainReport, NEXT_HOP_ONLY, explain,
        layout::{Page, join_some, pad, style},
        redact::Redactor,
    },
    rules::{Mark, StageRow},
};

/// The report of a domain as text, within the width of the page.
pub fn render_domain(report: &DomainReport, options: &TextOptions) -> String {
    DomainText { report, options, redactor: None, page: Page::new(options.width, options.colour) }.render()
}

/// The same with placeholders for what differs from run to run.
pub fn render_domain_redacted(report: &DomainReport, options: &TextOptions, redactor: &Redactor) -> String {
    DomainText { report, options, redactor: Some(redactor), page: Page::new(options.width, options.colour) }.render()
}

pub(super) struct DomainText<'a> {
    pub(super) report: &'a DomainReport,
    options: &'a TextOptions,
    pub(super) redactor: Option<&'a Redactor>,
    pub(super) page: Page,
}

/// Hosts that came to TLS and of which nothing was found that are shown in full; of the others all are.
const MAX_QUIET: usize = 10;
/// Columns of the marks in the table; the rest is for names and addresses.
const MARKS: [&str; 9] = ["conn", "greet", "EHLO", "STLS", "TLS", "path", "name", "DANE", "STS"];

impl DomainText<'_> {
    fn render(mut self) -> String {
        self.head();
        self.practices();
        self.table();
        self.senders();
        self.notes();
        self.findings();
        let redactor = self.redactor;
        doubts(&mut self.page, &self.report.outcomes, |why| shown(redactor, why, MAX_SENTENCE));
        self.dns();
        let Self { report, options, redactor, page } = self;
        let mut out = page.finish();
        let mut quiet = 0;
        for host in report.hosts.iter().filter(|host| !host.facts.views.is_empty()) {
            // Of one that did not come to TLS somebody wants to know why.
            let is_quiet =
                host.findings.is_empty() && host.facts.views.iter().all(|view| view.session.certificates.seen().is_some());
            quiet += usize::from(is_quiet);
            if is_quiet && quiet > MAX_QUIET {
                continue;
            }
            let page = Page::new(options.width, options.colour);
            out.push_str(&Text { report: host, options, redactor, page }.render_within(&host.facts.target.name));
        }
        if let more @ 1.. = quiet.saturating_sub(MAX_QUIET) {
            let mut page = Page::new(options.width, options.colour);
            page.heading("Further hosts");
            page.paragraph(
                2,
                &format!("{more} more that came to TLS, of which nothing was found; --format json has all of them"),
            );
            out.push_str(&page.finish());
        }
        out
    }

    fn show(&self, text: &str, max: usize) -> String {
        shown(self.redactor, text, max)
    }

    fn field(&mut self, key: &str, value: &str) {
        let value = self.show(value, MAX_VALUE);
        self.page.field(2, VALUES, key, &value);
    }

    fn head(&mut self) {
        let facts = &self.report.facts;
        let domain = self.show(facts.domain.as_str(), MAX_NAME);
        self.page.wrapped(style::HEADING, "", "  ", &domain);
        let views = || facts.hosts.iter().flat_map(|host| &host.facts.views);
        let mut addresses: Vec<String> = views().map(|view| view.address.ip().to_string()).collect();
        addresses.dedup();
        let connections: u64 = views().map(|view| u64::from(view.connections)).sum();
        let of = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "es" });
        let servers = facts.hosts.len();
        let servers = format!("{servers} {}", if servers == 1 { "server" } else { "servers" });
        self.field("mail goes to", &format!("{servers}, {}", of(addresses.len(), "address")));
        self.field("resolver", &facts.resolver);
        self.field("DNSSEC from", &facts.anchor);
        self.field("connections", &connections.to_string());
        let stores: Vec<String> =
            self.report.stores.iter().map(|s| format!("{} ({})", s.name, if s.public { "public" } else { "private" })).collect();
        let trusting = if stores.is_empty() { "no roots".to_owned() } else { join_some(&stores, MAX_ITEMS, ", ") };
        self.field("judged", &format!("{} UTC, trusting {trusting}", moment(self.report.now, TIME)));
        self.field("policy", &self.report.policy.name);
    }

    fn practices(&mut self) {
        self.page.blank();
        for practice in &self.report.practices {
            let line = &practice.line;
            let (style, symbol) = verdict_style(line.verdict);
            let number = format!("{}  ", line.practice.number());
            let title = pad(line.practice.title(), 32);
            self.page.line(&[
                (Style::new(), &number),
                (style::HEADING, &title),
                (style, &format!("{symbol} {}", line.verdict.word())),
            ]);
            let reason = self.show(&practice.reason(), MAX_SENTENCE);
            self.page.paragraph(3, &reason);
        }
        self.page.blank();
        self.page.paragraph(0, NEXT_HOP_ONLY);
    }

    /// Which address breaks off where. A name or address that leaves no room for the marks has a line of its own.
    fn table(&mut self) {
        if self.report.stages.is_empty() {
            return;
        }
        self.page.heading("How far a sender gets");
        let width = MARKS.iter().map(|mark| mark.len() + 1).sum::<usize>();
        let room = self.page.width().saturating_sub(width + 2).clamp(16, 40);
        let head: String = MARKS.iter().map(|mark| format!("{mark} ")).collect();
        self.page.line(&[(Style::new(), &" ".repeat(room + 2)), (style::DIM, &head)]);
        let mut last: Option<(&crate::name::Name, Option<u16>)> = None;
        for row in &self.report.stages {
            if last != Some((&row.host, row.preference)) {
                let preference = row.preference.map_or_else(|| "no MX".to_owned(), |preference| preference.to_string());
                let host = self.show(row.host.as_str(), MAX_NAME);
                self.page.wrapped(style::HEADING, "  ", "    ", &format!("{preference} {host}"));
                last = Some((&row.host, row.preference));
            }
            self.row(row, room);
        }
        self.page.paragraph(2, "✓ right, ✗ breaks here, ? not known, – does not come to it");
    }

    fn row(&mut self, row: &StageRow, room: usize) {
        let address = row.address.map_or_else(String::new, |address| address.ip().to_string());
        let address = self.show(&address, MAX_NAME);
        if let Some(note) = &row.note {
            let note = self.show(note, MAX_SENTENCE);
            let text = if address.is_empty() { note } else { format!("{address}: {note}") };
            self.page.wrapped(Style::new(), "    ", "      ", &text);
            return;
        }
        let mut pieces: Vec<(Style, String)> = Vec::new();
        let first = format!("    {address}");
        if textwrap::core::display_width(&first) >= room + 2 {
            self.page.line(&[(Style::new(), &first)]);
            pieces.push((Style::new(), " ".repeat(room + 2)));
        } else {
            pieces.push((Style::new(), pad(&first, room + 2)));
        }
        for (mark, column) in row.marks.iter().zip(MARKS) {
            let (style, symbol) = match mark {
                Mark::Right => verdict_style(Verdict::Pass),
                Mark::Wrong => verdict_style(Verdict::Fail),
                Mark::Unknown => verdict_style(Verdict::Inconclusive),
                Mark::None => verdict_style(Verdict::NotApplicable),
            };
            pieces.push((style, pad(symbol, column.len() + 1)));
        }
        let pieces: Vec<(Style, &str)> = pieces.iter().map(|(style, text)| (*style, text.as_str())).collect();
        self.page.line(&pieces);
    }

    fn notes(&mut self) {
        let facts = &self.report.facts;
        let mut notes = self.report.notes.clone();
        if !facts.left_out.is_empty() {
            notes.push(format!("{} MX hosts were looked at; {} more were not", facts.hosts.len(), facts.left_out.len()));
        }
        let passed_over: usize =
            facts.hosts.iter().map(|host| host.passed_over.iter().filter(|passed| !passed.is_inside).count()).sum();
        if passed_over > 0 {
            notes.push(format!("{passed_over} addresses were not looked at: there are too many"));
        }
        if notes.is_empty() {
            return;
        }
        self.page.heading("Notes");
        for note in notes.iter().take(MAX_ITEMS) {
            let note = self.show(note, MAX_SENTENCE);
            self.page.bullet(2, &note);
        }
    }

    fn findings(&mut self) {
        for same_rule in self.report.findings.chunk_by(|a, b| a.rule == b.rule) {
            let Some(first) = same_rule.first() else { continue };
            let (style, symbol) = match first.severity {
                Severity::Fail => verdict_style(Verdict::Fail),
                Severity::Warn => verdict_style(Verdict::Warn),
                Severity::Notice => (style::DIM, "·"),
            };
            self.page.blank();
            let word = format!("{symbol} {}", explain::severity_word(first.severity));
            self.page.line(&[(style, &word), (Style::new(), "  "), (style::RULE, first.rule)]);
            for finding in same_rule.iter().take(MAX_ITEMS) {
                let message = self.show(&finding.violation.message, MAX_SENTENCE);
                self.page.wrapped(style::HEADING, "  ", "  ", &message);
                for line in finding.violation.evidence.iter().take(MAX_ITEMS) {
                    let line = self.show(line, MAX_VALUE);
                    self.page.wrapped(Style::new(), "    ", "      ", &line);
                }
            }
            if same_rule.len() > MAX_ITEMS {
                self.page.paragraph(2, &format!("… and {} more of these", same_rule.len() - MAX_ITEMS));
            }
            if let Some((rule, _)) = self.report.outcomes.iter().find(|(rule, _)| rule.id == first.rule) {
                advice(&mut self.page, rule, None);
            }
        }
    }

    /// What DNS and the policy host say.
    fn dns(&mut self) {
        self.page.heading("What DNS says");
        let facts = &self.report.facts;
        self.field("MX", &answer(&facts.mx, |mx| format!("{} {}", mx.preference, mx.exchange)));
        for host in &facts.hosts {
            let name = self.show(host.name.as_str(), MAX_NAME);
            self.page.wrapped(style::HEADING, "  ", "    ", &name);
            self.field("A", &answer(&host.v4, ToString::to_string));
            self.field("AAAA", &answer(&host.v6, ToString::to_string));
            for lookup in &host.tlsa {
                let base =
                    if lookup.base.as_str() == host.name.as_str() { String::new() } else { format!("at {}: ", lookup.base) };
                self.field("TLSA", &format!("{base}{}", answer(&lookup.answer, ToString::to_string)));
            }
        }
        self.page.wrapped(style::HEADING, "  ", "    ", "policies");
        let quoted = |text: &crate::wire::WireText| format!("\"{text}\"");
        self.field("MTA-STS", &answer(&facts.mta_sts.record, quoted));
        let policy = match &facts.mta_sts.policy {
            Observed::Seen(fetched) => match &fetched.response {
                Observed::Seen(response) => {
                    let kind = response.content_type.as_ref().map_or_else(|| "no content type".to_owned(), ToString::to_string);
                    format!("HTTP {}, {kind}, {} bytes, from {}", response.status, response.body.bytes.len(), fetched.host)
                }
                unseen => unseen.why_not(),
            },
            unseen => unseen.why_not(),
        };
        self.field("policy", &policy);
        self.field("TLSRPT", &answer(&facts.tlsrpt, quoted));
        self.field("CAA", &answer(&facts.caa, ToString::to_string));
    }
}

/// The records of an answer, or why there are none, and what DNSSEC says of that.
fn answer<T>(observed: &Observed<DnsAnswer<T>>, show: impl Fn(&T) -> String) -> String {
    let answer = match observed {
        Observed::Seen(answer) => answer,
        Observed::Failed(failure) => return format!("no answer: {failure}"),
        Observed::NotAttempted(why) => return format!("not asked: {why}"),
    };
    let records: Vec<String> = answer.records.iter().map(show).collect();
    let what = match answer.absence {
        Some(Absence::NxDomain) => "the name does not exist".to_owned(),
        Some(Absence::NoData) => "none".to_owned(),
        None if records.is_empty() => "none that can be read".to_owned(),
        None => join_some(&records, MAX_ITEMS, ", "),
    };
    let via: Vec<String> = answer.aliases.iter().map(|alias| format!("alias of {}", alias.to)).collect();
    let via = if via.is_empty() { String::new() } else { format!("{}: ", via.join(", ")) };
    let more = if answer.left_out > 0 { format!(" and {} more", answer.left_out) } else { String::new() };
    format!("{via}{what}{more} ({})", answer.whole_proof())
}
