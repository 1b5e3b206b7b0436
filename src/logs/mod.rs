//! What the logs of MTAs say of TLS: messages and connections with and without, by partner, host and day, in both directions.
//!
//! ```text
//! files, standard input ──input──> lines ──one reader per MTA──> Tally ──Review──> text, JSON
//! ```
//!
//! Logs of any size are read in one pass and constant memory: every table is bounded, and what did not fit is counted. Names in
//! logs come from anybody; they are kept as bytes, and escaped when the report is made.

mod exchange;
mod exim;
mod input;
mod journal;
mod ledger;
mod opensmtpd;
mod others;
mod outside;
mod postfix;
mod reason;
mod recent;
mod review;
mod sendmail;
mod stamp;
mod text;
mod words;

use std::io::Read;

use time::OffsetDateTime;

use self::{
    exchange::Exchange,
    journal::Export,
    ledger::Tally,
    opensmtpd::Opensmtpd,
    outside::Outside,
    postfix::Postfix,
    sendmail::Sendmail,
    stamp::{Day, Days},
    text::{cut, number, word},
};
use crate::{name::Name, tlsrpt::report::Report, wire::WireText};

pub use input::InputError;
pub use ledger::{Counts, Direction, Product, Trust};
pub use outside::{Checked, CheckedError, Reported, ReportedReason};
pub use review::{
    DayCounts, DirectionSummary, FailureLine, HostLine, InputLine, LineCounts, PartnerLine, Review, SourceLine, SuiteCount,
    TrustCount, VersionCount,
};
pub use words::text;

/// How many partners, and how many hosts, have a line of their own.
pub const MOST_PARTNERS: usize = 10_000;
/// So many lines that no reader knows are shown.
const MAX_EXAMPLES: usize = 10;
/// And so much of each.
const MAX_EXAMPLE: usize = 300;

/// Whether a reader knows a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It does, and counted what it says of TLS.
    Yes,
    /// It does not: the line is shown.
    No,
}

/// Reads logs one after the other.
#[derive(Debug)]
pub struct Reader {
    tally: Tally,
    lines: LineCounts,
    examples: Vec<Vec<u8>>,
    inputs: Vec<InputLine>,
    must_tls: Vec<Name>,
    postfix: Postfix,
    sendmail: Sendmail,
    opensmtpd: Opensmtpd,
    exchange: Exchange,
    outside: Outside,
    days: Days,
}

/// How the lines of a file are written, as its first line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    Export,
    Json,
    Exchange,
}

impl Shape {
    fn of(line: &[u8]) -> Self {
        if line.starts_with(b"__CURSOR=") || line.starts_with(b"__REALTIME_TIMESTAMP=") {
            Self::Export
        } else if line.first() == Some(&b'{') {
            Self::Json
        } else if line.starts_with(b"#Software: Microsoft Exchange") || line.starts_with(b"#Fields: date-time,") {
            Self::Exchange
        } else {
            Self::Plain
        }
    }
}

impl Reader {
    /// Nothing read yet. Messages in the clear with these domains, or below one, are told of apart; so many partners have a line.
    pub fn new(must_tls: &[Name], most: usize) -> Self {
        Self {
            tally: Tally::new(most, must_tls),
            lines: LineCounts::default(),
            examples: Vec::new(),
            inputs: Vec::new(),
            must_tls: must_tls.to_vec(),
            postfix: Postfix::default(),
            sendmail: Sendmail::default(),
            opensmtpd: Opensmtpd::default(),
            exchange: Exchange::default(),
            outside: Outside::default(),
            days: Days::default(),
        }
    }

    /// Reads one log to its end. `end` is when it was last written: stamps of syslog have no year, and the last of the file is not
    /// after that.
    pub fn read(&mut self, name: &str, end: OffsetDateTime, input: impl Read) -> Result<(), InputError> {
        let mut shape = None;
        let mut export = Export::default();
        self.days = Days::default();
        let before = self.lines.read;
        let ended = input::lines(input, |line| {
            self.lines.read += 1;
            let shape = *shape.get_or_insert_with(|| Shape::of(line));
            match shape {
                Shape::Plain => self.plain(line),
                Shape::Exchange => self.exchange(line),
                Shape::Json => match journal::json(line) {
                    Some(entry) => self.entry(&entry),
                    None => self.unknown(line),
                },
                Shape::Export => {
                    if let Some(entry) = export.line(line) {
                        self.entry(&entry);
                    }
                }
            }
        })?;
        // The last entry of an export may have no empty line behind it.
        if let Some(entry) = export.line(b"") {
            self.entry(&entry);
        }
        let days = std::mem::take(&mut self.days);
        self.tally.date(&days, end);
        self.lines.too_long += ended.too_long + export.too_long;
        self.inputs.push(InputLine {
            name: WireText::from(name),
            bytes: ended.bytes,
            lines: self.lines.read - before,
            is_cut_off: ended.is_cut_off,
            stopped: ended.stopped.map(|why| WireText::from(why.as_str())),
        });
        Ok(())
    }

    /// Sets a report of TLSRPT beside the logs.
    pub fn report(&mut self, report: &Report) {
        self.outside.report(report);
    }

    /// Sets what a check saw beside the logs; of several of one name the newest counts.
    pub fn checked(&mut self, checked: Checked) {
        let known = self.outside.checked.get(&checked.name);
        if known.is_none_or(|known| known.judged_at <= checked.judged_at) {
            self.outside.checked.insert(checked.name.clone(), checked);
        }
    }

    /// What all of them say, as of a moment.
    pub fn finish(self, now: OffsetDateTime) -> Review {
        review::review(self, now)
    }

    fn exchange(&mut self, line: &[u8]) {
        self.tally.day = self.days.read(line);
        if line.is_empty() {
            return;
        }
        let known = self.exchange.read(line, &mut self.tally);
        self.told(known, line);
    }

    fn told(&mut self, known: Known, line: &[u8]) {
        self.lines.of_mtas += 1;
        if known == Known::No {
            self.unknown(line);
        }
    }

    fn unknown(&mut self, line: &[u8]) {
        self.lines.unknown += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(line[..line.len().min(MAX_EXAMPLE)].to_vec());
        }
    }

    /// A line of syslog, or of a log that an MTA writes itself.
    fn plain(&mut self, line: &[u8]) {
        if line.is_empty() {
            self.lines.other += 1;
            return;
        }
        // `<22>1 ` of RFC 5424, `<22>` of RFC 3164: the priority.
        let line = match line.first() {
            Some(b'<') => cut(line, b">").map_or(line, |(priority, rest)| if priority.len() <= 4 { rest } else { line }),
            _ => line,
        };
        let line = line.strip_prefix(b"1 ").unwrap_or(line);
        self.tally.day = self.days.read(line);
        let Some(behind) = behind_stamp(line) else {
            // No stamp: the log of a program in the foreground.
            return self.bare(line, b"");
        };
        if line.get(4) == Some(&b'-') && line.get(10) == Some(&b' ') {
            // Exim and chasquid stamp their own logs like that.
            return self.bare(behind, line);
        }
        let (host, rest) = word(behind);
        // Busybox writes `mail.info` behind the host.
        let (first, behind_first) = word(rest);
        let rest = match first.last() {
            Some(b':' | b']') => rest,
            _ if first.contains(&b'[') => rest,
            _ => behind_first,
        };
        let Some((program, pid, text)) = tag(rest) else { return self.lines.other += 1 };
        self.dispatch(host, program, pid, text, line);
    }

    fn entry(&mut self, entry: &journal::Entry) {
        self.tally.day = entry.day.map_or(Day::Unknown, Day::Dated);
        if entry.program.is_empty() {
            // Docker's own logs have the whole line in it.
            return self.plain(&entry.text);
        }
        self.dispatch(&entry.host, &entry.program, entry.pid, &entry.text, &entry.text);
    }

    fn dispatch(&mut self, host: &[u8], program: &[u8], pid: u64, text: &[u8], line: &[u8]) {
        let known = if let Some(at) = memchr::memrchr(b'/', program) {
            let service = &program[at + 1..];
            if !is_postfix(service) {
                self.lines.other += 1;
                return;
            }
            let source = self.tally.enter(host, Product::Postfix);
            self.postfix.read(source, service, pid, text, &mut self.tally)
        } else if is_sendmail(program) {
            let source = self.tally.enter(host, Product::Sendmail);
            self.sendmail.read(source, pid, text, &mut self.tally)
        } else if program == b"smtpd" {
            self.tally.enter(host, Product::Opensmtpd);
            self.opensmtpd.read(text, &mut self.tally)
        } else if matches!(program, b"exim" | b"exim4") {
            self.tally.enter(host, Product::Exim);
            // Exim may put its own stamp into syslog's lines.
            exim::read(behind_stamp(text).unwrap_or(text), &mut self.tally)
        } else if program.starts_with(b"courier") {
            self.tally.enter(host, Product::Courier);
            others::courier(program, text, &mut self.tally)
        } else if program == b"chasquid" {
            self.tally.enter(host, Product::Chasquid);
            others::chasquid(text, &mut self.tally)
        } else {
            self.lines.other += 1;
            return;
        };
        self.told(known, line);
    }

    /// A line without a program's name; `line` is all of it, where a stamp was before.
    fn bare(&mut self, text: &[u8], line: &[u8]) {
        let line = if line.is_empty() { text } else { line };
        // `log_selector = +pid` puts the process ID before.
        let text = match text.strip_prefix(b"[").and_then(|rest| cut(rest, b"] ")) {
            Some((pid, rest)) if pid.iter().all(u8::is_ascii_digit) => rest,
            _ => text,
        };
        let (first, _) = word(text);
        let (zone, behind_zone) = word(text);
        // `log_timezone` puts the zone before.
        let is_zone = zone.len() == 5 && matches!(zone[0], b'+' | b'-') && zone[1..].iter().all(u8::is_ascii_digit);
        let (first, text) = if is_zone { (word(behind_zone).0, behind_zone) } else { (first, text) };
        let known = if opensmtpd::is_id(first) || text.starts_with(b"smtp-out: ") {
            self.tally.enter(b"", Product::Opensmtpd);
            self.opensmtpd.read(text, &mut self.tally)
        } else if is_chasquid(text) {
            self.tally.enter(b"", Product::Chasquid);
            others::chasquid(text, &mut self.tally)
        } else if exim::is_id(first) || line.len() != text.len() {
            self.tally.enter(b"", Product::Exim);
            exim::read(text, &mut self.tally)
        } else if first.starts_with(b"courier") && first.ends_with(b":") {
            self.tally.enter(b"", Product::Courier);
            let (program, rest) = cut(text, b": ").unwrap_or((text, b""));
            others::courier(program, rest, &mut self.tally)
        } else if [&b"info: "[..], b"warn: ", b"debug: "].iter().any(|word| text.starts_with(word)) {
            // OpenSMTPD in the foreground.
            Known::Yes
        } else {
            // Of whom it is nobody knows.
            return self.unknown(line);
        };
        self.told(known, line);
    }
}

/// What is behind the stamp of a line: `Nov 29 08:11:00 `, `2026-11-29T08:11:00.123456+01:00 `, `2026-11-29 08:11:00.123 `.
fn behind_stamp(line: &[u8]) -> Option<&[u8]> {
    if line.first()?.is_ascii_digit() && line.get(4) == Some(&b'-') && line.get(7) == Some(&b'-') {
        let rest = line.get(11..)?;
        return match line.get(10)? {
            b'T' => Some(word(rest).1),
            b' ' => Some(word(rest).1),
            _ => None,
        };
    }
    // In whatever language the month is: a time stands in the line's first words.
    let at = line.iter().take(40).position(|byte| *byte == b':')?;
    let is_time = at >= 2
        && line.get(at - 2..at + 6).is_some_and(|time| {
            time.iter().zip(b"00:00:00").all(|(byte, shape)| if *shape == b'0' { byte.is_ascii_digit() } else { byte == shape })
        });
    if !is_time {
        return None;
    }
    Some(word(line.get(at + 6..)?).1)
}

/// `postfix/smtp[123]: text`, `courieresmtpd: text`, and `postfix/smtp 123 - - text` of RFC 5424.
fn tag(rest: &[u8]) -> Option<(&[u8], u64, &[u8])> {
    let end = rest.iter().take(128).position(|byte| matches!(byte, b'[' | b':' | b' '))?;
    let (program, behind) = rest.split_at(end);
    match behind[0] {
        b'[' => {
            let (pid, text) = cut(&behind[1..], b"]")?;
            let text = text.strip_prefix(b":").unwrap_or(text);
            Some((program, number(pid).unwrap_or_default(), text.strip_prefix(b" ").unwrap_or(text)))
        }
        b':' => Some((program, 0, behind[1..].strip_prefix(b" ").unwrap_or(&behind[1..]))),
        _ => {
            let (pid, text) = word(&behind[1..]);
            // The ID of the message and the structured data.
            let (_, text) = word(text);
            let text = text.strip_prefix(b"- ").unwrap_or(text);
            Some((program, number(pid)?, text))
        }
    }
}

fn is_postfix(service: &[u8]) -> bool {
    const SERVICES: &[&[u8]] = &[
        b"smtp",
        b"smtpd",
        b"qmgr",
        b"cleanup",
        b"lmtp",
        b"tlsproxy",
        b"anvil",
        b"bounce",
        b"scache",
        b"pickup",
        b"local",
        b"virtual",
        b"postscreen",
        b"dnsblog",
        b"trivial-rewrite",
        b"master",
        b"tlsmgr",
        b"postfix-script",
        b"error",
        b"pipe",
        b"discard",
        b"proxymap",
        b"postlogd",
        b"postlog",
        b"showq",
        b"flush",
        b"verify",
        b"oqmgr",
        b"sendmail",
        b"postdrop",
        b"postqueue",
        b"postsuper",
        b"postalias",
        b"postmap",
        b"spawn",
        b"policyd-spf",
        b"qmqpd",
        b"nqmgr",
        b"retry",
        b"rewrite",
        b"defer",
        b"trace",
        b"relay",
    ];
    SERVICES.contains(&service)
}

fn is_sendmail(program: &[u8]) -> bool {
    matches!(program, b"sendmail" | b"sm-mta" | b"sm-msp-queue" | b"sm-mta-client" | b"sendmail-client")
}

/// Lines of chasquid's log of mails begin with an address or say `from=`; those of its daemon name a file of its source.
fn is_chasquid(text: &[u8]) -> bool {
    let (first, rest) = word(text);
    let has_port =
        || memchr::memrchr(b':', first).is_some_and(|at| first[at + 1..].iter().all(u8::is_ascii_digit) && at + 1 < first.len());
    rest.starts_with(b"from=")
        || (text.starts_with(b"daemon listening on"))
        || (first.len() == 1 && text::has(&rest[..rest.len().min(40)], b".go:"))
        || (has_port() && (rest.starts_with(b"rejected ") || rest.starts_with(b"auth ") || rest.starts_with(b"from=")))
}
