//! The readers of logs, and of reports of TLSRPT.

use time::macros::datetime;

use crate::{
    logs::{MOST_PARTNERS, Reader, text},
    tlsrpt::report,
};

/// A log, whatever it is; and the same bytes as a report.
pub fn logs(input: &[u8]) {
    let end = datetime!(2026-12-01 00:00 UTC);
    let mut reader = Reader::new(&[], MOST_PARTNERS);
    if reader.read("input", end, input).is_err() {
        return;
    }
    let review = reader.finish(end);
    let lines = review.lines;
    assert!(lines.of_mtas <= lines.read + 1 && lines.unknown <= lines.read);
    for summary in &review.directions {
        let of_days = review
            .days
            .iter()
            .map(|day| if summary.direction == crate::logs::Direction::Inbound { day.inbound.all() } else { day.outbound.all() });
        // What has no day is in neither.
        assert!(of_days.sum::<u64>() <= summary.messages.all());
        let sessions: u64 = summary.versions.iter().map(|count| count.sessions).sum();
        assert!(sessions <= summary.connections.tls);
    }
    let shown = text(&review, 80);
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    assert!(review.to_json().chars().all(|c| c == '\n' || !c.is_control()));
}

/// A report, whatever it is.
pub fn tlsrpt(input: &[u8]) {
    let Ok(reports) = report::read(input) else { return };
    let end = datetime!(2026-12-01 00:00 UTC);
    let mut reader = Reader::new(&[], MOST_PARTNERS);
    reports.iter().for_each(|report| reader.report(report));
    let review = reader.finish(end);
    assert!(text(&review, 80).chars().all(|c| c == '\n' || !c.is_control()));
}
