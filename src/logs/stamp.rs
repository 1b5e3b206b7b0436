//! The days of log lines. Stamps of syslog have no year: they are told from the order of lines and the end of the file.

use time::{Date, Month, OffsetDateTime};

/// The day of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Day {
    /// The stamp says which.
    Dated(Date),
    /// The stamp has no year. `turn` counts the New Years that were passed in this file.
    Open {
        /// How often the year changed before it.
        turn: i16,
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
    },
    /// There is no stamp that can be read.
    #[default]
    Unknown,
}

const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Reads the days of the lines of one file in their order.
#[derive(Debug, Default)]
pub(super) struct Days {
    /// The text of the last stamp that was read, and its day: most lines are of the same day as the one before.
    last_text: [u8; 10],
    last_length: usize,
    last: Day,
    turn: i16,
    last_month: u8,
}

impl Days {
    /// A line that begins with a stamp: `Nov 29`, `2026-11-29`. What is neither is [`Day::Unknown`].
    pub(super) fn read(&mut self, line: &[u8]) -> Day {
        let length = if line.first().is_some_and(u8::is_ascii_digit) { 10 } else { 6 };
        let Some(text) = line.get(..length) else { return Day::Unknown };
        if self.last_length == length && self.last_text[..length] == *text {
            return self.last;
        }
        let day = if length == 10 { iso(text) } else { self.bsd(text) };
        self.last_text[..length].copy_from_slice(text);
        self.last_length = length;
        self.last = day;
        day
    }

    fn bsd(&mut self, text: &[u8]) -> Day {
        let month = MONTHS.iter().zip(1..).find(|(name, _)| text.starts_with(&name[..])).map(|(_, number)| number);
        let day = super::text::number(text[4..].trim_ascii());
        let (Some(month), Some(day @ 1..=31)) = (month, day) else { return Day::Unknown };
        let mut turn = self.turn;
        match (self.last_month, month) {
            // Lines of several processes are not quite in order: a line of December among those of January is late.
            (1 | 2, 11 | 12) => turn = turn.saturating_sub(1),
            (last, month) => {
                // Back by months is a New Year; back by one or two is a file that was joined in another order.
                if last > month && last - month > 2 {
                    self.turn = self.turn.saturating_add(1);
                    turn = self.turn;
                }
                self.last_month = month;
            }
        }
        Day::Open { turn, month, day }
    }

    /// The year that the last line of the file is of gives those of all: it is the latest that is not after `end`, the
    /// moment when the file was last written. A day of leeway is for time zones.
    pub(super) fn dated(&self, day: Day, end: OffsetDateTime) -> Day {
        let Day::Open { turn, month, day: number } = day else { return day };
        let limit = end.date().next_day().unwrap_or(end.date());
        let is_later = (self.last_month, 0) > (u8::from(limit.month()), 1);
        let year = limit.year() - i32::from(is_later) - i32::from(self.turn.saturating_sub(turn));
        let date = Month::try_from(month).ok().and_then(|month| Date::from_calendar_date(year, month, number).ok());
        date.map_or(Day::Unknown, Day::Dated)
    }
}

fn iso(text: &[u8]) -> Day {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(super::text::number::<u8>);
    let year = text.get(..4).and_then(super::text::number::<u16>);
    let (Some(year), b'-', Some(month), b'-', Some(day)) = (year, text[4], number(5..7), text[7], number(8..10)) else {
        return Day::Unknown;
    };
    let date = Month::try_from(month).ok().and_then(|month| Date::from_calendar_date(i32::from(year), month, day).ok());
    date.map_or(Day::Unknown, Day::Dated)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn dates(lines: &[&str], end: OffsetDateTime) -> Vec<Day> {
        let mut days = Days::default();
        let read: Vec<_> = lines.iter().map(|line| days.read(line.as_bytes())).collect();
        read.into_iter().map(|day| days.dated(day, end)).collect()
    }

    #[test]
    fn a_year_ends_within_a_file() {
        let lines = ["Dec 31 23:59:59", "Jan  1 00:00:01", "Dec 31 23:59:59", "Jan  2 00:00:00"];
        let dated = dates(&lines, datetime!(2027-01-02 10:00 UTC));
        let expected = [date!(2026 - 12 - 31), date!(2027 - 01 - 01), date!(2026 - 12 - 31), date!(2027 - 01 - 02)];
        assert_eq!(dated, expected.map(Day::Dated));
    }

    #[test]
    fn the_end_of_the_file_tells_the_year() {
        assert_eq!(dates(&["Dec 30 00:00:00"], datetime!(2027-01-02 10:00 UTC)), [Day::Dated(date!(2026 - 12 - 30))]);
        assert_eq!(dates(&["Jan  3 00:00:00"], datetime!(2027-01-02 10:00 UTC)), [Day::Dated(date!(2027 - 01 - 03))]);
        assert_eq!(dates(&["Feb 29 00:00:00"], datetime!(2027-03-02 10:00 UTC)), [Day::Unknown]);
    }

    #[test]
    fn what_has_a_year_needs_nothing() {
        assert_eq!(dates(&["2026-11-29T08:11:00.1+01:00"], datetime!(2027-03-02 10:00 UTC)), [Day::Dated(date!(2026 - 11 - 29))]);
        let wrong = ["2026-13-29", "Okt 12 00:00:00", "Nov", "", "Nov 99 00:00:00", "+026-11-29", "20é6-1-29"];
        assert!(dates(&wrong, datetime!(2027-03-02 10:00 UTC)).iter().all(|day| *day == Day::Unknown));
    }
}
