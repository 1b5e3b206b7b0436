//! The report for people: the seven lines first, what they rest on below.

mod comparison;
mod domain;
mod names;
mod offers;
mod senders;
mod view;
mod visibility;

use anstyle::Style;
use time::{OffsetDateTime, format_description::FormatItem, macros::format_description};

use super::{
    Report,
    explain::{self, Block},
    layout::{Page, clean, join_some, pad, style},
    not_asked,
    redact::Redactor,
};
use crate::{
    facts::{Depth, View},
    finding::{Finding, Outcome, Verdict},
    rules::{self, Role, Rule},
};

pub use domain::{render_domain, render_domain_redacted};

/// How a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Columns; less than 60 counts as 60.
    pub width: usize,
    /// Whether to use ANSI colours. No meaning hangs on them.
    pub colour: bool,
    /// Whether to show the dialogs.
    pub transcript: bool,
    /// Whether dialogs show when each line came.
    pub timings: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self { width: 80, colour: false, transcript: false, timings: true }
    }
}

impl TextOptions {
    /// For a snapshot: everything but what differs from run to run.
    pub fn snapshot() -> Self {
        Self { transcript: true, timings: false, ..Self::default() }
    }
}

/// The report as text. No line is wider than the page, and nothing in it acts on a terminal
/// but the colours asked for.
pub fn render(report: &Report, options: &TextOptions) -> String {
    Text { report, options, redactor: None, page: Page::new(options.width, options.colour) }.render()
}

/// The same with placeholders for what differs from run to run.
pub fn render_redacted(report: &Report, options: &TextOptions, redactor: &Redactor) -> String {
    Text { report, options, redactor: Some(redactor), page: Page::new(options.width, options.colour) }.render()
}

/// Where the values of a view begin.
const VALUES: usize = 16;
/// Bounds on what is shown of one value, in columns; the JSON report holds all of it.
const MAX_NAME: usize = 120;
const MAX_VALUE: usize = 300;
const MAX_SENTENCE: usize = 600;
/// Bounds on lists.
const MAX_ITEMS: usize = 30;
const MAX_LINES: usize = 400;
const MAX_CERTIFICATES: usize = 10;

const DATE: &[FormatItem] = format_description!("[year]-[month]-[day]");
const TIME: &[FormatItem] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

struct Text<'a> {
    report: &'a Report,
    options: &'a TextOptions,
    redactor: Option<&'a Redactor>,
    page: Page,
}

impl Text<'_> {
    fn render(mut self) -> String {
        self.head();
        self.practices();
        self.notes();
        self.findings();
        let redactor = self.redactor;
        doubts(&mut self.page, &self.report.outcomes, |why| shown(redactor, why, MAX_SENTENCE));
        self.visibility();
        self.comparison();
        self.senders();
        self.names();
        self.endings();
        for index in 0..self.report.facts.views.len() {
            self.view(index);
        }
        self.not_asked();
        self.page.finish()
    }

    /// What a report of a domain shows of one of its servers.
    fn render_within(mut self, name: &crate::name::Name) -> String {
        let name = self.show(name.as_str(), MAX_NAME);
        self.page.blank();
        self.page.wrapped(style::HEADING, "── ", "   ", &name);
        self.findings();
        let redactor = self.redactor;
        doubts(&mut self.page, &self.report.outcomes, |why| shown(redactor, why, MAX_SENTENCE));
        self.visibility();
        self.comparison();
        self.names();
        self.endings();
        for index in 0..self.report.facts.views.len() {
            self.view(index);
        }
        self.page.finish()
    }

    /// Every text from outside passes here before it is laid out.
    fn show(&self, text: &str, max: usize) -> String {
        shown(self.redactor, text, max)
    }

    fn show_all<T: ToString>(&self, items: impl IntoIterator<Item = T>, max: usize) -> Vec<String> {
        items.into_iter().map(|item| self.show(&item.to_string(), max)).collect()
    }

    fn head(&mut self) {
        let facts = &self.report.facts;
        let target = self.show(&format!("{}:{}", facts.target.name, facts.target.port), MAX_NAME);
        self.page.wrapped(style::HEADING, "", "  ", &target);
        let addresses = unique(self.show_all(facts.views.iter().map(|view| view.address), MAX_NAME));
        let places = unique(self.show_all(facts.views.iter().map(View::vantage_text), MAX_NAME));
        let connections: u64 = facts.views.iter().map(|view| u64::from(view.connections)).sum();
        let stores = self.report.stores.iter().map(|s| format!("{} ({})", s.name, if s.public { "public" } else { "private" }));
        let stores = self.show_all(stores, MAX_NAME);
        let trusting = if stores.is_empty() { "no roots".to_owned() } else { join_some(&stores, MAX_ITEMS, ", ") };
        let judged = self.show(&format!("{} UTC", moment(self.report.now, TIME)), MAX_NAME);
        self.field(2, "address", &or_none(&addresses, "none"));
        self.field(2, "seen from", &or_none(&places, "nowhere"));
        // How often a thorough check must ask again differs from run to run.
        let is_stable = super::depth(facts).is_none_or(|depth| depth == Depth::Quick);
        let connections = if self.redactor.is_some() && !is_stable { "[count]".to_owned() } else { connections.to_string() };
        self.field(2, "connections", &connections);
        self.field(2, "judged", &format!("{judged}, trusting {trusting}"));
        self.field(2, "policy", &self.report.policy.name);
        let products = self.report.products.iter().map(|product| {
            let before = if product.role == Role::Middlebox { "before it: " } else { "" };
            format!("{before}{}, {}: {}", product.name, product.certainty.word(), product.evidence)
        });
        let products = self.show_all(products, MAX_VALUE);
        if !products.is_empty() {
            self.field(2, "looks like", &join_some(&products, MAX_ITEMS, "; "));
        }
    }

    /// The scoreboard: title and verdict aligned, the reason below.
    fn practices(&mut self) {
        self.page.blank();
        for line in &self.report.practices {
            let (style, symbol) = verdict_style(line.verdict);
            let number = format!("{}  ", line.practice.number());
            let title = pad(line.practice.title(), 32);
            let word = format!("{symbol} {}", line.verdict.word());
            self.page.line(&[(Style::new(), &number), (style::HEADING, &title), (style, &word)]);
            let reason = self.show(&line.reason, MAX_SENTENCE);
            self.page.paragraph(3, &reason);
        }
    }

    fn notes(&mut self) {
        if self.report.notes.is_empty() {
            return;
        }
        self.page.heading("Notes");
        for note in self.report.notes.iter().take(MAX_ITEMS) {
            let note = self.show(note, MAX_SENTENCE);
            self.page.bullet(2, &note);
        }
    }

    /// Each rule's violations, then what to do about them, once.
    fn findings(&mut self) {
        for same_rule in self.report.findings.chunk_by(|a, b| a.rule == b.rule) {
            let Some(first) = same_rule.first() else { continue };
            let (style, symbol) = match first.severity {
                crate::finding::Severity::Fail => verdict_style(Verdict::Fail),
                crate::finding::Severity::Warn => verdict_style(Verdict::Warn),
                crate::finding::Severity::Notice => (style::DIM, "·"),
            };
            self.page.blank();
            let word = format!("{symbol} {}", explain::severity_word(first.severity));
            self.page.line(&[(style, &word), (Style::new(), "  "), (style::RULE, first.rule)]);
            for finding in same_rule.iter().take(MAX_ITEMS) {
                self.violation(finding);
            }
            if same_rule.len() > MAX_ITEMS {
                self.page.paragraph(2, &format!("… and {} more of these", same_rule.len() - MAX_ITEMS));
            }
            if let Some(rule) = self.report.rule(first.rule) {
                advice(&mut self.page, rule, rules::server(&self.report.products));
            }
        }
    }

    fn violation(&mut self, finding: &Finding) {
        let violation = &finding.violation;
        let message = self.show(&violation.message, MAX_SENTENCE);
        self.page.wrapped(style::HEADING, "  ", "  ", &message);
        for line in self.show_all(violation.evidence.iter().take(MAX_ITEMS), MAX_VALUE) {
            self.page.wrapped(Style::new(), "    ", "      ", &line);
        }
        if violation.evidence.len() > MAX_ITEMS {
            self.page.paragraph(4, &format!("… and {} more lines", violation.evidence.len() - MAX_ITEMS));
        }
        if let Some(who) = self.witnesses(&violation.views) {
            self.page.paragraph(4, &who);
        }
    }

    /// Who saw it, who looked and did not, and who could not look; nothing where there is
    /// one view only.
    fn witnesses(&self, seen_in: &[usize]) -> Option<String> {
        let views = &self.report.facts.views;
        if views.len() < 2 || seen_in.is_empty() {
            return None;
        }
        if (0..views.len()).all(|index| seen_in.contains(&index)) {
            return Some("seen in every view".to_owned());
        }
        let (saw, rest): (Vec<_>, Vec<_>) = views.iter().enumerate().partition(|(index, _)| seen_in.contains(index));
        let (looked, blind): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, view)| view.session.connection.seen().is_some());
        let names =
            |of: Vec<(usize, &View)>| and_join(&self.show_all(of.into_iter().map(|(_, view)| self.view_name(view)), MAX_NAME));
        let mut parts = Vec::new();
        if !saw.is_empty() {
            parts.push(format!("seen from {}", names(saw)));
        }
        if !looked.is_empty() {
            parts.push(format!("not seen from {}", names(looked)));
        }
        if !blind.is_empty() {
            parts.push(format!("no connection from {}", names(blind)));
        }
        Some(parts.join("; "))
    }

    /// `partner (192.0.2.1)`, and the address where there are several.
    fn view_name(&self, view: &View) -> String {
        let has_several = self.report.facts.views.iter().any(|other| other.address != view.address);
        if has_several { format!("{} to {}", view.vantage_text(), view.address) } else { view.vantage_text() }
    }

    fn not_asked(&mut self) {
        self.page.heading("Not asked at this depth");
        for question in not_asked(&self.report.facts) {
            self.page.bullet(2, question);
        }
    }

    fn field(&mut self, indent: usize, key: &str, value: &str) {
        self.page.field(indent, VALUES, key, value);
    }
}

/// The remedy and where to read on. Of the lines for one server or another, that for the server at hand, where it is known.
fn advice(page: &mut Page, rule: &Rule, server: Option<&str>) {
    let remedy = explain::blocks(&rule.section("Remedy"));
    let is_known = server.is_some_and(|server| remedy.iter().any(|block| block.is_for(server)));
    for (i, block) in remedy.iter().enumerate() {
        match block {
            Block::Bullet(_) if is_known && block.servers().is_some() && !server.is_some_and(|server| block.is_for(server)) => {}
            Block::Paragraph(text) if i == 0 => page.field(2, VALUES, "remedy", text),
            Block::Heading(text) | Block::Paragraph(text) => page.paragraph(VALUES, text),
            Block::Bullet(text) => page.bullet(VALUES, text),
            Block::Code(line) => page.paragraph(VALUES + 2, line),
        }
    }
    let references = explain::blocks(&rule.section("References"));
    let references: Vec<&str> = references.iter().map(Block::text).collect();
    if !references.is_empty() {
        page.field(2, VALUES, "references", &references.join("; "));
    }
    if let Some(result) = rule.result_type {
        page.field(2, VALUES, "RFC 8460", &format!("{}, as a sender would report it", result.id()));
    }
    page.field(2, VALUES, "more", &format!("mtalab explain {}", rule.id));
}

/// A text cut and cleaned of what a terminal would act on, with placeholders where they are wanted.
fn shown(redactor: Option<&Redactor>, text: &str, max: usize) -> String {
    match redactor {
        Some(redactor) => clean(&redactor.redact(text), max),
        None => clean(text, max),
    }
}

/// The rules that lacked a fact, by the reason, which `show` makes fit to be shown. What keeps several facts from being known is
/// said once, and what they are below it.
fn doubts(page: &mut Page, outcomes: &[(&'static Rule, Outcome)], show: impl Fn(&str) -> String) {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for (rule, outcome) in outcomes {
        let Outcome::Undetermined(why) = outcome else { continue };
        match by_reason.iter_mut().find(|(reason, _)| reason == why) {
            Some((_, rules)) => rules.push(rule.id),
            None => by_reason.push((why, vec![rule.id])),
        }
    }
    if by_reason.is_empty() {
        return;
    }
    page.heading("Could not tell");
    let cause_of = |reason: &str| reason.split_once(NOT_KNOWN).map(|(_, cause)| cause.to_owned());
    while let Some((why, _)) = by_reason.first() {
        let cause = cause_of(why);
        let is_of_it = |(reason, _): &(&str, Vec<&str>)| cause.is_some() && cause_of(reason) == cause;
        let (shared, others): (Vec<_>, Vec<_>) = by_reason.drain(..).partition(is_of_it);
        by_reason = others;
        match (&cause, shared.len()) {
            (Some(cause), 2..) => {
                page.bullet(2, &show(cause));
                for (reason, rules) in &shared {
                    let (what, _) = reason.split_once(NOT_KNOWN).unwrap_or((reason, ""));
                    page.bullet(4, &format!("{} is not known", show(what)));
                    page.wrapped(style::RULE, "      ", "      ", &rules.join(", "));
                }
            }
            _ => {
                let alone = if shared.is_empty() { vec![by_reason.remove(0)] } else { shared };
                for (why, rules) in alone {
                    page.bullet(2, &show(why));
                    page.wrapped(style::RULE, "    ", "    ", &rules.join(", "));
                }
            }
        }
    }
}

/// What stands between a fact that is not known and the cause of that.
const NOT_KNOWN: &str = " is not known: ";

/// The colour of a verdict, and its symbol for those who do not see colours.
fn verdict_style(verdict: Verdict) -> (Style, &'static str) {
    match verdict {
        Verdict::Pass => (style::PASS, "✓"),
        Verdict::Warn => (style::WARN, "!"),
        Verdict::Fail => (style::FAIL, "✗"),
        Verdict::Inconclusive => (style::DOUBT, "?"),
        Verdict::NotApplicable => (style::DIM, "–"),
    }
}

/// How long a certificate is valid yet, or no more.
fn days(not_before: OffsetDateTime, not_after: OffsetDateTime, now: OffsetDateTime) -> String {
    if now < not_before {
        format!("not valid before {} from now", rules::span(not_before - now))
    } else if now > not_after {
        format!("expired {} ago", rules::span(now - not_after))
    } else {
        format!("{} left", rules::span(not_after - now))
    }
}

fn moment(time: OffsetDateTime, form: &[FormatItem]) -> String {
    // Only a broken format description can fail, and these are checked when compiled.
    time.to_offset(time::UtcOffset::UTC).format(form).unwrap_or_else(|_| time.to_string())
}

fn unique(items: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for item in items {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}

fn or_none(items: &[String], none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { join_some(items, MAX_ITEMS, ", ") }
}

/// `A, B and C`.
fn and_join(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [.., _] if items.len() > MAX_ITEMS => join_some(items, MAX_ITEMS, ", "),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use textwrap::core::display_width;
    use time::Duration;

    use super::*;
    use crate::{
        facts::{GroupList, Observed, SchemeList, Taken},
        report::samples::{self, NOW},
        tls::{Group, SignatureScheme},
    };

    fn snapshot(report: &Report, width: usize) -> String {
        render_redacted(report, &TextOptions { width, ..TextOptions::snapshot() }, &Redactor::new(&report.facts))
    }

    #[test]
    fn the_story_names_the_true_cause() {
        insta::assert_snapshot!("story", snapshot(&samples::story(), 80));
    }

    #[test]
    fn the_story_fits_a_narrow_terminal() {
        insta::assert_snapshot!("story-60", snapshot(&samples::story(), 60));
    }

    #[test]
    fn a_healthy_server_says_what_was_seen() {
        insta::assert_snapshot!("healthy", snapshot(&samples::healthy(), 80));
    }

    /// What keeps several things from being known is said once.
    #[test]
    fn a_cause_is_said_once() {
        let outcomes: Vec<(&'static Rule, Outcome)> = rules::catalogue()
            .iter()
            .zip([
                "whether A is taken is not known: it fell silent",
                "it did not say",
                "what B takes is not known: it fell silent",
            ])
            .map(|(rule, why)| (*rule, Outcome::Undetermined(why.to_owned())))
            .collect();
        let mut page = Page::new(80, false);
        doubts(&mut page, &outcomes, str::to_owned);
        let text = page.finish();
        assert_eq!(text.matches("it fell silent").count(), 1, "{text}");
        let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
        let places = ["- it fell silent", "- whether A is taken is not known", "- what B takes is not known", "- it did not say"];
        assert!(places.map(place).is_sorted(), "{text}");
        assert!(outcomes.iter().all(|(rule, _)| text.contains(rule.id)));
    }

    #[test]
    fn what_was_asked_lines_up() {
        insta::assert_snapshot!("offered", snapshot(&samples::offered(), 80));
        let text = render(&samples::offered(), &TextOptions::default());
        insta::assert_snapshot!("offered-costs", &text[text.find("  what the questions cost").unwrap()..]);
    }

    #[test]
    fn what_was_taken_is_not_said_to_be_refused() {
        let mut report = samples::offered();
        let mut show = |groups: Vec<Group>| {
            let Observed::Seen(offers) = &mut report.facts.views[0].offers else { panic!("nothing was offered") };
            offers.groups = Taken { accepted: groups, complete: vec![GroupList::PostQuantum], unknown: Vec::new() };
            offers.schemes =
                Taken { accepted: vec![SignatureScheme(0x0201)], complete: vec![SchemeList::WeakHash], unknown: Vec::new() };
            let json = serde_json::to_value(&offers.groups).unwrap();
            (render(&report, &TextOptions::default()), json)
        };
        let (text, json) = show(vec![Group(0x11ec)]);
        assert!(text.contains("X25519MLKEM768; refused: all others of post-quantum\n"), "{text}");
        assert!(text.contains("rsa_pkcs1_sha1; refused: all others of weak-hash\n"), "{text}");
        assert_eq!((&json["complete"][0], json.get("refused")), (&"post-quantum".into(), None));
        let (text, _) = show(vec![Group(0x1d)]);
        assert!(text.contains("x25519; refused: post-quantum\n"), "{text}");
    }

    /// Neither are those that a reader is not shown, nor the questions that nobody answered.
    #[test]
    fn what_is_left_out_is_said() {
        let mut report = samples::offered();
        let Observed::Seen(offers) = &mut report.facts.views[0].offers else { panic!("nothing was offered") };
        offers.versions[4].suites.accepted = crate::tls::Suite::up_to_tls12()[..50].to_vec();
        (offers.intolerance, offers.lost) = (Observed::Seen(Vec::new()), 2);
        let text = render(&report, &TextOptions::default());
        assert!(text.contains("… and 20 more; all with --format json\n"), "{text}");
        assert!(text.contains("cannot bear   not known: 2 of the questions got no answer, however often they\n"), "{text}");
        assert!(!text.contains("nothing that was tried"), "{text}");
    }

    #[test]
    fn no_connection_is_inconclusive_not_bad() {
        insta::assert_snapshot!("unreachable", snapshot(&samples::unreachable(), 80));
    }

    #[test]
    fn a_snapshot_does_not_depend_on_addresses_or_dates() {
        let first = samples::story();
        let mut second = samples::story(); // other keys, so other fingerprints
        for view in &mut second.facts.views {
            view.address = "127.0.0.1:40123".parse().unwrap();
        }
        second.facts.target.port = 40123;
        assert_eq!(snapshot(&first, 80), snapshot(&second, 80));
    }

    #[test]
    fn without_redaction_the_facts_are_shown() {
        let text = render(&samples::story(), &TextOptions { transcript: true, ..TextOptions::default() });
        for fact in
            ["mx1.example.test:25", "partner (198.51.100.7)", "2026-03-01 12:30:45 UTC", "2025-11-19 to 2026-02-17", "     31  S"]
        {
            assert!(text.contains(fact), "{fact} is missing in\n{text}");
        }
    }

    #[test]
    fn colour_is_only_added() {
        let plain = render(&samples::story(), &TextOptions::default());
        let report = samples::story();
        let coloured = render(&report, &TextOptions { colour: true, ..TextOptions::default() });
        let stripped = anstream::adapter::strip_str(&coloured).to_string();
        assert!(coloured.contains("\x1b[31m"), "a failure is red");
        assert_eq!(stripped, render(&report, &TextOptions::default()));
        assert!(!plain.contains('\x1b'));
    }

    #[test]
    fn a_view_without_a_connection_never_counts_as_a_witness() {
        let mut report = samples::story();
        report.facts.views.extend(samples::refused().views);
        let text = render(&report, &TextOptions { width: 200, ..TextOptions::default() });
        let expected =
            "seen from partner (198.51.100.7); not seen from home (203.0.113.9); no connection from home (203.0.113.9)";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn equal_views_are_not_told_apart() {
        let mut report = samples::healthy();
        report.facts.views.push(report.facts.views[0].clone());
        let text = render(&report, &TextOptions::default());
        assert!(text.contains("Every view saw the same greeting"), "{text}");
        assert!(text.contains("the same as from partner (198.51.100.7)"), "{text}");
    }

    #[rstest]
    #[case(Duration::days(-1), Duration::days(3), "3 days left")]
    #[case(Duration::days(-1), Duration::hours(47), "47 hours left")]
    #[case(Duration::days(-1), Duration::ZERO, "0 minutes left")]
    #[case(Duration::days(-9), Duration::seconds(-1), "expired 0 minutes ago")]
    #[case(Duration::days(-9), Duration::hours(-25), "expired 25 hours ago")]
    #[case(Duration::days(2), Duration::days(9), "not valid before 2 days from now")]
    fn days_are_floored(#[case] not_before: Duration, #[case] not_after: Duration, #[case] words: &str) {
        assert_eq!(days(NOW + not_before, NOW + not_after, NOW), words);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn nothing_is_too_wide_or_acts_on_the_terminal(
            text in prop_oneof![any::<String>(), "[\\x00-\\x{a0}a-z\\u{202e}漢 ]{0,400}", "x{900}"],
            width in 60usize..130,
        ) {
            let report = samples::hostile(&text);
            let options = TextOptions { width, transcript: true, ..TextOptions::default() };
            for out in [render(&report, &options), snapshot(&report, width)] {
                for line in out.lines() {
                    prop_assert!(display_width(line) <= width, "{line:?}");
                    prop_assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
                }
            }
        }
    }
}
