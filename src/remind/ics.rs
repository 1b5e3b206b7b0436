//! Reminders as a calendar (RFC 5545): an event at the end of each certificate, with its alarms before.

use std::fmt::Write as _;

use icalendar::{Alarm, Calendar, Component as _, Event, EventLike as _, Property};
use time::{Duration, OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{Reminder, Reminders, moment_words};
use crate::rules::{self, RolloverKind};

/// Who is reminded, and when.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// The mailboxes of those who are reminded.
    pub attendees: Vec<String>,
    /// The mailbox of who reminds them; the first of them where there is none.
    pub organizer: Option<String>,
    /// How long before the end an alarm rings; one for each.
    pub alarms: Vec<Duration>,
}

/// Longer lines are folded (RFC 5545, 3.1).
const LINE: usize = 75;
const MOMENT: &[BorrowedFormatItem] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// The calendar. It has no METHOD: it is imported, or subscribed to, and an iTIP message may hold events of one UID only
/// (RFC 5546, 3.2.2).
pub fn ics(reminders: &Reminders, invitation: &Invitation) -> String {
    let mut calendar = Calendar::empty();
    calendar.append_property(Property::new("VERSION", "2.0"));
    calendar.append_property(Property::new("PRODID", concat!("-//mtalab//mtalab ", env!("CARGO_PKG_VERSION"), "//EN")));
    calendar.append_property(Property::new("CALSCALE", "GREGORIAN"));
    for reminder in &reminders.certificates {
        calendar.push(event(reminder, reminders, invitation));
    }
    lines(&calendar.to_string())
}

fn moment(moment: OffsetDateTime) -> String {
    moment.to_offset(time::UtcOffset::UTC).format(MOMENT).unwrap_or_default()
}

fn event(reminder: &Reminder, reminders: &Reminders, invitation: &Invitation) -> Event {
    let summary = format!("{} of {} expires", reminder.certificate, reminder.watched);
    let mut event = Event::new();
    event
        .uid(&reminder.uid)
        .summary(&summary)
        .description(&description(reminder, reminders))
        // The later of two counts (RFC 5546, 2.1.5): that of the run which saw the certificate last.
        .sequence(sequence(reminders.judged_at))
        .add_property("DTSTAMP", moment(reminders.judged_at))
        .add_property("DTSTART", moment(reminder.at))
        .add_property("STATUS", "CONFIRMED")
        // Nobody is busy at that time.
        .add_property("TRANSP", "TRANSPARENT")
        .categories(["TLS"]);
    let organizer = invitation.organizer.as_ref().or(invitation.attendees.first());
    // Attendees are of an event that somebody organizes (RFC 5545, 3.8.4.3).
    if let (Some(organizer), false) = (organizer, invitation.attendees.is_empty()) {
        event.append_property(Property::new("ORGANIZER", mailto(organizer)));
    }
    for attendee in &invitation.attendees {
        let property = Property::new("ATTENDEE", mailto(attendee))
            .add_parameter("ROLE", "REQ-PARTICIPANT")
            .add_parameter("PARTSTAT", "NEEDS-ACTION")
            .add_parameter("RSVP", "FALSE")
            .done();
        event.append_multi_property(property);
    }
    let mut before: Vec<Duration> = invitation.alarms.iter().map(|alarm| within_life(*alarm, reminder)).collect();
    before.sort();
    before.dedup();
    for before in before.into_iter().rev() {
        let trigger = -chrono::Duration::seconds(before.whole_seconds());
        event.alarm(Alarm::display(&format!("{summary} in {}", rules::span(before)), trigger));
    }
    event
}

/// Of a certificate that lives for a few days, a week ahead would be before its life: a third of it is left then.
fn within_life(alarm: Duration, reminder: &Reminder) -> Duration {
    let life = reminder.at - reminder.from;
    if alarm < life || life <= Duration::ZERO { alarm } else { Duration::seconds(life.whole_seconds() / 3) }
}

/// The minutes since 1970: it grows with each run, and so an event takes the place of an older one, whatever the certificates
/// are like.
fn sequence(moment: OffsetDateTime) -> u32 {
    u32::try_from((moment.unix_timestamp() / 60).clamp(0, i64::from(i32::MAX))).unwrap_or_default()
}

fn description(reminder: &Reminder, reminders: &Reminders) -> String {
    let mut text = format!("{}: {}", reminder.watched, reminder.certificate);
    let _ = write!(text, "\nSubject: {}\nValid until: {}", reminder.subject, moment_words(reminder.at));
    if !reminder.breaks.is_empty() {
        let _ = write!(text, "\nThen: {}", reminder.breaks);
    }
    if !reminder.addresses.is_empty() {
        let addresses: Vec<String> = reminder.addresses.iter().map(ToString::to_string).collect();
        let _ = write!(text, "\nSeen at: {}", addresses.join(", "));
    }
    let _ = write!(text, "\nSHA-256: {}", reminder.sha256);
    let host = reminder.watched.as_str().split(':').next().unwrap_or_default();
    let is_of_host = reminder.role == rules::CertificateRole::EndEntity;
    for rollover in reminders.rollovers.iter().filter(|rollover| is_of_host && rollover.host.as_str() == host) {
        if rollover.kind != RolloverKind::NextPublished {
            let _ = write!(text, "\nDANE: {}", rollover.text);
        }
    }
    let _ = write!(text, "\nAs of {}", moment_words(reminders.judged_at));
    text
}

/// A mailbox as a URI (RFC 6068, 2): what may not stand in one is percent-encoded.
fn mailto(mailbox: &str) -> String {
    let mut uri = String::from("mailto:");
    for byte in mailbox.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b'+' | b'!' | b'$' | b'*' => {
                uri.push(char::from(byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri
}

/// The lines as they are sent. The library folds some at 76 octets, and gives alarms a DTSTAMP of this moment, which they have
/// none of (RFC 5545, 3.6.6).
fn lines(calendar: &str) -> String {
    let mut out = String::with_capacity(calendar.len());
    let mut is_in_alarm = false;
    for line in calendar.replace("\r\n ", "").split_terminator("\r\n") {
        is_in_alarm = (is_in_alarm || line == "BEGIN:VALARM") && line != "END:VALARM";
        if is_in_alarm && (line.starts_with("DTSTAMP:") || line.starts_with("UID:")) {
            continue;
        }
        let mut column = 0;
        for character in line.chars() {
            if column + character.len_utf8() > LINE {
                out.push_str("\r\n ");
                column = 1;
            }
            out.push(character);
            column += character.len_utf8();
        }
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mailboxes_are_uris() {
        assert_eq!(mailto("a.b+c@example.org"), "mailto:a.b+c@example.org");
        assert_eq!(mailto("\"a;b:c,d%\"@example.org"), "mailto:%22a%3Bb%3Ac%2Cd%25%22@example.org");
    }

    /// The library leaves 76 octets in the last line.
    #[test]
    fn lines_have_75_octets_at_most() {
        for length in 60..400 {
            let line = format!("SUMMARY:{}", "é".repeat(length / 2) + &"x".repeat(length % 2));
            let folded = lines(&format!("{line}\r\n"));
            assert!(folded.split("\r\n").all(|line| line.len() <= LINE), "{folded}");
            assert_eq!(folded.replace("\r\n ", ""), format!("{line}\r\n"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_folded_and_found_again(text in "[ -~é☃]{0,300}") {
            let property = Property::new("SUMMARY", &*text);
            let calendar = Calendar::empty().append_property(property).done().to_string();
            let unfolded = lines(&calendar).replace("\r\n ", "");
            prop_assert_eq!(unfolded, calendar.replace("\r\n ", ""));
        }
    }
}
