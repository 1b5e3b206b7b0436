//! Reminders as the output of a monitoring plugin (Nagios, Icinga and those that run their plugins): one line of state, with
//! performance data, and one line for each certificate below. <https://www.monitoring-plugins.org/doc/guidelines.html>

use std::fmt::Write as _;

use super::{Reminders, Urgency};

/// How much of what is urgent stands in the first line.
const MOST: usize = 3;

/// The output, and the code to exit with.
pub fn nagios(reminders: &Reminders) -> (String, u8) {
    let now = reminders.judged_at;
    let mut urgent: Vec<(Urgency, String)> = Vec::new();
    for reminder in &reminders.certificates {
        let text = format!("{} of {} {}", reminder.certificate, reminder.watched, reminder.when(now));
        urgent.push((reminder.urgency, text));
    }
    urgent.extend(reminders.rollovers.iter().map(|rollover| (Reminders::urgency_of(rollover.kind), rollover.text.clone())));
    urgent.extend(reminders.unknown.iter().map(|why| (Urgency::Unknown, why.to_string())));
    if reminders.certificates.is_empty() && reminders.unknown.is_empty() && reminders.urgency == Urgency::Unknown {
        urgent.push((Urgency::Unknown, "no certificate was seen".to_owned()));
    }
    // The most urgent first; among the like the soonest, as they stand.
    urgent.sort_by_key(|(urgency, _)| std::cmp::Reverse(*urgency));
    let due: Vec<&str> = urgent.iter().filter(|(urgency, _)| *urgency > Urgency::Ok).map(|(_, text)| text.as_str()).collect();
    let first = match (due.len(), reminders.certificates.first()) {
        (0, Some(soonest)) => {
            format!("{} certificates, the first of them {}", reminders.certificates.len(), soonest.when(now))
        }
        (0, None) => reminders.notes.first().map(ToString::to_string).unwrap_or_default(),
        (1..=MOST, _) => due.join("; "),
        (more, _) => format!("{}; and {} more", due[..MOST].join("; "), more - MOST),
    };
    let (word, code) = state(reminders.urgency);
    let mut out = format!("TLS {word} - {}", plain(&first));
    let data = performance(reminders);
    if !data.is_empty() {
        let _ = write!(out, " | {data}");
    }
    for (urgency, text) in &urgent {
        let _ = write!(out, "\n{}: {}", state(*urgency).0, plain(text));
    }
    for note in &reminders.notes {
        let _ = write!(out, "\n{}", plain(note.as_str()));
    }
    (out, code)
}

/// What is said where nothing could be watched at all, and the code to exit with.
pub fn nagios_unknown(why: &str) -> (String, u8) {
    let (word, code) = state(Urgency::Unknown);
    (format!("TLS {word} - {}", plain(&why.replace('\n', " "))), code)
}

fn state(urgency: Urgency) -> (&'static str, u8) {
    match urgency {
        Urgency::Ok => ("OK", 0),
        Urgency::Warning => ("WARNING", 1),
        Urgency::Critical => ("CRITICAL", 2),
        Urgency::Unknown => ("UNKNOWN", 3),
    }
}

/// The days left of each certificate. `30:` alerts below 30.
fn performance(reminders: &Reminders) -> String {
    let thresholds = reminders.thresholds;
    let mut known: Vec<String> = Vec::new();
    let mut data = Vec::new();
    for reminder in &reminders.certificates {
        let mut label = format!("{} {}", reminder.watched, reminder.role.name());
        let like = known.iter().filter(|known| **known == label).count();
        known.push(label.clone());
        if like > 0 {
            let _ = write!(label, " {}", like + 1);
        }
        let label = plain(&label).replace('\'', "''").replace('=', "-");
        data.push(format!("'{label}'={};{}:;{}:", reminder.days_left, thresholds.warning, thresholds.critical));
    }
    data.join(" ")
}

/// A pipe begins the performance data, wherever it stands.
fn plain(text: &str) -> String {
    text.replace('|', "\\x7c")
}
