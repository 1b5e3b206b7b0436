//! Reminders for people.

use std::fmt::Write as _;

use super::{Reminders, Thresholds, Urgency, moment_words};
use crate::rules::CertificateRole;

/// The table of what ends when, the soonest first, and what else is to be done; `width` is that of the page.
pub fn text(reminders: &Reminders, width: usize) -> String {
    let now = reminders.judged_at;
    let Thresholds { warning, critical } = reminders.thresholds;
    let mut out = format!(
        "as of {}; a warning below {warning} days, critical below {critical}\n\ndays left\n",
        moment_words(reminders.judged_at)
    );
    let mut paragraph = |indent: &str, text: &str| {
        let options = textwrap::Options::new(width).initial_indent(indent).subsequent_indent("              ");
        let _ = writeln!(out, "{}", textwrap::fill(text, options));
    };
    for reminder in &reminders.certificates {
        let addresses: Vec<String> = reminder.addresses.iter().map(|address| address.ip().to_string()).collect();
        // A trust anchor is in the store of the one who verifies.
        let is_nowhere = addresses.is_empty() || reminder.role == CertificateRole::TrustAnchor;
        let at = if is_nowhere { String::new() } else { format!(" at {}", addresses.join(", ")) };
        paragraph(
            &format!("{:>6} {:<7}", reminder.days_left, ""),
            &format!(
                "{}: {}{at}: {}{}",
                reminder.watched,
                reminder.certificate,
                reminder.when(now),
                if reminder.urgency == Urgency::Ok { String::new() } else { format!(" [{}]", word(reminder.urgency)) },
            ),
        );
        paragraph("              ", &format!("until {}; then {}", reminder.at.date(), reminder.breaks));
    }
    for rollover in &reminders.rollovers {
        paragraph("DANE          ", &rollover.text);
    }
    for why in &reminders.unknown {
        paragraph("not known     ", why.as_str());
    }
    for note in &reminders.notes {
        paragraph("note          ", note.as_str());
    }
    out
}

fn word(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Ok => "ok",
        Urgency::Warning => "warning",
        Urgency::Unknown => "not known",
        Urgency::Critical => "critical",
    }
}
