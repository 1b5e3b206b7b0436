//! The report for people.

use std::fmt::Write as _;

use super::{
    ledger::{Counts, Direction},
    review::{Review, percent, product_name},
};
use crate::wire::whole;

/// So many lines of each table are shown; JSON has all.
const MOST: usize = 25;
/// So much of a name is shown.
const MAX_NAME: usize = 48;

/// The report on a page of that width.
pub fn text(review: &Review, width: usize) -> String {
    let mut out = String::new();
    let mut paragraph = |text: &str| {
        let options = textwrap::Options::new(width).subsequent_indent("  ");
        let _ = writeln!(out, "{}", textwrap::fill(text, options));
    };
    paragraph(&format!("6 monitored TLS: {}: {}", review.verdict.word(), review.reason));
    for warning in &review.warnings {
        paragraph(&format!("! {warning}"));
    }
    for summary in &review.directions {
        if summary.messages == Counts::default() && summary.connections == Counts::default() {
            continue;
        }
        let Counts { tls, clear, unknown, failed } = summary.messages;
        let what = if summary.direction == Direction::Inbound { "messages" } else { "deliveries" };
        let _ = writeln!(
            out,
            "\n{}: {} {what}: {tls} inside TLS ({}), {clear} in the clear, {unknown} not known; {failed} held up by TLS",
            way(summary.direction),
            summary.messages.all(),
            percent(tls, summary.messages.all()),
        );
        let Counts { tls, clear, unknown, failed } = summary.connections;
        let _ = writeln!(
            out,
            "  connections: {tls} inside TLS, {clear} in the clear, {unknown} not known, {failed} failed; {} sessions used again",
            summary.reused
        );
        let join = |parts: Vec<String>| if parts.is_empty() { "not stated".to_owned() } else { parts.join(", ") };
        let versions = summary.versions.iter().map(|count| format!("{} {}", count.version.name(), count.sessions)).collect();
        let trust = summary.trust.iter().map(|count| format!("{:?} {}", count.trust, count.sessions)).collect();
        let _ = writeln!(out, "  versions: {}", join(versions));
        let _ = writeln!(out, "  certificates: {}", join(trust));
        for count in summary.suites.iter().take(MOST) {
            let _ = writeln!(out, "  {:>9}  {}", count.sessions, count.suite);
        }
    }
    if !review.partners.is_empty() {
        let _ = writeln!(out, "\n{:48} {:>27} {:>27}\n{:48} {COLUMNS} {COLUMNS}", "partner", "inbound", "outbound", "");
        for line in review.partners.iter().take(MOST) {
            let name = if line.domain.as_str().is_empty() { "(no domain)" } else { line.domain.as_str() };
            let broken = line.must_tls && line.inbound.clear + line.outbound.clear > 0;
            let mark = match (line.must_tls, broken) {
                (_, true) => "  must be TLS, and was not",
                (true, false) => "  must be TLS",
                (false, false) => "",
            };
            let _ = writeln!(out, "{} {} {}{mark}", cell(name), counts(&line.inbound), counts(&line.outbound));
        }
        more(&mut out, review.partners.len());
    }
    outside(&mut out, review, width);
    if !review.hosts.is_empty() {
        let _ = writeln!(out, "\n{:48} {:>27} {:>27}\n{:48} {COLUMNS} {COLUMNS}", "host", "messages", "connections", "");
        for line in review.hosts.iter().take(MOST) {
            let arrow = if line.direction == Direction::Inbound { "from" } else { "to" };
            let name = cell(&format!("{arrow} {}", line.host));
            let _ = writeln!(out, "{name} {} {}", counts(&line.messages), counts(&line.connections));
        }
        more(&mut out, review.hosts.len());
    }
    if !review.failures.is_empty() {
        let _ = writeln!(out, "\nwhy TLS failed (connections, messages; RFC 8460 result type)");
        for line in review.failures.iter().take(MOST) {
            let arrow = if line.direction == Direction::Inbound { "from" } else { "to" };
            let text = format!(
                "{:>6} {:>6}  {} {arrow} {}: {}",
                line.connections,
                line.messages,
                line.result_type.id(),
                line.host,
                line.words
            );
            let options = textwrap::Options::new(width).subsequent_indent("               ");
            let _ = writeln!(out, "{}", textwrap::fill(&text, options));
        }
        more(&mut out, review.failures.len());
    }
    if !review.days.is_empty() {
        let _ = writeln!(out, "\n{:48} {:>27} {:>27}\n{:48} {COLUMNS} {COLUMNS}", "day", "inbound", "outbound", "");
        // The last days tell most.
        for line in &review.days[review.days.len().saturating_sub(MOST)..] {
            let _ = writeln!(out, "{:48} {} {}", line.day, counts(&line.inbound), counts(&line.outbound));
        }
    }
    let _ = writeln!(
        out,
        "\n{} lines: {} of MTAs, {} of other programs, {} not known; {} messages of own users, {} deliveries within a machine",
        review.lines.read, review.lines.of_mtas, review.lines.other, review.lines.unknown, review.submissions, review.local
    );
    for source in &review.sources {
        let host = if source.host.as_str().is_empty() { "an unnamed machine" } else { source.host.as_str() };
        let _ = writeln!(out, "  {} on {host}: {} lines", product_name(source.product), source.lines);
    }
    if !review.unknown_lines.is_empty() {
        let _ = writeln!(out, "lines that are not known, the first of them:");
        for line in &review.unknown_lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

/// What is known of a partner from elsewhere than the logs, one block for each.
fn outside(out: &mut String, review: &Review, width: usize) {
    let seen: Vec<_> = review.partners.iter().filter(|line| line.is_seen_outside()).collect();
    if seen.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nwhat we see, what the log says, what others report");
    let mut paragraph = |indent: &str, text: &str| {
        let options = textwrap::Options::new(width).initial_indent(indent).subsequent_indent("      ");
        let _ = writeln!(out, "{}", textwrap::fill(text, options));
    };
    for line in seen.iter().take(MOST) {
        paragraph("", line.domain.as_str());
        match &line.checked {
            Some(checked) => {
                let verdicts: Vec<_> =
                    checked.verdicts.iter().zip(1..).map(|(verdict, number)| format!("{number} {}", verdict.word())).collect();
                paragraph("    check: ", &format!("{} ({})", verdicts.join(", "), checked.judged_at.date()));
            }
            None => paragraph("    check: ", "none was given"),
        }
        let log = |counts: &Counts| match counts.all() + counts.failed {
            0 => "nothing".to_owned(),
            _ => format!(
                "{} inside TLS, {} in the clear, {} not known, {} held up",
                counts.tls, counts.clear, counts.unknown, counts.failed
            ),
        };
        paragraph("    log: ", &format!("inbound {}; outbound {}", log(&line.inbound), log(&line.outbound)));
        for (what, reported) in [("reports by it", &line.reported_by), ("reports on it", &line.reported_on)] {
            let Some(reported) = reported else { continue };
            let mut text =
                format!("{}: {} sessions as the policy wants, {} not", reported.reports, reported.successes, reported.failures);
            for reason in reported.reasons.iter().take(MOST) {
                let host = reason.host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
                text.push_str(&format!("; {} {}{host}", reason.sessions, reason.words));
            }
            paragraph(&format!("    {what}: "), &text);
        }
    }
    if seen.len() > MOST {
        let _ = writeln!(out, "  and {} more: --format json has them all", seen.len() - MOST);
    }
}

const COLUMNS: &str = "   TLS  clear      ? failed";

fn counts(counts: &Counts) -> String {
    format!("{:>6} {:>6} {:>6} {:>6}", counts.tls, counts.clear, counts.unknown, counts.failed)
}

fn way(direction: Direction) -> &'static str {
    if direction == Direction::Inbound { "inbound" } else { "outbound" }
}

/// A name in a column, cut where it is too long.
fn cell(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return format!("{name:48}");
    }
    let cut = &name[..whole(name, MAX_NAME - 1)];
    format!("{:48}", format!("{cut}…"))
}

fn more(out: &mut String, all: usize) {
    if all > MOST {
        let _ = writeln!(out, "  and {} more: --format json has them all", all - MOST);
    }
}
